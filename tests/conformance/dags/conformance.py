"""DAGs with one task each: the DAG run's conf says what to run, and the DAG's name says how.

``conformance_VENDOR_MODE_RETRIES``
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator

VENDORS: dict[str, tuple[type, str, str]] = {
    "testerarmy": (TesterArmyRunTestOperator, "test_id", "testerarmy_conn_id"),
    "docket": (DocketRunTestsOperator, "test_blueprint_ids", "docket_conn_id"),
}
COMMON: dict[str, Any] = {
    "task_id": "run",
    "poll_interval": 1,
    "timeout": "{{ dag_run.conf['timeout'] }}",
    "retry_delay": timedelta(seconds=1),
}

for vendor, (operator, target, conn_id) in VENDORS.items():
    for mode in ("sync", "deferrable"):
        for retries in (0, 2):
            with DAG(
                f"conformance_{vendor}_{mode}_{retries}",
                schedule=None,
                catchup=False,
                max_active_runs=100,
                max_active_tasks=100,
            ):
                # Each case has its own connection, so that its requests are not shared with other cases.
                what = {target: "{{ dag_run.conf['target'] }}", conn_id: "{{ dag_run.conf['conn_id'] }}"}
                operator(**COMMON, **what, retries=retries, deferrable=mode == "deferrable")
