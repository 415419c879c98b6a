"""Which ended tasks the listener handles, and which runs it cancels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_testerarmy import airflow_compat, listener
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.stored import signature, to_json
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest as SandboxRequest
from tests.rig.waiting import eventually

HOOK = "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook"

in_the_background = pytest.mark.skipif(
    not airflow_compat.LISTENER.available, reason="there is an API server from Airflow 3.0 on"
)


@pytest.fixture
def run_id(service, monkeypatch):
    """A run that never ends, started by a task."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    test = service.control.store.catalog.tests[catalog.TEST_ENDLESS]
    return service.control.store.submit_test(test, SandboxRequest()).id


TASK = airflow_compat.TaskName("dag", "manual", "tests")
IDENTITY = "dag/manual/tests/-1"
ASKED = Asked(HOOK, "testerarmy_default", "test", catalog.TEST_ENDLESS)


@pytest.fixture
def database(monkeypatch, service):
    """The contents of Airflow's database, as the listener reads it."""
    has = SimpleNamespace(record=None, fields={}, began=service.control.clock.now(), variables={})
    connection = BaseHook.get_connection
    monkeypatch.setattr(airflow_compat, "stored_task_state", lambda _ti, _key: has.record)
    monkeypatch.setattr(airflow_compat, "stored_by_failed_tasks", lambda *_: [(TASK, has.record)])
    monkeypatch.setattr(airflow_compat, "prune_variables", lambda _prefix, older_than: 0)
    monkeypatch.setattr(airflow_compat, "rendered_fields", lambda _task: has.fields)
    monkeypatch.setattr(airflow_compat, "beginning_of", lambda _task: has.began)
    monkeypatch.setattr(airflow_compat, "stored_variable", has.variables.get)
    monkeypatch.setattr(airflow_compat, "get_connection_for", lambda _dag_id, conn_id: connection(conn_id))
    return has


@pytest.fixture
def remembered(run_id, database):
    """Sets the stored record of a task with an active run, with the given changes.

    :param secret: signs it; None for an unsigned one.
    """

    def remember(secret=DEFAULT_API_KEY, **changes):
        request = RunRequest("test", catalog.TEST_ENDLESS)
        part = Part(request, PartState.STARTED, submission=Submission((run_id,)))
        record = replace(Record(ASKED, Generation(0)).with_part("run", part), **changes)
        data = to_json(record)
        database.record = {**data, "signature": signature(data, IDENTITY, secret)} if secret else data

    remember()
    return remember


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Runs background work before the listener returns, and only its first pass."""
    monkeypatch.setattr(listener, "AGAIN_AFTER", ())
    monkeypatch.setattr(listener, "_in_background", lambda work, *arguments: work(*arguments))


def cancelled(service):
    return service.control.log.cancelled_run_ids()


def seen_by_the_scheduler(state):
    """A task instance as the scheduler's listener gets it."""
    stored_in_the_database = type("TaskInstance", (), {"__module__": "airflow.models.taskinstance"})
    task_instance = stored_in_the_database()
    vars(task_instance).update(vars(a_task(state)))
    return task_instance


def a_task(state):
    """A task instance as the API server's listener gets it."""
    return SimpleNamespace(state=state, dag_id="dag", run_id="manual", task_id="tests", map_index=-1)


@pytest.mark.parametrize("end", ["failed", "success", "skipped"])
def test_a_user_who_marks_a_task_stops_its_runs(end, service, run_id, remembered):
    """The API server passes no previous state."""
    getattr(listener, f"on_task_instance_{end}")(None, a_task(end))
    assert cancelled(service) == [run_id]


@pytest.mark.parametrize("end", ["failed", "success", "skipped"])
def test_a_task_that_ended_by_itself_is_left_alone(end, service, remembered):
    """Its worker has already handled its runs."""
    getattr(listener, f"on_task_instance_{end}")("running", a_task(end))
    assert cancelled(service) == []


def test_a_worker_that_was_lost_on_the_last_try(service, run_id, remembered):
    """Only the scheduler learns of it."""
    listener.on_task_instance_failed("running", seen_by_the_scheduler("failed"))
    assert cancelled(service) == [run_id]


def test_a_worker_that_was_lost_with_a_retry_left(service, remembered):
    """The retry reconnects."""
    listener.on_task_instance_failed("running", seen_by_the_scheduler("up_for_retry"))
    assert cancelled(service) == []


