"""Tasks that people run again, and whose runs they cancel."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

OPTIONS = {"schedule": None, "default_args": {"poll_interval": 0.2}, "max_active_tasks": 2}

with DAG("again", **OPTIONS):
    checkout = TesterArmyRunGroupOperator(task_id="checkout", group_id=catalog.GROUP_FAILING, deferrable=True)

    @task
    def deploy() -> str:
        return "only what was tested"

    checkout >> deploy()

with DAG("again_docket", **OPTIONS):
    DocketRunTestsOperator(task_id="tests", test_blueprint_ids=[201, 202])
    DocketRunTestsOperator(
        task_id="ci",
        test_blueprint_ids=[201, 202],
        github_context={"repository": "acme/shop", "commit_sha": "4f2d1c9"},
    )

with DAG("stopped", **OPTIONS):
    TesterArmyRunGroupOperator(task_id="waits", group_id=catalog.GROUP_ENDLESS, deferrable=True)

with DAG(
    "twice", schedule=None, default_args={"poll_interval": 0.2, "retries": 1, "retry_delay": timedelta(0)}
):
    TesterArmyRunGroupOperator(task_id="widgets", group_id=catalog.GROUP_FLAKY, retry_failed_tests=True)
