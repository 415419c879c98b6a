"""One deferrable task of dbt Cloud's provider, mapped as often as the task of `mapped.py`."""

from __future__ import annotations

from airflow.providers.dbt.cloud.operators.dbt import DbtCloudRunJobOperator  # type: ignore[import-not-found]
from airflow.sdk import DAG

from benchmarks.sizes import numbers

with DAG("dbt_cloud", schedule=None, catchup=False, max_active_tasks=1000):
    DbtCloudRunJobOperator.partial(
        task_id="run", deferrable=True, retries=2, check_interval=5, account_id=1
    ).expand(job_id=numbers())
