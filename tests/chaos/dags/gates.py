"""Two gates of a commit, and a DAG that promotes it."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

web, mobile = Asset("web"), Asset("mobile")

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

with DAG("promote", schedule=PartitionedAssetTimetable(assets=web & mobile), catchup=False):
    EmptyOperator(task_id="promote")
