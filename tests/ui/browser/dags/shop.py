"""What the tab has to show: every kind of verdict, with and without reports, while waiting, and nothing at all."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sandbox.docket import catalog as docket
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

REPORTS = f"{os.environ['AIRFLOW_HOME']}/reports/{{{{ run_id }}}}/{{{{ ti.task_id }}}}"
REPORTED = {"report_path": [f"{REPORTS}.json", f"{REPORTS}.html"], "copy_screenshots": True}
ARGS = {"poll_interval": 0.2, "retries": 1, "retry_delay": timedelta(seconds=0)}
OPTIONS = {"schedule": None, "default_args": ARGS, "max_active_tasks": 2}

with DAG("shop", **OPTIONS):
    TesterArmyRunGroupOperator(
        task_id="regression", group_id=catalog.GROUP_NIGHTLY, gate={"max_severity": 3}, **REPORTED
    )
    TesterArmyRunGroupOperator(
        task_id="checkout",
        group_id=catalog.GROUP_FAILING,
        environment="staging",
        commit_sha="4f2d1c9aa0b1c2d3e4f5061728394a5b6c7d8e9f",
        **REPORTED,
    )
    TesterArmyRunGroupOperator(task_id="live", group_id=catalog.GROUP_FAILING)
    TesterArmyRunTestOperator.partial(task_id="mapped").expand(
        test_id=[catalog.TEST_LOGIN, catalog.TEST_CART]
    )
    DocketRunTestsOperator(task_id="docket", test_blueprint_ids=[201, 202, 203])

    @task
    def deploy() -> str:
        return "nothing to do with tests"

    deploy()

with DAG("widgets", **OPTIONS):
    # The next run overwrites a report whose path has no id of its run.
    TesterArmyRunGroupOperator(
        task_id="widgets",
        group_id=catalog.GROUP_FLAKY,
        report_path=f"{os.environ['AIRFLOW_HOME']}/reports/newest.html",
    )

with DAG("orders", **OPTIONS):
    DocketRunTestsOperator(task_id="broken", test_blueprint_ids=[docket.BLUEPRINT_FAILS], **REPORTED)

with DAG("gates", **OPTIONS):
    TesterArmyRunGroupOperator(
        task_id="night", group_id=catalog.GROUP_FAILING, gate={"fail_on": "new", "confirm": 2}, **REPORTED
    )
    TesterArmyRunGroupOperator(
        task_id="elsewhere",
        group_id=catalog.GROUP_FAILING,
        gate={"fail_on": "new"},
        memory_path=f"{os.environ['AIRFLOW_HOME']}/memory",
    )

with DAG("refused", **OPTIONS):
    TesterArmyRunTestOperator(task_id="refused", test_id=catalog.UNKNOWN_ID)

with DAG("waiting", schedule=None, default_args={"poll_interval": 0.5}):
    waits = TesterArmyRunGroupOperator(task_id="waits", group_id=catalog.GROUP_ENDLESS, deferrable=True)

with DAG("reviews", **OPTIONS):
    TesterArmyRunGroupOperator(task_id="reported", group_id=catalog.GROUP_HOSTILE, **REPORTED)
    TesterArmyRunGroupOperator(task_id="live", group_id=catalog.GROUP_HOSTILE)

with DAG("open_door", **OPTIONS):
    start = TesterArmyRunTestOperator(task_id="start", test_id=catalog.TEST_LOGIN, wait_for_completion=False)
    TesterArmyRunSensor(task_id="wait", run_ids=start.output["run_ids"])