@pytest.mark.parametrize("end", ["failed", "success"])
def test_the_end_of_a_dag_run_stops_what_failed_tasks_left(end, service, run_id, remembered):
    """A task process that is killed on its last try calls no listener."""
    getattr(listener, f"on_dag_run_{end}")(SimpleNamespace(dag_id="dag", run_id="manual"))
    assert cancelled(service) == [run_id]


@pytest.mark.parametrize(
    "changes",
    [{"parts": {"run": Part(None, PartState.ENDED, submission=Submission(("a",)))}}, {"cancels": False}],
    ids=["judged", "cancel_on_kill=False"],
)
def test_runs_that_are_not_to_be_stopped(changes, service, remembered):
    remembered(**changes)
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == []


@pytest.mark.parametrize("hook", ["os.system", "builtins.exec", "no.such.module", ""])
def test_a_record_cannot_make_anything_else_be_called(hook, service, remembered, tmp_path, caplog):
    """Users can edit task state, and the listener runs in the API server and the scheduler."""
    trace = tmp_path / "trace"
    remembered(asked=Asked(hook, f"touch {trace}"))
    listener.on_task_instance_failed(None, a_task("failed"))
    assert not trace.exists()
    assert "no hook of this provider" in caplog.text
    assert cancelled(service) == []


# -- whose record it is


AGREES = {"testerarmy_conn_id": "testerarmy_default", "test_id": catalog.TEST_ENDLESS}


def test_an_unsigned_record_that_agrees_with_its_task_is_believed(service, run_id, remembered, database):
    """Version 0.1 signed no records, and the key may have changed since."""
    remembered(secret=None)
    database.fields = AGREES
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == [run_id]


@pytest.mark.parametrize(
    ("secret", "fields"),
    [
        (None, {}),
        (None, {**AGREES, "testerarmy_conn_id": "other"}),
        (None, {**AGREES, "test_id": catalog.TEST_PASSES}),
        ("sk_another_key", {}),
    ],
    ids=["no fields", "another connection", "another test", "signed with another key"],
)
def test_a_record_that_is_not_the_tasks_own_stops_nothing(
    secret, fields, service, run_id, remembered, database, caplog
):
    """Users can edit task state. The runs are named in the log and not touched."""
    remembered(secret=secret)
    database.fields = fields
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == []
    assert run_id in caplog.text
    assert "does not touch these runs" in caplog.text


def test_the_record_of_another_task_proves_nothing(service, remembered):
    """The record was copied with its signature."""
    listener.on_task_instance_failed(None, SimpleNamespace(**{**vars(a_task("failed")), "task_id": "other"}))
    assert cancelled(service) == []


def test_an_unsigned_record_cannot_name_a_run_of_another_test(service, remembered, database):
    """Everything except the run matches its task."""
    other = service.control.store.submit_test(
        service.control.store.catalog.tests[catalog.TEST_PASSES], SandboxRequest()
    ).id
    request = RunRequest("test", catalog.TEST_ENDLESS)
    part = Part(request, PartState.STARTED, submission=Submission((other,)))
    remembered(secret=None, parts={"run": part})
    database.fields = AGREES
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == []


def test_an_unsigned_record_cannot_name_a_run_from_before_its_dag_run(service, remembered, database):
    """Such a run belongs to another DAG run."""
    remembered(secret=None)
    database.fields, database.began = AGREES, service.control.clock.now() + timedelta(hours=1)
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == []


def test_an_unreadable_record_names_its_runs(service, database, caplog):
    """A later version has written it."""
    database.record = {"version": 9, "parts": [{"run_ids": ["a-run"]}]}
    listener.on_task_instance_failed(None, a_task("failed"))
    assert "a-run" in caplog.text


# -- what nobody has the answer to


@pytest.fixture
def lost_request(remembered, service, run_id):
    """The task was killed while its request was in flight. The newest run is the one it started."""
    since = service.control.clock.now()

    def remember(**changes):
        part = Part(RunRequest("test", catalog.TEST_ENDLESS), PartState.SENDING, since, until=since)
        remembered(parts={"run": replace(part, **changes)})

    remember()
    return remember


def test_what_a_lost_request_started_is_found_and_stopped(service, run_id, lost_request):
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == [run_id]


def test_what_another_task_has_started_is_left_alone(service, run_id, lost_request, database, caplog):
    """The other task runs the same test and has claimed its run."""
    note = {"by": "other/run/tests/-1", "runs": [run_id]}
    database.variables[f"testerarmy_run:{run_id}"] = json.dumps(note)
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == []


def test_what_was_there_before_the_request_is_left_alone(service, run_id, lost_request):
    lost_request(known=(run_id,))
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == []


