"""A group with a flaky test under a gate that confirms failures, in a worker and then in the triggerer."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

with DAG("confirm", schedule=None, default_args={"poll_interval": 0.5, "gate": {"confirm": 2}}):
    # One after the other: the test fails and passes in turn, whoever runs it.
    worker, triggerer = (
        TesterArmyRunGroupOperator(
            task_id=name,
            group_id=catalog.GROUP_FLAKY,
            deferrable=name == "triggerer",
            trigger_rule="all_done",
        )
        for name in ("worker", "triggerer")
    )
    worker >> triggerer
