"""`stop_after_failures`: once enough tests have failed for good, a task cancels its active runs and fails."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_testerarmy.exceptions import RequestRefused, TestsFailed
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.test_memory import Nights
from tests.lifecycle.tries import cancelled, group, is_active, posts, started

pytestmark = pytest.mark.usefixtures("connections")

FIRST, SECOND, SLOW = catalog.TEST_FAILS, catalog.TEST_CART, catalog.TEST_PASSES_WITH_SEVERE_ISSUE
OTHERS = (catalog.TEST_PASSES, catalog.TEST_PASSES_WITH_WARNING)


@pytest.fixture(autouse=True)
def scripts(service):
    """Two tests fail, two pass, and one runs until it is cancelled."""
    script(service, {FIRST: "fails", SECOND: "fails", SLOW: "endless"})


def script(service, by_test):
    for test, name in by_test.items():
        service.control.store.override_script(test, name)


def stopping(count=2, **parameters):
    return group(catalog.GROUP_FAILING, **{"stop_after_failures": count} | parameters)


@pytest.fixture(params=[False, True], ids=["in the worker", "through the trigger"])
def run(request, tries):
    """Runs a try to its end, and returns the task's result or error."""

    def run(task=None, **numbers):
        task = task or stopping()
        task.deferrable = request.param
        came = tries.execute(task, **numbers)
        while isinstance(came, TaskDeferred):
            came = tries.through_trigger(task)
        return came

    return run


def run_of(service, test):
    return next(run.id for run in service.control.store.runs.values() if run.test.id == test)


def test_the_active_runs_are_cancelled(run, tries, service):
    """The task fails without waiting for them, and its first reason says why."""
    error = run()
    assert isinstance(error, TestsFailed)
    assert isinstance(error, AirflowFailException)
    assert (posts(service), cancelled(service)) == (1, [run_of(service, SLOW)])
    assert tries.summary["verdict"] == "failed"
    assert tries.summary["counts"] == {"total": 5, "passed": 2, "failed": 2, "cancelled": 1}
    said = "Stopped early: 2 tests failed, and 1 run did not finish (stop_after_failures is 2)."
    assert tries.summary["reasons"][0] == said


def test_fewer_failures_stop_nothing(run, tries, service):
    """All runs end by themselves."""
    script(service, {SLOW: "passes"})
    assert isinstance(run(stopping(3)), TestsFailed)
    assert not cancelled(service)
    assert not any("Stopped early" in reason for reason in tries.summary["reasons"])


def test_as_many_failures_as_runs_stop_nothing(run, tries, service):
    """Nothing is left to cancel, so the gate alone decides."""
    script(service, {SLOW: "passes"})
    gate = {"min_pass_rate": 0.5}
    assert run(stopping(2, gate=gate))["verdict"] == "passed"
    assert not cancelled(service)


@pytest.mark.parametrize("gate", [{"non_blocking_tests": [FIRST]}, {"non_blocking_tests": [FIRST, SECOND]}])
def test_a_failure_that_does_not_count_stops_nothing(tries, service, gate):
    """The wait goes on, up to a higher number of failed runs."""
    task = stopping(2, gate=gate, deferrable=True)
    tries.execute(task)
    assert tries.deferred.trigger.stop_at == 2
    assert isinstance(tries.through_trigger(task), TaskDeferred)
    assert tries.deferred.trigger.stop_at == 2 + len(gate["non_blocking_tests"])
    assert not cancelled(service)


def test_a_known_failure_stops_nothing(service, monkeypatch, tmp_path):
    """It failed in the night before as well."""
    nights = Nights(service, monkeypatch)
    script(service, {SECOND: "passes"})
    remembering = {"gate": {"fail_on": "new"}, "memory_path": tmp_path, "deferrable": True}
    assert isinstance(nights.night(stopping(1, **remembering | {"deferrable": False})), TestsFailed)
    script(service, {SECOND: "fails"})
    task = stopping(2, **remembering)
    assert isinstance(nights.night(task), TaskDeferred)
    assert isinstance(nights.through_trigger(task), TaskDeferred)
    assert nights.deferred.trigger.stop_at == 3


@pytest.mark.parametrize("on_cancelled", ["fail", "ignore"])
def test_the_verdict_is_failed_even_if_the_gate_would_pass(run, tries, on_cancelled):
    """Untested things have not passed, and the author wants to hear of the failures."""
    gate = {"min_pass_rate": 0.1, "on_cancelled": on_cancelled}
    assert isinstance(run(stopping(gate=gate)), TestsFailed)
    assert tries.summary["verdict"] == "failed"


