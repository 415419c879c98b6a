"""A clear starts new runs, a changed task runs its new target, and a retry reconnects."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import (
    RequestRefused,
    RunErrored,
    TestsFailed,
    TestsFailedFinally,
    WaitTimedOut,
)
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import Died, cancelled, group, posts, single, started

pytestmark = pytest.mark.usefixtures("connections")


def both_modes(test):
    return pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])(test)


def finish(tries, task, **numbers):
    """Run a try to its end, deferrable or not."""
    ending = tries.execute(task, **numbers)
    return tries.through_trigger(task) if isinstance(ending, TaskDeferred) else ending


def first_version(record, run_ids):
    """The record of a deferred task as version 0.1.0 wrote it."""
    (part,) = record["parts"].values()
    submission = {"run_ids": run_ids, "rejected_run_ids": [], "batch_id": "", "adopted": False}
    owner = {"hook": record["asked"]["hook"], "conn_id": record["asked"]["conn_id"], "cancels": True}
    return {
        "version": 1,
        "generation": record["generation"][0],
        "parts": {"run": {"since": part["since"], "submission": submission}},
        "stage": "open",
        "round": 0,
        "failed": [],
        "again": [],
        "passed": [],
        "owner": owner,
    }


# -- clears


@both_modes
def test_a_clear_after_retries_were_lowered_starts_anew(tries, service, deferrable):
    """`max_tries` has its old number again. Reconnecting would return a stale result."""
    passes = single(retries=2, deferrable=deferrable)
    assert finish(tries, passes, max_tries=2)["verdict"] == "passed"
    service.control.store.override_script(catalog.TEST_PASSES, "fails")
    ending = finish(tries, single(retries=1, deferrable=deferrable), try_number=2, max_tries=2)
    assert type(ending) is TestsFailedFinally
    assert posts(service) == 2


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (1, 0), (0, 1)])
def test_a_clear_with_other_retries_stops_what_is_active(tries, service, before, after):
    """`retries` were raised, lowered or removed, with every resulting `max_tries`."""
    tries.seconds = 2
    endless = {"test_id": catalog.TEST_ENDLESS, "deferrable": True}
    tries.execute(single(retries=before, **endless), max_tries=2)
    old = started(service)
    tries.execute(single(retries=after, **endless), try_number=2, max_tries=2)
    assert (posts(service), cancelled(service)) == (2, old)


def test_a_clear_of_a_task_whose_worker_was_lost_starts_anew(tries, service):
    """Only the DAG run's `clear_number` distinguishes it from a retry."""
    tries.seconds, tries.clear_number = 2, 0
    tries.execute(single(catalog.TEST_ENDLESS, retries=2, deferrable=True), max_tries=2)
    old, tries.clear_number = started(service), 1
    tries.execute(single(catalog.TEST_ENDLESS, retries=2, deferrable=True), try_number=2, max_tries=2)
    assert (posts(service), cancelled(service)) == (2, old)


def test_a_retry_with_the_same_numbers_reconnects(tries, service):
    tries.clear_number = 3
    tries.execute(single(retries=2, deferrable=True), max_tries=2)
    assert tries.execute(single(retries=2), try_number=2, max_tries=2)["verdict"] == "passed"
    assert (posts(service), cancelled(service)) == (1, [])


@both_modes
def test_a_worker_lost_between_its_verdict_and_airflow_starts_nothing_more(tries, service, deferrable):
    """The verdict was final and noted as such, and Airflow never heard of it; the retry judges the same runs."""
    tries.clear_number = 0
    assert finish(tries, single(retries=2, deferrable=deferrable), max_tries=2)["verdict"] == "passed"
    summary = finish(tries, single(retries=2, deferrable=deferrable), try_number=2, max_tries=2)
    assert (summary["verdict"], posts(service)) == ("passed", 1)


def test_where_clears_are_not_counted_a_final_verdict_is_never_used_again(tries, service):
    """A clear could be taken for a retry there."""
    finish(tries, single(retries=2), max_tries=2)
    finish(tries, single(retries=2), try_number=2, max_tries=2)
    assert posts(service) == 2


def test_a_clear_elsewhere_in_the_dag_run_does_not_disturb_a_deferred_task(tries, service):
    """A task that resumes was not cleared itself. A later retry still reconnects."""
    tries.clear_number = 0
    task = single(catalog.TEST_ENDLESS, retries=2, deferrable=True, max_outage=0.1)
    tries.seconds = 2
    tries.execute(task, max_tries=2)
    tries.clear_number = 1
    service.control.down = "html"
    tries.resume(task, "execute_complete", {"event": {"version": 1, "end": "finished"}})
    service.control.down = None
    tries.execute(single(catalog.TEST_ENDLESS, retries=2, deferrable=True), try_number=2, max_tries=2)
    assert (posts(service), cancelled(service)) == (1, [])


def test_a_worker_lost_after_the_verdict_on_runs_of_version_0_1_starts_nothing_more(tries, service):
    """The upgrade met the deferred task. Its record counts clears once the task has resumed."""
    tries.clear_number = 0
    task = single(retries=2, deferrable=True)
    tries.execute(task, max_tries=2)
    tries.store["test_runs"] = first_version(tries.record, started(service))
    tries.deferred.trigger.record = None
    assert tries.through_trigger(task)["verdict"] == "passed"
    summary = finish(tries, single(retries=2), try_number=2, max_tries=2)
    assert (summary["verdict"], posts(service)) == ("passed", 1)
    tries.clear_number = 1
    finish(tries, single(retries=2), try_number=3, max_tries=2)
    assert posts(service) == 2


