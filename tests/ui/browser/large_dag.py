"""A group of 1,000 tests, once with a JSON report and once without."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

with DAG("catalogue", schedule=None, default_args={"poll_interval": 1}, max_active_tasks=1):
    TesterArmyRunGroupOperator(
        task_id="reported",
        group_id=catalog.GROUP_1000,
        report_path=f"{os.environ['AIRFLOW_HOME']}/reports/{{{{ run_id }}}}.json",
    )
    TesterArmyRunGroupOperator(task_id="live", group_id=catalog.GROUP_1000)
