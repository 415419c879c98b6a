"""DAGs of one task each: what is run comes from the DAG run's conf, how it is run is in the DAG's name.

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
                # A connection of its own keeps each case's requests apart from those of all others.
                what = {target: "{{ dag_run.conf['target'] }}", conn_id: "{{ dag_run.conf['conn_id'] }}"}
                operator(**COMMON, **what, retries=retries, deferrable=mode == "deferrable")
