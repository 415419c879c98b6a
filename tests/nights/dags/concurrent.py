"""Two DAGs that test one group, so that their nights share a memory: in a worker, and in the triggerer."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from tests.nights.tests_of import GROUPS

for mode in ("sync", "deferrable"):
    with DAG(f"concurrent_{mode}", schedule=None, max_active_runs=8, max_active_tasks=8) as dag:
        TesterArmyRunGroupOperator(
            task_id="shop",
            group_id=GROUPS["worker"],
            gate={"fail_on": "new", "confirm": 2},
            deferrable=mode == "deferrable",
            poll_interval=0.5,
            retries=2,
            retry_delay=timedelta(seconds=1),
        )
    globals()[dag.dag_id] = dag
