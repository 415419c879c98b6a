"""Whose end the listener takes for its business, and which runs it stops then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_provider_testerarmy import airflow_compat, listener
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.record import Owner, Part, Record, Stage
from airflow_provider_testerarmy.sandbox import catalog
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.store import RunRequest as SandboxRequest
from tests.rig.waiting import eventually

HOOK = "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook"

in_the_background = pytest.mark.skipif(
    not airflow_compat.LISTENER.available, reason="there is an API server from Airflow 3.0 on"
)


@pytest.fixture
def run_id(service, monkeypatch):
    """An endless run that a task has started."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    test = service.control.store.catalog.tests[catalog.TEST_ENDLESS]
    return service.control.store.submit_test(test, SandboxRequest()).id


@pytest.fixture
def remembered(run_id, monkeypatch):
    """Sets what the task has stored, changed as told; the record of an open run."""

    def remember(**changes):
        record = Record(0, owner=Owner(HOOK, "testerarmy_default", cancels=True))
        record = replace(record.with_part("run", Part(submission=Submission((run_id,)))), **changes)
        stored = record.to_json()
        monkeypatch.setattr(airflow_compat, "stored_task_state", lambda _ti, _key: stored)
        monkeypatch.setattr(airflow_compat, "stored_by_failed_tasks", lambda *_: [stored])

    remember()
    return remember


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """What goes on in the background is over when the listener returns."""
    monkeypatch.setattr(listener, "_in_background", lambda work, *arguments: work(*arguments))


def cancelled(service):
    return service.control.log.cancelled_run_ids()


def seen_by_the_scheduler(state):
    """A task instance as the scheduler's listener gets it."""
    stored_in_the_database = type("TaskInstance", (), {"__module__": "airflow.models.taskinstance"})
    task_instance = stored_in_the_database()
    task_instance.state = state
    return task_instance


@pytest.mark.parametrize("end", ["failed", "success", "skipped"])
def test_a_user_who_marks_a_task_stops_its_runs(end, service, run_id, remembered):
    """The API server gives no previous state."""
    getattr(listener, f"on_task_instance_{end}")(None, SimpleNamespace(state=end))
    assert cancelled(service) == [run_id]


@pytest.mark.parametrize("end", ["failed", "success", "skipped"])
def test_a_task_that_ended_by_itself_is_left_alone(end, service, remembered):
    """In the worker, the task has seen to its runs."""
    getattr(listener, f"on_task_instance_{end}")("running", SimpleNamespace(state=end))
    assert cancelled(service) == []


def test_a_worker_that_was_lost_on_the_last_try(service, run_id, remembered):
    """The scheduler alone knows of it."""
    listener.on_task_instance_failed("running", seen_by_the_scheduler("failed"))
    assert cancelled(service) == [run_id]


def test_a_worker_that_was_lost_with_a_retry_left(service, remembered):
    """The retry reconnects."""
    listener.on_task_instance_failed("running", seen_by_the_scheduler("up_for_retry"))
    assert cancelled(service) == []


@pytest.mark.parametrize("end", ["failed", "success"])
def test_the_end_of_a_dag_run_stops_what_failed_tasks_left(end, service, run_id, remembered):
    """A process that is killed on its last try tells nobody."""
    getattr(listener, f"on_dag_run_{end}")(SimpleNamespace(dag_id="dag", run_id="manual"))
    assert cancelled(service) == [run_id]


@pytest.mark.parametrize(
    "changes",
    [{"stage": Stage.FINISHED}, {"owner": Owner(HOOK, "testerarmy_default", cancels=False)}, {"owner": None}],
    ids=["judged", "cancel_on_kill=False", "not durable"],
)
def test_runs_that_are_not_to_be_stopped(changes, service, remembered):
    remembered(**changes)
    listener.on_task_instance_failed(None, SimpleNamespace(state="failed"))
    assert cancelled(service) == []


@pytest.mark.parametrize("hook", ["os.system", "builtins.exec", "no.such.module", ""])
def test_a_record_cannot_make_anything_else_be_called(hook, service, remembered, tmp_path, caplog):
    """Task state can be edited through Airflow's API, and this runs in the API server and the scheduler."""
    trace = tmp_path / "trace"
    remembered(owner=Owner(hook, f"touch {trace}", cancels=True))
    listener.on_task_instance_failed(None, SimpleNamespace(state="failed"))
    assert not trace.exists()
    assert "no hook of this provider" in caplog.text
    assert cancelled(service) == []


@in_the_background
def test_a_failure_in_the_background_is_logged_and_hurts_nobody(monkeypatch, caplog):
    """The scheduler's loop and the user's request go on."""
    monkeypatch.undo()

    def fail():
        raise ConnectionError("the database is gone")

    listener._in_background(fail)
    assert eventually(lambda: "could not be stopped" in caplog.text, 10, "the log line")


IMPORTS = """
import json, sys
import airflow.jobs.scheduler_job_runner
from airflow.listeners.listener import get_listener_manager
from airflow_provider_testerarmy import listener
from airflow_provider_testerarmy.runs.submission.record import Owner, Part, Record
from airflow_provider_testerarmy.runs.service import Submission

get_listener_manager()
listener._import_ahead()
known = set(sys.modules)
owner = Owner(sys.argv[1], "testerarmy_default", cancels=True)
listener.stop(Record(0, owner=owner).with_part("run", Part(submission=Submission((sys.argv[2],)))), owner)
print("imported:", sorted(set(sys.modules) - known))
"""


@in_the_background
def test_nothing_is_imported_in_the_background(service, run_id):
    """A worker that the scheduler forks meanwhile would wait for ever for the lock on that module."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, HOOK, run_id],
        env={**os.environ, "_AIRFLOW_PROCESS_CONTEXT": "server"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert "imported: []" in done.stdout, done.stdout + done.stderr
    assert cancelled(service) == [run_id]


@in_the_background
def test_a_process_ends_after_what_goes_on_in_the_background():
    """Else Airflow closes the database's connections in the middle of a query, which can hang for ever."""
    code = """if True:
        import atexit, threading
        atexit.register(print, "connections closed")
        from airflow_provider_testerarmy import listener

        def work():
            threading.main_thread().join()  # the process has begun to end
            print("runs stopped")

        listener._in_background(work)
    """
    command = [sys.executable, "-W", "ignore", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.splitlines()[-2:] == ["runs stopped", "connections closed"]


def test_records_that_nobody_concluded_are_pruned_once_an_hour(remembered, monkeypatch):
    """A DAG run may end every second."""
    pruned = []
    monkeypatch.setattr(airflow_compat, "prune_records", lambda older_than: pruned.append(older_than))  # noqa: PLW0108
    listener._prune.cache_clear()
    for second in (7200, 7201, 7203, 10799, 10800):
        monkeypatch.setattr(listener.time, "time", lambda second=second: second)
        listener.on_dag_run_success(SimpleNamespace(dag_id="dag", run_id="manual"))
    listener._prune.cache_clear()
    assert pruned == [listener.RECORDS_KEPT] * 2
