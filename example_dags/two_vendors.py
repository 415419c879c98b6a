"""Test a release with TesterArmy and Docket at the same time, and promote it only if both pass.

To use it with your account, put your ids here, and your API keys into the connections ``testerarmy_default`` and
``docket_default``. The ids are the sandbox's; its Docket API is at ``/docket``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

GROUP_ID = "30000000-0000-4000-8000-000000000002"
BLUEPRINT_IDS = [201, 202, 203]


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={"commit_sha": Param("4f2d1c9", type="string", minLength=1, title="Commit to test")},
    tags=["testerarmy", "docket"],
    doc_md=__doc__,
)
def two_vendors():
    waiting = {"deferrable": True, "poll_interval": 5, "timeout": timedelta(hours=1)}

    with_testerarmy = TesterArmyRunGroupOperator(
        task_id="with_testerarmy",
        group_id=GROUP_ID,
        commit_sha="{{ params.commit_sha }}",
        gate={"max_severity": 3},
        **waiting,
    )

    # Docket's API cannot cancel runs: if this task is killed, its runs continue to their end.
    with_docket = DocketRunTestsOperator(
        task_id="with_docket",
        test_blueprint_ids=BLUEPRINT_IDS,
        github_context={"repository": "acme/shop", "commit_sha": "{{ params.commit_sha }}"},
        **waiting,
    )

    @task
    def promote(summaries: list[dict]) -> str:
        passed = sum(summary["counts"].get("passed", 0) for summary in summaries)
        line = f"Promoting: {passed} runs passed, {sum(summary['flaky'] for summary in summaries)} of them flaky."
        print(line)
        return line

    promote([with_testerarmy.output, with_docket.output])


two_vendors()
