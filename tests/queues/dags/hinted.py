"""A test that is polled once an hour, unless a hint comes."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

with DAG("hinted", schedule=None):
    TesterArmyRunTestOperator(
        task_id="test", test_id=catalog.TEST_ENDLESS, poll_interval=3600, timeout=7200, deferrable=True
    )
