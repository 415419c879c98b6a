"""Four tasks that start at once, with a budget for two of them. It needs Airflow 3.3."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

with DAG(
    "budget",
    schedule=None,
    default_args={"poll_interval": 0.5},
):
    for number in range(4):
        TesterArmyRunTestOperator(
            task_id=f"test_{number}",
            test_id=catalog.TEST_PASSES,
            deferrable=number % 2 == 1,
            budget={"runs": "{{ 1 + 1 }}", "minutes": 600, "per": "month"},
        )
    TesterArmyRunTestOperator.partial(
        task_id="mapped", budget={"runs": 1, "pool": "mapped", "on_exhausted": "skip"}, deferrable=False
    ).expand(test_id=[catalog.TEST_PASSES, catalog.TEST_PASSES_WITH_WARNING])
