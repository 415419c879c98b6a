"""Promote a commit once all gates have passed it, in any order.

``web_gate`` and ``mobile_gate`` each run tests of one commit, for example started by your CI. A pass adds the
commit as a partition to the gate's asset. ``promote`` runs once for each commit that both assets have.

To use it with your account, put your groups' ids here, and your API key into the connection ``testerarmy_default``.
It needs Airflow 3.3.
"""

from __future__ import annotations

from airflow.sdk import Asset, PartitionedAssetTimetable, dag, task

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

WEB_GROUP_ID = "30000000-0000-4000-8000-000000000002"
MOBILE_GROUP_ID = "30000000-0000-4000-8000-000000000010"

web_passed = Asset("web_passed")
mobile_passed = Asset("mobile_passed")


@dag(
    schedule=None, params={"commit": "0000000", "group_id": WEB_GROUP_ID}, tags=["testerarmy"], doc_md=__doc__
)
def web_gate():
    TesterArmyRunGroupOperator(
        task_id="test_web",
        group_id="{{ params.group_id }}",
        commit_sha="{{ params.commit }}",
        partition_key="{{ params.commit }}",
        outlets=[web_passed],
        poll_interval=5,
    )


@dag(schedule=None, params={"commit": "0000000", "group_id": MOBILE_GROUP_ID}, tags=["testerarmy"])
def mobile_gate():
    TesterArmyRunGroupOperator(
        task_id="test_mobile",
        group_id="{{ params.group_id }}",
        commit_sha="{{ params.commit }}",
        partition_key="{{ params.commit }}",
        outlets=[mobile_passed],
        poll_interval=5,
    )


@dag(
    schedule=PartitionedAssetTimetable(assets=web_passed & mobile_passed),
    max_active_runs=1,
    catchup=False,
    tags=["testerarmy"],
)
def promote():
    @task
    def deploy(dag_run=None) -> str:
        return f"Promoting {dag_run.partition_key}"

    deploy()


web_gate()
mobile_gate()
promote()
