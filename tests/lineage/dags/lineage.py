"""Tasks that end in each way of which OpenLineage has an event."""

from __future__ import annotations

from airflow.sdk import DAG, Asset

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINT_PASSES
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

with DAG("lineage", schedule=None, default_args={"poll_interval": 0.5}, max_active_tasks=3):
    TesterArmyRunGroupOperator(
        task_id="passed",
        group_id=catalog.GROUP_SEQUENTIAL,
        target_url="https://user:secret@staging.shop.example/cart?token=secret",
        commit_sha="4f2d1c9aa",
        inlets=[Asset("shop", uri="https://shop.example/cart")],
    )
    TesterArmyRunGroupOperator(task_id="failed", group_id=catalog.GROUP_FAILING)
    TesterArmyRunGroupOperator(task_id="deferred", group_id=catalog.GROUP_FAILING, deferrable=True)
    TesterArmyRunGroupOperator(task_id="skipped", group_id=catalog.GROUP_SKIPPED)
    TesterArmyRunTestOperator(task_id="refused", test_id="{{ 'no id' }}")
    TesterArmyRunTestOperator.partial(task_id="mapped").expand(
        test_id=[catalog.TEST_PASSES, catalog.TEST_FAILS]
    )
    DocketRunTestsOperator(task_id="docket", test_blueprint_ids=[BLUEPRINT_PASSES])
    started = TesterArmyRunGroupOperator(
        task_id="started", group_id=catalog.GROUP_SEQUENTIAL, wait_for_completion=False
    )
    TesterArmyRunSensor(task_id="sensor", run_ids=started.output["run_ids"])
