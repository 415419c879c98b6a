"""A DAG whose runs make a history."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

with DAG("night", schedule=None, default_args={"poll_interval": 0.2}, max_active_tasks=2):
    TesterArmyRunGroupOperator(task_id="regression", group_id=catalog.GROUP_NIGHTLY)
    TesterArmyRunGroupOperator(task_id="widgets", group_id=catalog.GROUP_FLAKY)
