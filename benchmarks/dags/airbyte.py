"""One deferrable task of Airbyte's provider, mapped as often as the task of `mapped.py`."""

from __future__ import annotations

from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator  # type: ignore[import-not-found]
from airflow.sdk import DAG

from benchmarks.sizes import numbers

with DAG("airbyte", schedule=None, catchup=False, max_active_tasks=1000):
    AirbyteTriggerSyncOperator.partial(task_id="run", deferrable=True, retries=2, timeout=3600).expand(
        connection_id=[f"80000000-0000-4000-8000-{number:012d}" for number in numbers()]
    )
