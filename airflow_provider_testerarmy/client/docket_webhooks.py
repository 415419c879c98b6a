"""The documented import path of :mod:`airflow_provider_testerarmy.client.docket.webhooks`."""

from airflow_provider_testerarmy.client.docket.webhooks import *  # noqa: F403
