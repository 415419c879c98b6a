"""Run a group of tests every night, judge the results with a gate, and print a one-line summary.

To use it with your account, put your group's id here and your API key into the connection ``testerarmy_default``.
The ids are the sandbox's, so the DAG runs unchanged with ``make demo`` and ``make ui``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

GROUP_ID = "30000000-0000-4000-8000-000000000002"


@dag(
    schedule="0 2 * * *",
    max_active_runs=1,  # a scheduled and a manual run never overlap
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
        # Retries are for runs that the service broke. By default, a failed test does not retry the task.
        retries=2,
        retry_delay=timedelta(minutes=5),
        gate={"min_pass_rate": 0.95, "max_severity": 3},
    )

    @task(trigger_rule="all_done")
    def summarize(summary: dict | None = None) -> str:
        if summary is None:
            return "The regression has no verdict. See the log of run_regression."
        counts = ", ".join(f"{count} {outcome}" for outcome, count in summary["counts"].items())
        line = f"Regression {summary['verdict']}: {counts}."
        print(line)
        return line

    summarize(run_regression.output)


nightly_regression()
