"""What each command needs, imported once before processes fork from it."""

from airflow.models import Connection

import airflow_provider_testerarmy.cli.catalogue
import airflow_provider_testerarmy.cli.definition
import airflow_provider_testerarmy.hooks.testerarmy
import airflow_provider_testerarmy.lifecycle.catalogue  # noqa: F401

# The first connection makes SQLAlchemy configure all of Airflow's models.
Connection(conn_id="any", conn_type="testerarmy")
