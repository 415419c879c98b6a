"""Run a group of tests with one request, and show each test as a task: a failed test is red by its name.

To use it with your account, put your group's id here, list its tests in ``test_by_test.yaml``, and put your API
key into the connection ``testerarmy_default``. The ids are the sandbox's, so the DAG runs unchanged with
``make demo`` and ``make ui``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag

from airflow_provider_testerarmy.task_groups.testerarmy import TesterArmyGroupTaskGroup

GROUP_ID = "30000000-0000-4000-8000-000000000010"


@dag(
    schedule="0 4 * * *",
    max_active_runs=1,  # a scheduled and a manual run never overlap
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["testerarmy"],
    doc_md=__doc__,
)
def test_by_test():
    TesterArmyGroupTaskGroup(
        "customer_journey",
        testerarmy_group_id=GROUP_ID,
        tests="test_by_test.yaml",
        operator_args={"poll_interval": 5, "retries": 2, "retry_delay": timedelta(minutes=5)},
    )


test_by_test()
