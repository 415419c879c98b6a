"""A group with a task for each test, from a file beside this one, and one with mapped tasks."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.task_groups.testerarmy import TesterArmyGroupTaskGroup

ARGS = {"poll_interval": 0.5}

with DAG("task_group", schedule=None, max_active_tasks=3):
    # The file lists three of the five tests of the group.
    TesterArmyGroupTaskGroup(
        "checkout", testerarmy_group_id=catalog.GROUP_FAILING, tests="task_group.yaml", operator_args=ARGS
    )
    TesterArmyGroupTaskGroup("journey", testerarmy_group_id=catalog.GROUP_SEQUENTIAL, operator_args=ARGS)
