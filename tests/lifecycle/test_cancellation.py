from __future__ import annotations

import logging
import signal

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat.records import is_left
from airflow_provider_testerarmy.exceptions import (
    RunInterrupted,
    WaitTimedOut,
)
from airflow_provider_testerarmy.lifecycle.cancellation import stop_record
from airflow_provider_testerarmy.runs.service import RunRequest, Scope, Tests
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import cancelled, group, started
from tests.runs.scripted import Claims, Port, World, active, page

pytestmark = pytest.mark.usefixtures("connections")


# -- being stopped


def test_a_user_who_stops_the_task_stops_its_runs(tries, service, airflow_says):
    """Even with retries left, because the task's state is no longer running."""
    airflow_says("failed")
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS)
    ending = tries.execute(task, max_tries=2, meanwhile=task.on_kill)
    assert type(ending) is RunInterrupted
    assert "stopped" in str(ending)
    assert set(cancelled(service)) == set(started(service))


def test_a_worker_that_goes_away_leaves_its_runs(tries, service, airflow_says):
    """The next try reconnects to them."""
    airflow_says("running")
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS)
    ending = tries.execute(task, max_tries=2, meanwhile=task.on_kill)
    assert type(ending) is RunInterrupted
    assert "The next try reconnects" in str(ending)
    assert (cancelled(service), tries.record["stage"]) == ([], "open")


@pytest.mark.parametrize(
    ("parameters", "max_tries"), [({}, 0), ({"durable": False}, 2)], ids=["no retry", "not durable"]
)
def test_a_worker_that_goes_away_for_good_takes_its_runs_along(
    tries, service, airflow_says, parameters, max_tries
):
    """No retry is left that could reconnect."""
    airflow_says("running")
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS, **parameters)
    tries.execute(task, max_tries=max_tries, meanwhile=task.on_kill)
    assert set(cancelled(service)) == set(started(service))


def test_a_scheduler_that_was_away_does_not_cost_the_runs(tries, service, airflow_says):
    """It resets running tasks to no state and starts them again, even without retries left."""
    airflow_says(None)
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS)
    ending = tries.execute(task, max_tries=0, meanwhile=task.on_kill)
    assert (type(ending), cancelled(service)) == (RunInterrupted, [])


def test_a_task_that_was_deleted_takes_its_runs_along(tries, service, airflow_says):
    """For example with its DAG run. No further try follows."""
    airflow_says(airflow_compat.GONE)
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS)
    tries.execute(task, max_tries=2, meanwhile=task.on_kill)
    assert set(cancelled(service)) == set(started(service))


def test_an_airflow_that_does_not_answer_why(tries, service, monkeypatch):
    """The worker counts as lost. A user can still cancel runs later, but cancelled work is gone."""

    def fail(_ti):
        raise ConnectionError("the API server is gone")

    monkeypatch.setattr(airflow_compat, "own_state", fail)
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS)
    tries.execute(task, max_tries=2, meanwhile=task.on_kill)
    assert cancelled(service) == []


@pytest.mark.parametrize("answers", [True, False])
def test_the_record_says_whether_the_runs_were_stopped(tries, service, airflow_says, answers):
    """If not, the listener stops them, though a user has marked the task as succeeded."""
    airflow_says("success")
    tries.seconds = 2
    if not answers:
        service.control.faults.add("status", "cancel_*", status=503, times=99)
    task = group(catalog.GROUP_ENDLESS)
    ending = tries.execute(task, max_tries=0, meanwhile=task.on_kill)
    assert type(ending) is RunInterrupted
    assert tries.record["stage"] == "concluded"
    assert is_left("success", tries.record) is not answers


@pytest.mark.parametrize(("patient", "state"), [(False, PartState.SENDING), (True, PartState.UNCLEAR)])
def test_a_short_search_settles_nothing_for_good(patient, state):
    """The service lists one run of a group of two. The other may appear after the task was stopped."""
    now = World({}).server_time()
    listed = page(active("a", "queued", test_id="t1", created_at=now))
    world = World(
        {"prepare": Scope("p"), "list_candidates": listed, "list_tests": Tests({}, frozenset({"t1", "t2"}))}
    )
    request = RunRequest("group", "g")
    setting = Setting(Port(group=True), request, None, 60.0, world.clock, world.lines.append, claims=Claims())
    part = Part(request, PartState.SENDING, now)
    record = Record(Asked("hook", "conn"), Generation(0), {"run": part})
    found, fate = stop_record(record, lambda _part: setting, world.run, logging.getLogger(), patient=patient)
    assert (found.parts["run"].state, fate) == (state, StopResult.UNKNOWN)


