"""The notifier as a callback in Airflow's own task runner."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.notifications.testerarmy import (
    GitHubCommitStatus,
    TesterArmyVerdictNotifier,
)
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

if not airflow_compat.TASK_STATE_STORE.available:
    pytest.skip("uses the task runner of Airflow 3.3 and later", allow_module_level=True)

from tests.lifecycle.airflow_channel import BEGAN, TaskProcesses, task_in_dag
from tests.notifications.channels import summary

COMMIT = "4f2d1c9" + "0" * 33


@pytest.mark.parametrize(
    ("test_id", "state"), [(catalog.TEST_PASSES, "success"), (catalog.TEST_FAILS, "failure")]
)
def test_a_task_sends_its_verdict(service, connections, github, no_pauses, test_id, state):
    """After success and after failure."""
    notify = TesterArmyVerdictNotifier(GitHubCommitStatus(repository="acme/shop", commit_sha=COMMIT))
    task = task_in_dag(
        TesterArmyRunTestOperator,
        test_id=test_id,
        deferrable=True,
        on_success_callback=notify,
        on_failure_callback=notify,
    )
    processes = TaskProcesses(task)
    processes.run()
    assert github.statuses == []
    service.control.clock.advance(60)
    processes.resume()
    assert [status["state"] for status in github.statuses] == [state]
    assert github.statuses[0]["target_url"].startswith("https://tester.army/")


def test_a_later_task_sends_the_verdict_of_the_dag_run(github):
    class Report(BaseOperator):
        def execute(self, context):
            channel = GitHubCommitStatus(repository="acme/shop", commit_sha=COMMIT)
            TesterArmyVerdictNotifier(channel, of="dag_run")(context)

    with DAG("dag", schedule=None, start_date=BEGAN):
        TesterArmyRunTestOperator(task_id="one", test_id=catalog.TEST_PASSES)
        task = Report(task_id="tests", trigger_rule="all_done")
    processes = TaskProcesses(task)
    processes.channel.xcoms["return_value"] = summary("failed", "Checkout")
    processes.run()
    assert [status["state"] for status in github.statuses] == ["failure"]
