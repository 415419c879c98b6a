"""A user who may edit a task's state or XComs cannot reach the runs of other tasks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import RequestRefused, RunsForgotten
from airflow_provider_testerarmy.runs.submission.stored import signature
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest as SandboxRequest
from tests.lifecycle.tries import cancelled, posts, single, started

pytestmark = pytest.mark.usefixtures("connections")

FINISHED = {"version": 1, "end": "finished"}
BEFORE = json.loads((Path(__file__).parents[1] / "runs" / "submission" / "records_0_1_0.json").read_text())


@pytest.fixture
def foreign(service):
    """A run of another test that another DAG has started."""
    return start(service, catalog.TEST_STUCK_IN_QUEUE)


def start(service, test_id):
    test = service.control.store.catalog.tests[test_id]
    return service.control.store.submit_test(test, SandboxRequest()).id


def endless(**parameters):
    return single(catalog.TEST_ENDLESS, **{"deferrable": True} | parameters)


def forge(tries, **changes):
    """Rewrite the record, as users can through Airflow's API."""
    tries.store["test_runs"] = {**tries.store["test_runs"], **changes}


def naming(tries, *run_ids):
    """The parts of the record, with other runs."""
    part = tries.record["parts"]["run"]
    submission = {**part["submission"], "run_ids": list(run_ids)}
    return {"run": {**part, "submission": submission}}


@pytest.mark.parametrize("numbers", [{"try_number": 2, "max_tries": 2}, {"try_number": 2, "max_tries": 3}])
@pytest.mark.parametrize("signed", ["kept", "removed", "of another key"])
def test_a_forged_record_reaches_no_other_run(tries, service, foreign, capsys, numbers, signed):
    """A retry would wait for the run, and a clear would cancel it."""
    tries.seconds = 2
    tries.execute(endless(), max_tries=2)
    forge(tries, parts=naming(tries, foreign))
    if signed == "removed":
        del tries.record["signature"]
    elif signed == "of another key":
        forge(tries, signature=signature(tries.record, "dag/manual/tests/-1", "sk_guess"))
    tries.execute(endless(), **numbers)
    assert cancelled(service) == []
    assert tries.xcoms["run_ids"] != [foreign]
    assert "does not touch these runs" in capsys.readouterr().out


def test_a_forged_connection_is_not_used(tries, service, monkeypatch, foreign):
    """The key of a connection that the task does not name is not used either."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(fields))
    tries.seconds = 2
    tries.execute(endless(), max_tries=2)
    forge(tries, asked={**tries.record["asked"], "conn_id": "other"}, parts=naming(tries, foreign))
    tries.execute(endless(), try_number=2, max_tries=2)
    assert cancelled(service) == []


def test_an_edited_task_can_still_stop_what_it_started_before(tries, service):
    """Its record is signed, so it may name another target than the task does now."""
    tries.seconds = 2
    tries.execute(endless(), max_tries=2)
    (old,) = started(service)
    tries.execute(single(catalog.TEST_PASSES, deferrable=True), try_number=2, max_tries=2)
    assert cancelled(service) == [old]


def rotate(service, monkeypatch):
    service.control.keys.add("sk_second")
    fields = {"conn_type": "testerarmy", "host": service.url, "password": "sk_second"}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    service.control.keys.revoke(DEFAULT_API_KEY)


def test_a_retry_with_a_new_key_finds_its_runs(tries, service, monkeypatch):
    """The record is signed with the old key. It and its runs match the task's target, so it is trusted."""
    tries.seconds = 2
    tries.execute(endless(), max_tries=2)
    rotate(service, monkeypatch)
    assert isinstance(tries.execute(endless(), try_number=2, max_tries=2), TaskDeferred)
    assert (posts(service), cancelled(service)) == (1, [])


def test_a_resume_with_a_new_key_finds_its_runs(tries, service, monkeypatch):
    task = single(deferrable=True)
    tries.execute(task)
    rotate(service, monkeypatch)
    assert tries.resume(task, "execute_complete", {"event": FINISHED})["verdict"] == "passed"


def test_a_record_of_the_version_before_is_continued(tries, service):
    """The upgrade happened during a wait. Version 0.1 did not sign records."""
    run_id = start(service, catalog.TEST_PASSES)
    service.control.clock.advance(60)
    part = {"since": "2026-02-11T12:00:00+00:00", "submission": {"run_ids": [run_id]}}
    soon = {"deadline": time.time() + 3600}
    tries.store["test_runs"] = {**BEFORE["open"], **soon, "parts": {"run": part}}
    summary = tries.execute(single(), try_number=2, max_tries=2)
    assert (summary["verdict"], summary["run_ids"], posts(service)) == ("passed", [run_id], 0)
    assert tries.record["version"] == 2


def test_a_record_of_the_version_before_cannot_name_another_tests_run(tries, service, foreign):
    part = {"since": "2026-02-11T12:00:00+00:00", "submission": {"run_ids": [foreign]}}
    tries.store["test_runs"] = {**BEFORE["open"], "parts": {"run": part}}
    tries.execute(single(), try_number=2, max_tries=2)
    assert (posts(service), cancelled(service)) == (1, [])


def test_a_record_of_a_later_version_is_named_and_left_alone(tries, service, foreign):
    """The downgrade happened during a wait."""
    tries.store["test_runs"] = {"version": 9, "parts": [{"run_ids": [foreign]}]}
    ending = tries.execute(single(), try_number=2, max_tries=2)
    assert type(ending) is RequestRefused
    assert foreign in str(ending)
    assert (posts(service), cancelled(service), tries.record["version"]) == (0, [], 9)


@pytest.mark.parametrize("garbage", ["text", 7, [], {"version": 2}, {"version": 2, "parts": None}])
def test_garbage_stops_the_task_before_anything_is_sent(tries, service, garbage):
    tries.store["test_runs"] = garbage
    assert type(tries.execute(single())) is RequestRefused
    assert posts(service) == 0


# -- XComs


def test_the_trigger_says_which_runs_it_has_waited_for(tries, foreign):
    """A rewritten XCom has no effect."""
    task = single(deferrable=True, durable=False)
    tries.execute(task)
    (run_id,) = tries.xcoms["run_ids"]
    tries.xcoms["run_ids"] = [foreign]
    assert tries.through_trigger(task)["run_ids"] == [run_id]


def test_without_record_and_event_an_xcom_cannot_name_another_tests_run(tries, service, foreign):
    """The trigger raised, and a user has rewritten the XCom."""
    tries.seconds = 2
    task = endless(durable=False)
    tries.execute(task)
    tries.xcoms["run_ids"] = [foreign]
    ending = tries.resume(task, "__fail__", {"error": "Trigger failure"})
    assert type(ending) is RunsForgotten
    assert cancelled(service) == []