def test_a_kill_never_cuts_a_submission_off(tries, service, airflow_says):
    """The answer arrives first, so that its runs are known and can be cancelled."""
    airflow_says("failed")
    service.control.faults.add("delay", "trigger_group", seconds=0.3)
    tries.store.on_set = lambda _record: signal.setitimer(signal.ITIMER_REAL, 0.1)
    task = group(catalog.GROUP_ENDLESS)
    ending = tries.execute(task, meanwhile=task.on_kill)
    assert type(ending) is RunInterrupted
    assert list(ending.run_ids) == started(service)
    assert len(ending.run_ids) == 2
    assert set(cancelled(service)) == set(started(service))


def test_a_kill_stops_before_the_next_submission(tries, service, airflow_says):
    """Two tests are to run again one after the other, and the user stops the task after the first."""
    airflow_says("failed")
    service.control.store.override_script(catalog.TEST_CART, "fails")
    tries.execute(group(catalog.GROUP_FAILING, retry_failed_tests=True), max_tries=1)
    task = group(catalog.GROUP_FAILING, retry_failed_tests=True)
    tries.store.on_set = lambda record: task.on_kill() if "submission" in str(record) else None
    ending = tries.execute(task, try_number=2, max_tries=1)
    assert type(ending) is RunInterrupted
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [5, 1]


def test_a_kill_may_be_told_to_leave_the_runs(tries, service, airflow_says):
    """With `cancel_on_kill=False`."""
    airflow_says("failed")
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS, cancel_on_kill=False)
    tries.execute(task, meanwhile=task.on_kill)
    assert cancelled(service) == []


def test_a_kill_does_not_wait_for_the_names_of_the_tests(tries, service, airflow_says):
    """The next try judges the runs that have ended."""
    airflow_says("running")
    held = service.control.faults.add("delay", "list_tests", seconds=5)

    task = group()

    def kill_when_held():
        if held.hits:
            task.on_kill()
        else:
            signal.setitimer(signal.ITIMER_REAL, 0.05)

    ending = tries.execute(task, max_tries=1, meanwhile=kill_when_held)
    assert type(ending) is RunInterrupted
    assert tries.record["stage"] == "open"


def test_a_kill_after_the_verdict_changes_nothing(tries, service):
    """No run is active any more."""
    task = group()
    tries.execute(task)
    task.on_kill()
    assert cancelled(service) == []


def test_a_kill_before_anything(service):
    """The task has not started."""
    group().on_kill()
    assert len(service.control.log) == 0


# -- time-outs


def test_a_deadline_stops_the_runs(tries, service):
    """The next try starts new runs."""
    tries.seconds = 2
    ending = tries.execute(group(catalog.GROUP_ENDLESS, timeout=0.2), max_tries=1)
    assert type(ending) is WaitTimedOut
    assert "were cancelled." in str(ending)
    assert set(cancelled(service)) == set(started(service))
    tries.execute(group(catalog.GROUP_ENDLESS, timeout=0.2), try_number=2, max_tries=1)
    assert len(service.control.log.submissions()) == 2


def test_a_deadline_may_be_told_to_leave_the_runs(tries, service):
    """The message says that the runs are still active."""
    tries.seconds = 2
    ending = tries.execute(group(catalog.GROUP_ENDLESS, timeout=0.2, cancel_on_kill=False))
    assert "were not cancelled and may still be running" in str(ending)
    assert cancelled(service) == []


def test_a_deadline_in_the_trigger_stops_the_runs_too(tries, service):
    """The task fails as it would have in the worker."""
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS, timeout=0.3, deferrable=True)
    tries.execute(task)
    assert type(tries.through_trigger(task)) is WaitTimedOut
    assert set(cancelled(service)) == set(started(service))


def test_execution_timeout_stops_the_runs(tries, service):
    """Airflow raises the time-out wherever the task is."""

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    tries.seconds = 2
    ending = tries.execute(group(catalog.GROUP_ENDLESS), max_tries=2, meanwhile=time_out)
    assert type(ending) is AirflowTaskTimeout
    assert set(cancelled(service)) == set(started(service))
    assert tries.record["stage"] == "again"
