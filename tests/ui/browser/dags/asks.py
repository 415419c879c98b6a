"""Tasks that ask a person what their failed tests mean."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

if airflow_compat.ASK.available:
    with DAG("asks", schedule=None, max_active_tasks=3):
        for task_id in ("accepted", "rejected"):
            TesterArmyRunTestOperator(
                task_id=task_id, test_id=catalog.TEST_FAILS, poll_interval=0.5, on_failed="ask"
            )
        TesterArmyRunTestOperator(
            task_id="timed_out",
            test_id=catalog.TEST_FAILS,
            poll_interval=0.5,
            on_failed="ask",
            ask_timeout=timedelta(seconds=5),
        )
