"""Tasks that ask a person what their failed tests mean."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

if airflow_compat.ASK.available:
    ASKED = {"poll_interval": 0.5, "on_failed": "ask"}
    with DAG("ask", schedule=None, max_active_tasks=3):
        for task_id in ("accepted", "rejected", "marked"):
            TesterArmyRunTestOperator(task_id=task_id, test_id=catalog.TEST_FAILS, **ASKED)
        TesterArmyRunGroupOperator(task_id="again", group_id=catalog.GROUP_FLAKY, deferrable=True, **ASKED)
        TesterArmyRunTestOperator(
            task_id="timed_out",
            test_id=catalog.TEST_FAILS,
            ask_timeout=timedelta(seconds=5),
            ask_default="accept",
            **ASKED,
        )
        TesterArmyRunTestOperator(
            task_id="assigned", test_id=catalog.TEST_FAILS, ask_users=["somebody-else"], **ASKED
        )
