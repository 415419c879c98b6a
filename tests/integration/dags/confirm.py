"""Flaky tests of both services under a gate that confirms failures, each in a worker and then in the triggerer."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.docket import catalog as docket
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

DEFAULTS = {"poll_interval": 0.5, "gate": {"confirm": 2}, "trigger_rule": "all_done"}

with DAG("confirm", schedule=None, default_args=DEFAULTS):
    # One after the other: the tests fail and pass in turn, whoever runs them.
    worker, triggerer = (
        TesterArmyRunGroupOperator(task_id=name, group_id=catalog.GROUP_FLAKY, deferrable=name == "triggerer")
        for name in ("worker", "triggerer")
    )
    worker >> triggerer

    docket_worker, docket_triggerer = (
        DocketRunTestsOperator(
            task_id=name,
            test_blueprint_ids=[docket.BLUEPRINT_PASSES, docket.BLUEPRINT_FLAKY],
            deferrable=name == "docket_triggerer",
        )
        for name in ("docket_worker", "docket_triggerer")
    )
    docket_worker >> docket_triggerer

    # With a commit, a part of the tests would overwrite what GitHub shows. So all of them run again.
    DocketRunTestsOperator(
        task_id="docket_commit",
        test_blueprint_ids=[docket.BLUEPRINT_CART, docket.BLUEPRINT_FAILS],
        github_context={"repository": "acme/shop", "commit_sha": "4f2d1c9"},
        deferrable=True,
    )
