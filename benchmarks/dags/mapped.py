"""One deferrable task, mapped over every group of the sandbox."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from benchmarks.sizes import group_ids

with DAG("mapped_groups", schedule=None, catchup=False, max_active_tasks=1000):
    TesterArmyRunGroupOperator.partial(
        task_id="run", deferrable=True, poll_interval=5, timeout=3600, retries=2
    ).expand(group_id=group_ids())
