"""Deploy a preview, test it, then promote it or roll it back.

To use it with your account, put your group's id here and your API key into the connection ``testerarmy_default``.
Replace ``deploy``, ``promote`` and ``roll_back`` with your own steps.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

GROUP_ID = "30000000-0000-4000-8000-000000000002"


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={
        "commit_sha": Param("4f2d1c9", type="string", minLength=1, title="Commit to deploy"),
        "group_id": Param(GROUP_ID, type="string", title="Test group"),
    },
    render_template_as_native_obj=False,
    tags=["testerarmy"],
    doc_md=__doc__,
)
def test_after_deploy():
    @task
    def deploy(params: dict | None = None) -> dict[str, str]:
        commit = params["commit_sha"]
        return {"url": f"https://preview-{commit}.shop.example", "commit": commit}

    deployed = deploy()

    run_tests = TesterArmyRunGroupOperator(
        task_id="run_tests",
        group_id="{{ params.group_id }}",
        target_url=deployed["url"],
        commit_sha=deployed["commit"],
        environment="preview",
        deferrable=True,
        poll_interval=5,
        timeout=timedelta(minutes=45),
    )

    @task
    def promote(deployment: dict[str, str]) -> None:
        print(f"Promoting {deployment['commit']} to production.")

    # Roll back for any failure: failed tests, a broken service, or a time-out.
    @task(trigger_rule="one_failed")
    def roll_back(deployment: dict[str, str]) -> None:
        print(f"Rolling back {deployment['commit']}.")

    run_tests >> [promote(deployed), roll_back(deployed)]


test_after_deploy()
