"""Written by hand from llms.txt alone: a nightly regression, a smoke test after it, and a message about both."""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunPromptOperator,
)
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor


@dag(
    schedule="0 2 * * *", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False, max_active_runs=1
)
def from_llms():
    started = TesterArmyRunGroupOperator(
        task_id="start",
        group_id="30000000-0000-4000-8000-000000000002",
        wait_for_completion=False,
        retries=2,
    )
    night = TesterArmyRunSensor(
        task_id="night",
        run_ids=started.output["run_ids"],
        deferrable=True,
        timeout=timedelta(minutes=45),
        gate={"min_pass_rate": 0.95},
    )
    smoke = TesterArmyRunPromptOperator(
        task_id="smoke",
        prompt="Open https://shop.example and put a product into the cart.",
        deferrable=True,
        retries=2,
        timeout=timedelta(minutes=45),
        gate={"report_only": True},
    )

    @task(trigger_rule="all_done")
    def tell(summary):
        return f"{summary['verdict']}: {summary['reasons']}"

    night >> smoke
    tell(night.output)


from_llms()
