"""One failing test of each service under a gate that remembers earlier nights in a folder."""

from __future__ import annotations

import os

from airflow.providers.common.compat.sdk import dag

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINT_CART, BLUEPRINT_FAILS
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import GROUP_FAILING

FOLDER = f"file://{os.environ.get('AIRFLOW_HOME', '.')}/memory"
DEFAULTS = {"poll_interval": 0.2, "memory_path": FOLDER, "gate": {"fail_on": "new", "confirm": 2}}


@dag(schedule=None, default_args=DEFAULTS)
def remembers() -> None:
    for where, environment in (("worker", "production"), ("triggerer", "staging")):
        deferrable = where == "triggerer"
        TesterArmyRunGroupOperator(
            task_id=f"testerarmy_{where}",
            group_id=GROUP_FAILING,
            environment=environment,
            deferrable=deferrable,
        )
        # Docket has no environments, and each list of tests has a memory of its own.
        tests = [BLUEPRINT_FAILS, *([BLUEPRINT_CART] if deferrable else [])]
        DocketRunTestsOperator(task_id=f"docket_{where}", test_blueprint_ids=tests, deferrable=deferrable)


remembers()
