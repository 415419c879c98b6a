"""A DAG that tests what each date has deployed. It is due every day."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from tests.nights.tests_of import GROUPS

HOME = Path(os.environ.get("AIRFLOW_HOME", "."))
DAY = "dag_run.run_after.strftime('%m%d')"

with DAG("backfilled", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
    TesterArmyRunGroupOperator(
        task_id="shop",
        group_id=GROUPS["worker"],
        target_url="{{ (dag_run.conf or {}).get('address') or 'https://d' ~ "
        + DAY
        + " ~ '.shop.example/' }}",
        commit_sha="c0de{{ " + DAY + " }}",
        gate={"fail_on": "new"},
        deferrable=True,
        poll_interval=0.5,
    )
