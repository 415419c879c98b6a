"""The retry policy, asked by Airflow's own task runner."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

from airflow_provider_testerarmy import airflow_compat, retries
from airflow_provider_testerarmy.exceptions import (
    RunErrored,
    RunInterrupted,
    ServiceUnavailable,
    TestsFailed,
    TriggerFailed,
    WaitTimedOut,
)
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited, WaitEnd
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from airflow_provider_testerarmy.triggers.runs import make_event
from tests.lifecycle.conftest import connections, no_pauses
from tests.lifecycle.tries import posts

__all__ = ["connections", "no_pauses"]


def test_the_module_can_be_imported_on_every_version():
    """An old version refuses only the policy, and says which one it needs."""
    with pytest.raises(AttributeError):
        _ = retries.AnotherPolicy
    if not airflow_compat.RETRY_POLICY.available:
        with pytest.raises(ImportError, match=r"TestRetryPolicy needs Airflow 3\.3 or later"):
            from airflow_provider_testerarmy.retries import TestRetryPolicy  # noqa: F401


if airflow_compat.RETRY_POLICY.available:
    from airflow.sdk.definitions.retry_policy import RetryAction
    from airflow.sdk.execution_time import comms

    from airflow_provider_testerarmy.retries import TestRetryPolicy
    from tests.lifecycle.airflow_channel import TaskProcesses, task_in_dag

new_airflow = pytest.mark.skipif(
    not airflow_compat.RETRY_POLICY.available, reason="retry policies need Airflow 3.3"
)


def processes(kind=TesterArmyRunTestOperator, retries=3, policy=None, **parameters):
    """A task with retries; by default a test that passes."""
    target = {} if kind is not TesterArmyRunTestOperator else {"test_id": catalog.TEST_PASSES}
    known = {"poll_interval": 0.05, "max_outage": 30, "retry_policy": policy or TestRetryPolicy()}
    return TaskProcesses(task_in_dag(kind, **{**target, **known, **parameters}), retries)


def next_try(task):
    """Run a try; the message to the supervisor if Airflow starts another one, None if it does not."""
    asked = len(task.channel.of_kind(comms.RetryTask))
    task.run()
    task.try_number += 1
    return next(iter(task.channel.of_kind(comms.RetryTask)[asked:]), None)


@new_airflow
@pytest.mark.parametrize(("status", "kind"), [(503, "POST *"), (429, "POST *"), (503, "*")])
def test_a_busy_service_is_asked_again_when_it_wants(service, connections, no_pauses, status, kind):
    """Not after the `retry_delay` of the task. The next try passes."""
    service.control.faults.add("status", kind, status=status, retry_after=120, times=-1)
    task = processes()
    message = next_try(task)
    assert message.retry_delay_seconds == 120
    assert message.retry_reason == "ServiceUnavailable: retry after 120 s, as the service asks."
    assert posts(service) == 0
    service.control.faults.clear()
    assert next_try(task) is None
    assert task.state == "success"


@new_airflow
def test_a_busy_service_is_asked_again_when_it_wants_during_a_wait(service, connections, no_pauses):
    """What is left of the time that the service has named."""
    task = processes(max_outage=1)
    service.control.faults.add("status", "GET *", status=503, retry_after=500, times=-1, armed_by="POST *")
    message = next_try(task)
    assert 400 < message.retry_delay_seconds <= 500
    assert message.retry_reason.startswith("ServiceUnavailable: retry after")


@new_airflow
def test_a_deferred_task_is_told_by_the_event_of_its_trigger(service, connections):
    """The trigger has seen the `Retry-After`, and the worker raises the error."""
    task = processes(deferrable=True)
    task.run()
    run_ids = task.channel.xcoms["run_ids"]
    event = make_event(Waited(WaitEnd.UNAVAILABLE, {}, "busy", 33.0), run_ids)
    deferral = task.deferral
    task.run(deferral.next_method, {"event": event})
    (message,) = task.channel.of_kind(comms.RetryTask)
    assert message.retry_delay_seconds == 33


@new_airflow
def test_the_service_cannot_ask_for_more_than_the_maximum(service, connections, no_pauses):
    """A mistaken `Retry-After` does not stop the nightly tests."""
    service.control.faults.add("status", "*", status=503, retry_after=7200, times=-1)
    message = next_try(processes(policy=TestRetryPolicy(longest=timedelta(minutes=2))))
    assert message.retry_delay_seconds == 120


@new_airflow
def test_without_a_time_the_delay_of_the_task_applies(service, connections, no_pauses):
    """The policy names none."""
    service.control.faults.add("status", "*", status=503, times=-1)
    message = next_try(processes())
    assert message.retry_delay_seconds is None
    assert message.retry_reason == "ServiceUnavailable: not caused by the product."


@new_airflow
def test_a_run_that_the_service_broke_is_retried(service, connections, no_pauses):
    task = processes(TesterArmyRunGroupOperator, group_id=catalog.GROUP_BROKEN)
    assert next_try(task).retry_reason == "RunErrored: not caused by the product."


@new_airflow
@pytest.mark.parametrize("retried", [False, True])
def test_a_failed_verdict_is_never_retried(service, connections, no_pauses, retried):
    """Neither with `retry_failed_tests`: the policy comes first."""
    task = processes(test_id=catalog.TEST_FAILS, retry_failed_tests=retried)
    assert next_try(task) is None
    assert (task.state, posts(service)) == ("failed", 1)
    assert task.channel.stored["test_runs"]["stage"] == "concluded"


@new_airflow
def test_a_failed_verdict_is_confirmed_once(service, connections, no_pauses):
    """Although Airflow would grant more retries."""
    task = processes(
        test_id=catalog.TEST_FAILS, retry_failed_tests=True, policy=TestRetryPolicy(confirm=True)
    )
    assert next_try(task).retry_reason == "Failed tests run once more, to confirm the failure."
    assert task.channel.stored["test_runs"]["stage"] == "again"
    assert next_try(task) is None
    assert (task.state, posts(service)) == ("failed", 2)
    assert task.channel.stored["test_runs"]["stage"] == "concluded"


@new_airflow
def test_a_broken_try_does_not_count_as_a_confirmation(service, connections, no_pauses):
    """The service breaks first, then a test fails, and then it fails again."""
    service.control.faults.add("status", "*", status=503, retry_after=60, times=-1)
    task = processes(
        test_id=catalog.TEST_FAILS, retry_failed_tests=True, policy=TestRetryPolicy(confirm=True)
    )
    assert next_try(task).retry_delay_seconds == 60
    service.control.faults.clear()
    assert next_try(task).retry_delay_seconds is None
    assert next_try(task) is None


@new_airflow
@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (402, "payment_required")])
def test_a_rejected_key_and_an_unpaid_bill_are_not_retried(service, connections, no_pauses, status, code):
    """A `Retry-After` does not change that, and Airflow does not ask the policy."""
    service.control.faults.add("status", "*", status=status, code=code, retry_after=5, times=-1)
    task = processes()
    assert next_try(task) is None
    assert (task.state, posts(service)) == ("failed", 0)


@new_airflow
def test_a_sensor_follows_the_policy(service, connections, no_pauses):
    service.control.faults.add("status", "*", status=503, retry_after=300, times=-1)
    task = processes(TesterArmyRunSensor, run_ids=[catalog.UNKNOWN_ID])
    assert next_try(task).retry_delay_seconds > 60


@new_airflow
@pytest.mark.parametrize(
    "kind", [RunErrored, TriggerFailed, RunInterrupted, WaitTimedOut, ServiceUnavailable]
)
def test_what_the_product_did_not_cause_is_retried(kind):
    decision = TestRetryPolicy().evaluate(kind("gone"), 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, None)


@new_airflow
def test_other_errors_are_left_to_airflow():
    """So the policy can stand in a chain."""
    assert TestRetryPolicy().evaluate(RuntimeError("disk full"), 1, 3).action is RetryAction.DEFAULT


@new_airflow
def test_an_error_keeps_its_attributes_between_processes():
    """A policy in another process sees the same."""
    policy = TestRetryPolicy(confirm=True)
    busy = pickle.loads(pickle.dumps(ServiceUnavailable("busy", ["a"], retry_after=7.0)))
    assert (busy.retry_after, busy.run_ids) == (7.0, ("a",))
    assert policy.evaluate(busy, 1, 3).retry_delay == timedelta(seconds=7)
    failed = pickle.loads(pickle.dumps(TestsFailed("no", ["a"], confirmed=True)))
    assert policy.fails(failed)
    assert not policy.fails(TestsFailed("no", ["a"]))


@new_airflow
def test_a_policy_can_be_stored():
    data = TestRetryPolicy(confirm=True, longest=timedelta(minutes=3)).serialize()
    policy = TestRetryPolicy.deserialize(data)
    assert (policy.confirm, policy.longest) == (True, timedelta(minutes=3))
