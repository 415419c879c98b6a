"""A group with a failing test under a gate that remembers, for each place. It needs Airflow 3.3."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

HOME = os.environ.get("AIRFLOW_HOME", ".")

with DAG(
    "memory",
    schedule=None,
    default_args={
        "poll_interval": 0.5,
        "gate": {"fail_on": "new"},
        "commit_sha": "4f2d1c9",
        "target_url": "https://shop.example",
    },
    max_active_tasks=3,
):
    TesterArmyRunGroupOperator(
        task_id="worker", group_id=catalog.GROUP_FAILING, environment="staging", deferrable=False
    )
    TesterArmyRunGroupOperator(
        task_id="triggerer", group_id=catalog.GROUP_FAILING, environment="production", deferrable=True
    )
    TesterArmyRunGroupOperator.partial(
        task_id="mapped", gate={"fail_on": "new"}, environment="preview"
    ).expand(group_id=[catalog.GROUP_FAILING])
    TesterArmyRunGroupOperator(
        task_id="folder",
        group_id=catalog.GROUP_FAILING,
        gate='{{ {"fail_on": "new"} | tojson }}',
        memory_path=f"{HOME}/memory",
    )
