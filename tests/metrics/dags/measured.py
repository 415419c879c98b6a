"""Tasks that end in different ways, in the worker and in the triggerer."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

with DAG("measured", schedule=None, default_args={"poll_interval": 0.5}, max_active_tasks=2):
    TesterArmyRunGroupOperator(task_id="passed", group_id=catalog.GROUP_SEQUENTIAL)
    TesterArmyRunTestOperator(
        task_id="failed",
        test_id=catalog.TEST_FAILS,
        deferrable=True,
        gate={"confirm": 2},
        report_path=f"{os.environ['AIRFLOW_HOME']}/report.md",
    )
    TesterArmyRunTestOperator(task_id="endless", test_id=catalog.TEST_ENDLESS, timeout=5)
