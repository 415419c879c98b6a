"""Every night, run a group of tests, judge it, and say in one line how it went.

For a real account: put your group's id here, and your API key into the connection ``testerarmy_default``.
The ids are those of the sandbox, so the DAG runs as it stands with ``make demo`` and ``make ui``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

GROUP_ID = "30000000-0000-4000-8000-000000000002"


@dag(
    schedule="0 2 * * *",
    max_active_runs=1,  # a scheduled and a manual run never test at the same time
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["testerarmy"],
    doc_md=__doc__,
)
def nightly_regression():
    run_regression = TesterArmyRunGroupOperator(
        task_id="run_regression",
        group_id=GROUP_ID,
        deferrable=True,
        poll_interval=5,
        timeout=timedelta(hours=2),
        # The service may break a run; Airflow's retries are for that. A failed test is not retried.
        retries=2,
        retry_delay=timedelta(minutes=5),
        gate={"min_pass_rate": 0.95, "max_severity": 3},
    )

    @task(trigger_rule="all_done")
    def summarize(summary: dict | None = None) -> str:
        if summary is None:
            return "The regression came to no verdict; the log of run_regression says why."
        counts = ", ".join(f"{count} {outcome}" for outcome, count in summary["counts"].items())
        line = f"Regression {summary['verdict']}: {counts}."
        print(line)
        return line

    summarize(run_regression.output)


nightly_regression()