def test_what_cannot_be_settled_is_said(service, run_id, lost_request, caplog):
    """The log names the run that may be active."""
    service.control.store.submit_test(
        service.control.store.catalog.tests[catalog.TEST_ENDLESS], SandboxRequest()
    )
    listener.on_task_instance_failed(None, a_task("failed"))
    assert cancelled(service) == []
    assert "may be running" in caplog.text
    assert run_id in caplog.text


# -- in the background


@pytest.fixture
def between_passes(monkeypatch):
    """Something happens before the second pass."""

    def do(act):
        monkeypatch.setattr(listener, "AGAIN_AFTER", (1.0,))
        monkeypatch.setattr(listener, "time", SimpleNamespace(sleep=lambda _seconds: act(), time=lambda: 0.0))

    return do


@in_the_background
def test_what_cannot_be_stopped_now_is_stopped_in_a_later_pass(service, run_id, remembered, between_passes):
    """The service was down when the task ended, and nobody else comes back to its runs."""
    service.control.down = "html"
    between_passes(lambda: setattr(service.control, "down", None))
    listener.on_task_instance_failed(previous_state=None, task_instance=TASK)
    assert cancelled(service) == [run_id]


@in_the_background
def test_a_connection_that_is_back_is_used(service, run_id, remembered, monkeypatch, between_passes):
    kept = os.environ["AIRFLOW_CONN_TESTERARMY_DEFAULT"]
    monkeypatch.delenv("AIRFLOW_CONN_TESTERARMY_DEFAULT")
    between_passes(lambda: monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", kept))
    listener.on_task_instance_failed(previous_state=None, task_instance=TASK)
    assert cancelled(service) == [run_id]


@in_the_background
def test_a_later_pass_leaves_the_runs_of_a_new_try_alone(service, remembered, database, between_passes):
    """The task was cleared meanwhile, and its record is about what that try wants."""
    service.control.down = "html"

    def clear():
        service.control.down = None
        database.record = {**database.record, "try": 2}

    between_passes(clear)
    listener.on_task_instance_failed(previous_state=None, task_instance=TASK)
    assert cancelled(service) == []


@in_the_background
def test_a_failure_in_the_background_is_logged_and_hurts_nobody(monkeypatch, caplog):
    """The error does not reach the scheduler's loop or the user's request."""
    monkeypatch.undo()

    def fail():
        raise ConnectionError("the database is gone")

    listener._in_background(fail)
    assert eventually(lambda: "could not be stopped" in caplog.text, 10, "the log line")


IMPORTS = """
import json, sys
import airflow.jobs.scheduler_job_runner
from airflow.listeners.listener import get_listener_manager
from airflow_provider_testerarmy import airflow_compat, listener
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.stored import signature, to_json
from airflow_provider_testerarmy.runs.service import Submission

get_listener_manager()
listener._import_ahead()
known = set(sys.modules)
hook, run_id, secret = sys.argv[1:]
part = Part(None, PartState.STARTED, submission=Submission((run_id,)))
data = to_json(Record(Asked(hook, "testerarmy_default"), Generation(0)).with_part("run", part))
data["signature"] = signature(data, "dag/manual/tests/-1", secret)
listener._stop_stored(data, airflow_compat.TaskName("dag", "manual", "tests"), True)
print("imported:", sorted(set(sys.modules) - known))
"""


@in_the_background
def test_nothing_is_imported_in_the_background(service, run_id):
    """A worker that is forked during an import would wait forever for the import lock."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, HOOK, run_id, DEFAULT_API_KEY],
        env={**os.environ, "_AIRFLOW_PROCESS_CONTEXT": "server"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert "imported: []" in done.stdout, done.stdout + done.stderr
    assert cancelled(service) == [run_id]


@in_the_background
def test_a_process_ends_after_what_goes_on_in_the_background():
    """Otherwise Airflow closes database connections in the middle of a query, which can hang forever."""
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
    """DAG runs may end every second, but pruning runs once an hour."""
    pruned, notes = [], []
    monkeypatch.setattr(airflow_compat, "prune_variables", lambda prefix, older_than: notes.append(prefix))
    monkeypatch.setattr(airflow_compat, "prune_records", lambda older_than: pruned.append(older_than))  # noqa: PLW0108
    listener._prune.cache_clear()
    for second in (7200, 7201, 7203, 10799, 10800):
        monkeypatch.setattr(listener.time, "time", lambda second=second: second)
        listener.on_dag_run_success(SimpleNamespace(dag_id="dag", run_id="manual"))
    listener._prune.cache_clear()
    assert pruned == [listener.RECORDS_KEPT] * 2
    assert notes == ["testerarmy_run:"] * 2