def test_report_only_reports_it(run, service):
    """The task succeeds with the verdict *failed*, and its runs are cancelled nevertheless."""
    summary = run(stopping(gate={"report_only": True}))
    assert (summary["verdict"], cancelled(service)) == ("failed", [run_of(service, SLOW)])


@pytest.mark.parametrize("on_cancelled", ["fail", "ignore"])
def test_a_retry_runs_what_failed_and_what_was_cancelled(run, tries, service, on_cancelled):
    """The tests that passed do not run again."""
    parameters = {"retry_failed_tests": True, "gate": {"on_cancelled": on_cancelled}}
    error = run(stopping(**parameters), max_tries=1)
    assert not isinstance(error, AirflowFailException)
    script(service, dict.fromkeys((FIRST, SECOND, SLOW), "passes"))
    summary = run(stopping(**parameters), try_number=2, max_tries=1)
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 5, "passed": 5})
    again = [service.control.store.runs[run_id].test.id for run_id in started(service)[5:]]
    assert sorted(again) == sorted((FIRST, SECOND, SLOW))


def test_a_verdict_that_airflow_lost_stays_failed(run, tries, service):
    """The worker was lost before Airflow knew the verdict. Its retry starts nothing, and judges the same runs."""
    tries.clear_number = 0
    gate = {"min_pass_rate": 0.1, "on_cancelled": "ignore"}
    assert isinstance(run(stopping(gate=gate), max_tries=1), TestsFailed)
    assert isinstance(run(stopping(gate=gate), try_number=2, max_tries=1), TestsFailed)
    assert posts(service) == 1
    assert tries.summary["reasons"][0].startswith("Stopped early")


def test_a_cancellation_that_fails_is_said(run, tries, service):
    """The task fails, and names the runs that may go on. The listener finds them in the record."""
    service.control.faults.add("status", "cancel_*", status=500, times=100)
    error = run()
    assert isinstance(error, TestsFailed)
    assert tries.summary["verdict"] == "failed"
    assert "may still be running" in tries.summary["reasons"][0]
    assert is_active(service, run_of(service, SLOW))
    states = [part["state"] for part in json.loads(json.dumps(tries.record))["parts"].values()]
    assert states == ["started"]


def test_confirmed_failures_end_the_confirmation(run, tries, service):
    """With `confirm`, a failure is for good once it is confirmed. Two end it, although a third is undecided."""
    script(service, {FIRST: "fails", SECOND: "fails", SLOW: "flaky"})
    gate = {"confirm": {"times": 2, "of": 3, "unless_failing": 1.0}}
    assert isinstance(run(stopping(2, gate=gate)), TestsFailed)
    assert not cancelled(service)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [5, 1, 1, 1]
    assert "2 tests failed for good (stop_after_failures)" in tries.summary["reasons"][-1]


def test_an_unconfirmed_failure_stops_nothing(tries):
    """The first round of a gate with `confirm` waits for all of its runs."""
    tries.execute(stopping(2, gate={"confirm": 2}, deferrable=True))
    assert tries.deferred.trigger.stop_at is None


def test_an_edit_that_removes_it_lets_the_wait_go_on(tries, service):
    """The DAG was edited while the task was deferred."""
    tries.execute(stopping(deferrable=True))
    edited = stopping(None, deferrable=True)
    assert isinstance(tries.through_trigger(edited), TaskDeferred)
    assert tries.deferred.trigger.stop_at is None
    assert not cancelled(service)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "some", "0", [2]])
def test_other_values_are_refused(value):
    """When the DAG file is parsed."""
    with pytest.raises(ValueError, match="stop_after_failures must be a positive whole number"):
        stopping(value)


def test_a_template_is_checked_when_the_task_runs(tries, service):
    """Before anything is sent."""
    task = stopping("{{ params.limit }}")
    task.stop_after_failures = "many"
    assert isinstance(tries.execute(task), RequestRefused)
    assert posts(service) == 0


@pytest.mark.parametrize("value", [None, "", "None", " 3 "])
def test_rendered_text_is_read(tries, service, value):
    """Text of a number counts, and what rendered to nothing stops nothing."""
    task = stopping("{{ params.limit }}", deferrable=True)
    task.stop_after_failures = value
    tries.execute(task)
    assert tries.deferred.trigger.stop_at == (3 if value == " 3 " else None)


@pytest.mark.parametrize("other", [{"cancel_on_kill": False}, {"wait_for_completion": False}])
def test_it_has_to_be_allowed_to_cancel_and_to_wait(other):
    """Otherwise it could not do what it says."""
    with pytest.raises(ValueError, match="stop_after_failures needs"):
        stopping(**other)
