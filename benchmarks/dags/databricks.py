"""One deferrable task of Databricks' provider, mapped as often as the task of `mapped.py`."""

from __future__ import annotations

from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator  # type: ignore[import-not-found]
from airflow.sdk import DAG

from benchmarks.sizes import numbers

with DAG("databricks", schedule=None, catchup=False, max_active_tasks=1000):
    DatabricksRunNowOperator.partial(
        task_id="run", deferrable=True, retries=2, polling_period_seconds=5
    ).expand(job_id=numbers())
