"""One task that only defers, mapped as often as the task of `mapped.py`."""

from __future__ import annotations

from airflow.sdk import DAG

from benchmarks.floor_task import DeferOnlyOperator
from benchmarks.sizes import numbers

with DAG("floor", schedule=None, catchup=False, max_active_tasks=1000):
    DeferOnlyOperator.partial(task_id="run", path="{{ dag_run.conf['file'] }}").expand(number=numbers())
