"""Gates of a commit, of both services, and DAGs that promote it."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINT_PASSES

web, mobile, checkout = Asset("web"), Asset("mobile"), Asset("checkout")

for name, asset in (("web_gate", web), ("mobile_gate", mobile)):
    with DAG(name, schedule=None, params={"commit": "", "group_id": ""}):
        TesterArmyRunGroupOperator(
            task_id="test",
            group_id="{{ params.group_id }}",
            commit_sha="{{ params.commit }}",
            partition_key="{{ params.commit }}",
            outlets=[asset],
            poll_interval=1,
            retries=0,
        )

with DAG("docket_gate", schedule=None, params={"commit": ""}):
    DocketRunTestsOperator(
        task_id="test",
        test_blueprint_ids=[BLUEPRINT_PASSES],
        partition_key="{{ params.commit }}",
        outlets=[checkout],
        poll_interval=1,
        retries=0,
    )

with DAG("promote_all", schedule=PartitionedAssetTimetable(assets=web & checkout), catchup=False):
    EmptyOperator(task_id="promote")

with DAG("promote", schedule=PartitionedAssetTimetable(assets=web & mobile), catchup=False):
    EmptyOperator(task_id="promote")
