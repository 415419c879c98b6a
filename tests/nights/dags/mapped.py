"""A mapped task that tests two groups at the address of each night, and bisects what is new."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from tests.nights import calendar
from tests.nights.tests_of import GROUPS

HOME = Path(os.environ.get("AIRFLOW_HOME", "."))
ServiceSession.clock = staticmethod(lambda: calendar.now(HOME))

with DAG("mapped", schedule=None, max_active_tasks=8, max_active_runs=8):
    TesterArmyRunGroupOperator.partial(
        task_id="shop",
        target_url="{{ dag_run.conf['address'] }}",
        commit_sha="{{ dag_run.conf['commit'] }}",
        gate={"fail_on": "new"},
        bisect=True,
        deferrable=True,
        poll_interval=0.5,
        timeout=calendar.TIMEOUT,
    ).expand(group_id=list(GROUPS.values()))
