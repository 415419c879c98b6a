"""The same five tests by three tasks: TesterArmy in a worker and in the triggerer, and Docket with a folder."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from tests.nights import calendar
from tests.nights.tests_of import BLUEPRINTS, GROUPS

HOME = Path(os.environ.get("AIRFLOW_HOME", "."))
ServiceSession.clock = staticmethod(lambda: calendar.now(HOME))

DEFAULTS = {
    "poll_interval": 0.5,
    "timeout": calendar.TIMEOUT,
    "retries": 1,
    "retry_delay": timedelta(seconds=2),
    "gate": {
        "fail_on": "new",
        "known_for": timedelta(days=4, hours=12),
        "quarantine": {"after_transitions": 4, "of": 10, "for": "7d"},
        "confirm": 2,
    },
}

with DAG("nights", schedule=None, default_args=DEFAULTS, max_active_tasks=8, max_active_runs=8):
    TesterArmyRunGroupOperator(task_id="worker", group_id=GROUPS["worker"], deferrable=False)
    TesterArmyRunGroupOperator(
        task_id="triggerer",
        group_id=GROUPS["triggerer"],
        deferrable=True,
        environment="staging",
        commit_sha="{{ dag_run.conf['commit'] }}",
    )
    DocketRunTestsOperator(
        task_id="folder",
        test_blueprint_ids=list(BLUEPRINTS.values()),
        deferrable=True,
        memory_path=f"file://{HOME}/memory",
    )