@pytest.mark.parametrize(
    ("group_id", "error"), [(catalog.GROUP_FAILING, TestsFailedFinally), (catalog.GROUP_BROKEN, RunErrored)]
)
def test_a_clear_of_a_task_that_did_not_pass_starts_anew(tries, service, group_id, error):
    """On its last try: `max_tries` may be the old number again."""
    assert type(tries.execute(group(group_id, retries=1), max_tries=0)) is error
    tries.execute(group(group_id, retries=0), try_number=2, max_tries=0)
    assert (posts(service), cancelled(service)) == (2, [])


def test_a_clear_of_a_task_that_timed_out_starts_the_whole_anew(tries, service):
    tries.seconds = 2
    endless = {"group_id": catalog.GROUP_ENDLESS, "timeout": 0.1}
    assert type(tries.execute(group(**endless), max_tries=0)) is WaitTimedOut
    tries.execute(group(**endless), try_number=2, max_tries=0)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]


# -- a changed task


@both_modes
@pytest.mark.parametrize(
    "changed",
    [
        {"test_id": catalog.TEST_CART},
        {"mode": "deep"},
        {"platform": "web"},
        {"testerarmy_conn_id": "other"},
    ],
    ids=["test", "body", "another field", "connection"],
)
def test_a_retry_of_a_changed_task_runs_what_it_asks_for_now(
    tries, service, monkeypatch, changed, deferrable
):
    """The task was edited, or a template rendered to another value. The old run is cancelled."""
    connection = {"conn_type": "testerarmy", "host": service.url, "password": "sk_other"}
    service.control.keys.add("sk_other")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    tries.seconds = 2
    tries.execute(single(catalog.TEST_ENDLESS, deferrable=True), max_tries=2)
    (old,) = started(service)
    tries.seconds = 60
    task = single(**{"test_id": catalog.TEST_PASSES, "deferrable": deferrable} | changed)
    summary = finish(tries, task, try_number=2, max_tries=2)
    assert (posts(service), cancelled(service)) == (2, [old])
    assert old not in summary["run_ids"]
    assert summary["verdict"] == "passed"


def test_another_gate_judges_the_same_runs(tries, service):
    """A changed gate starts no new runs."""
    tries.execute(group(catalog.GROUP_FAILING, deferrable=True), max_tries=2)
    lenient = group(catalog.GROUP_FAILING, gate={"min_pass_rate": 0.5})
    assert tries.execute(lenient, try_number=2, max_tries=2)["verdict"] == "passed"
    assert posts(service) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"gate": '{"min_pass_rate": 7}'},
        {"gate": "not json"},
        {"poll_interval": "soon"},
        {"report_path": "r.pdf"},
        {"mode": "quick"},
    ],
)
def test_a_task_that_was_broken_by_an_edit_says_what_is_active_and_stops_it(tries, service, broken):
    """On a retry."""
    tries.seconds = 2
    tries.execute(single(catalog.TEST_ENDLESS, deferrable=True), max_tries=2)
    task = single(catalog.TEST_ENDLESS)
    for name, value in broken.items():
        setattr(task, name, value)
    ending = tries.execute(task, try_number=2, max_tries=2)
    assert type(ending) is RequestRefused
    assert started(service)[0] in str(ending)
    assert "Nothing new was started" in str(ending)
    assert (cancelled(service), posts(service)) == (started(service), 1)


def test_a_task_that_was_broken_while_deferred_stops_its_runs(tries, service):
    """On resume."""
    tries.seconds = 2
    task = single(catalog.TEST_ENDLESS, deferrable=True)
    tries.execute(task)
    task.gate = "not json"
    ending = tries.resume(task, "execute_complete", {"event": {"version": 1, "end": "finished"}})
    assert type(ending) is RequestRefused
    assert cancelled(service) == started(service)


def test_a_task_that_is_broken_from_the_start_has_started_nothing(tries, service):
    task = single()
    task.gate = "not json"
    ending = tries.execute(task)
    assert type(ending) is RequestRefused
    assert "Nothing was started." in str(ending)
    assert started(service) == []


# -- rounds


def test_a_round_that_was_not_submitted_is_submitted_as_it_was_planned(tries, service):
    """The worker was lost between planning a round and starting it. No test of the round is left out."""
    service.control.store.override_script(catalog.TEST_CART, "fails")
    failing = {"group_id": catalog.GROUP_FAILING, "retry_failed_tests": True}
    assert type(tries.execute(group(**failing), max_tries=3)) is TestsFailed

    def die(record):
        if record["again"]:
            raise Died

    tries.store.on_set = die
    assert isinstance(tries.execute(group(**failing), try_number=2, max_tries=3), Died)
    tries.store.on_set = lambda _record: None
    summary = tries.execute(group(**failing), try_number=3, max_tries=3)
    assert type(summary) is TestsFailed
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [5, 1, 1]
    assert tries.summary["counts"] == {"total": 5, "passed": 3, "failed": 2}


def test_a_round_of_a_task_that_was_changed_is_not_taken_up(tries, service):
    """With a `target_url`, single tests cannot be started, so the whole group runs again."""
    service.control.store.override_script(catalog.TEST_CART, "fails")
    failing = {"group_id": catalog.GROUP_FAILING, "retry_failed_tests": True}
    tries.execute(group(**failing), max_tries=3)
    changed = group(**failing, target_url="https://preview.acme.example")
    ending = tries.execute(changed, try_number=2, max_tries=3)
    assert type(ending) is TestsFailed
    assert tries.summary["counts"] == {"total": 5, "passed": 3, "failed": 2}


def test_the_secret_signs_the_record_and_is_not_in_it(tries):
    tries.execute(single(deferrable=True))
    assert len(tries.record["signature"]) == 64
    assert DEFAULT_API_KEY not in json.dumps(tries.store)
