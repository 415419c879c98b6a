"""A decorated task in Airflow's own task runner."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.decorators.testerarmy import task_testerarmy
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

if not airflow_compat.TASK_STATE_STORE.available:
    pytest.skip("uses the task runner of Airflow 3.3 and later", allow_module_level=True)

from airflow.sdk.execution_time import comms

from tests.decorators.returning import Returns, task_of
from tests.lifecycle.airflow_channel import BEGAN, TaskProcesses


def test_a_task_defers_and_resumes(service, connections):
    """The function runs once, and the fields that Airflow shows are those that were sent."""
    function = Returns(catalog.TEST_PASSES, AssertionError("called again"))
    task = TaskProcesses(task_of(function, deferrable=True))
    task.run()
    service.control.clock.advance(60)
    task.resume()
    assert task.channel.xcoms["return_value"]["verdict"] == "passed"
    assert function.calls == 1
    shown = [each.rendered_fields for each in task.channel.of_kind(comms.SetRenderedFields)]
    assert shown[-1]["test_id"] == catalog.TEST_PASSES
    assert shown[0]["prompt"] == "(what the function returns)"


def test_a_skip_is_a_skip(service, connections):
    task = TaskProcesses(task_of(Returns(AirflowSkipException("nothing has changed"))))
    task.run()
    assert task.state == "skipped"


def test_the_function_gets_airflows_context(service, connections):
    with DAG("dag", schedule=None, start_date=BEGAN):

        @task_testerarmy(deferrable=True)
        def tests(page: str, ti, **context):
            return f"Open {page} of {ti.task_id} in {context['run_id']}."

        made = tests("/{{ run_id }}")
    task = TaskProcesses(made.operator)
    task.run()
    (record, *_) = [each.value for each in task.channel.records]
    assert "Open /manual of tests in manual." in record["chosen"]
