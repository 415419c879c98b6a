"""Outputs of mapped and unmapped tasks as a sensor's runs, and templates that render to numbers."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.operators.testerarmy_catalogue import TesterArmyListTestsOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

with DAG(
    "mapped",
    schedule=None,
    default_args={"poll_interval": 0.5},
    max_active_tasks=3,
    render_template_as_native_obj=True,
    params={"commit": "4112983", "pull_request": 42},
):
    many = TesterArmyRunGroupOperator.partial(
        task_id="many", wait_for_completion=False, commit_sha="{{ params.commit }}"
    ).expand(group_id=[catalog.GROUP_SEQUENTIAL, catalog.GROUP_WITH_DISABLED])
    TesterArmyRunSensor(task_id="wait_many", run_ids=many.output["run_ids"])
    TesterArmyRunSensor(task_id="wait_summaries", run_ids=many.output, deferrable=True)

    one = TesterArmyRunGroupOperator(
        task_id="one",
        group_id=catalog.GROUP_SEQUENTIAL,
        wait_for_completion=False,
        commit_sha="{{ params.commit }}",
        pr_number="{{ params.pull_request }}",
    )
    TesterArmyRunSensor(task_id="wait_one", run_ids=one.output)
    # A scheduler takes a task for lost that is rescheduled sooner than it took note of the time before.
    one >> TesterArmyRunSensor(
        task_id="wait_template",
        run_ids="{{ ti.xcom_pull(task_ids='one') }}",
        mode="reschedule",
        poll_interval=5,
    )

    listed = TesterArmyListTestsOperator(
        task_id="listed", project_id=catalog.PROJECT_SHOP, group_id=catalog.GROUP_PREPARED
    )
    TesterArmyRunTestOperator.partial(task_id="each").expand(test_id=listed.output)
