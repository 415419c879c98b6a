"""One task that only defers, mapped as often as the task of `mapped.py`."""

from __future__ import annotations

from airflow.sdk import DAG

from benchmarks.catalog import group_ids
from benchmarks.floor_task import DeferOnlyOperator

with DAG("floor", schedule=None, catchup=False, max_active_tasks=1000):
    DeferOnlyOperator.partial(task_id="run", path="{{ dag_run.conf['file'] }}").expand(
        number=[*range(len(group_ids()))]
    )
