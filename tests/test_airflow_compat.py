"""Checks the code's assumptions about the installed Airflow. `make test-matrix` checks them on every version."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowPlugin, BaseHook
from airflow.triggers.base import BaseTrigger
from sqlalchemy import inspect, text

from airflow_provider_testerarmy import airflow_compat, listener
from airflow_provider_testerarmy.airflow_compat import FEATURES, Feature, records, tasks
from airflow_provider_testerarmy.airflow_compat.features import QUEUE_HINTS
from airflow_provider_testerarmy.plugin import TesterArmyPlugin
from tests.metadata import database, empty_database, state_store, supervised, tables

__all__ = ["database", "empty_database", "state_store", "supervised", "tables"]

VERSION = tuple(map(int, metadata.version("apache-airflow").split(".")[:2]))


def has_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def providers_manager() -> str:
    return (files("airflow") / "providers_manager.py").read_text()


def has_partitions() -> bool:
    module = files("airflow") / "sdk/execution_time/context.py"
    return module.is_file() and "def add_partitions" in module.read_text()


def any_thread_reads_connections() -> bool:
    """Whether the triggerer's channel to its supervisor can be used from a thread without an event loop."""
    runner = (files("airflow") / "jobs/triggerer_job_runner.py").read_text()
    return "run_coroutine_threadsafe(self.asend(msg), self._loop)" in runner


#: By feature: whether this Airflow has what it stands on, seen without asking for its version.
SEEN = {
    airflow_compat.TASK_STATE_STORE: lambda: has_module("airflow.state.metastore"),
    airflow_compat.ASSET_STATE_STORE: lambda: has_module("airflow.models.asset_state_store"),
    airflow_compat.EVENT_TRIGGERS: lambda: has_module("airflow.triggers.shared_stream"),
    airflow_compat.PARTITIONS: has_partitions,
    airflow_compat.RETRY_POLICY: lambda: has_module("airflow.sdk.definitions.retry_policy"),
    # Airflow 3.2.2 has it too, but 3.2.0 and 3.2.1 do not.
    QUEUE_HINTS: lambda: VERSION >= (3, 3) and any_thread_reads_connections(),
    airflow_compat.KILL_WHILE_DEFERRED: lambda: hasattr(BaseTrigger, "on_kill"),
    airflow_compat.LISTENER: lambda: has_module("airflow.api_fastapi.core_api"),
    airflow_compat.FORM_FROM_INFO: lambda: "conn-fields" in providers_manager(),
    airflow_compat.COMMANDS: lambda: "cli_command_functions" in providers_manager(),
    airflow_compat.ASK: lambda: has_module("airflow.models.hitl"),
    airflow_compat.UI_TAB: lambda: hasattr(AirflowPlugin, "external_views"),
    airflow_compat.ASYNC_CONNECTION: lambda: hasattr(BaseHook, "aget_connection"),
}


@pytest.mark.parametrize("name", airflow_compat.__all__)
def test_every_name_is_there(name):
    """Most are loaded on first use, from the module that has them."""
    found = getattr(airflow_compat, name)
    assert getattr(found, "__name__", name) == name


def test_an_unknown_name_is_an_error():
    """As of any other module."""
    assert not hasattr(airflow_compat, "no_such_name")


def test_every_feature_is_looked_for():
    """A feature that is new in the table needs a check here."""
    assert set(SEEN) == set(FEATURES)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.title)
def test_the_code_knows_what_this_airflow_has(feature):
    """The code assumes neither a missing feature nor the absence of an existing one."""
    assert feature.available == SEEN[feature]()


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.title)
def test_a_feature_goes_by_the_version(feature):
    """The version is that of the distribution that users install."""
    assert feature.available == (feature.since <= VERSION)


def test_versions_are_numbers():
    """3.10 comes after 3.9."""
    assert Feature("", (3, 10), "", "").version == "3.10"
    assert Feature("", (2, 11), "", "").available
    assert not Feature("", (99, 0), "", "").available


def test_the_listener_is_registered_on_every_airflow():
    """On every version, the scheduler reports lost workers and ended DAG runs to it."""
    assert TesterArmyPlugin.listeners == [listener]


IMPORTS = """
import sys
from sqlalchemy.orm import configure_mappers
from airflow_provider_testerarmy import airflow_compat

airflow_compat.import_ahead()
known = set(sys.modules)
configure_mappers()  # as the first query does
airflow_compat.get_connection_for("shop", "shop")
print("imported:", sorted(set(sys.modules) - known))
"""


def test_what_the_listener_needs_is_imported_ahead(monkeypatch):
    """If a thread imports while the scheduler forks, the forked process can hang forever."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "{}")
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, check=False, text=True)
    assert "imported: []" in done.stdout, done.stdout + done.stderr


def test_a_connection_is_read_from_an_event_loop(monkeypatch):
    """On every version."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "testerarmy", "password": "sk_1"}))
    assert asyncio.run(airflow_compat.aget_connection("shop")).password == "sk_1"


# -- records before the task state store

RECORD = {"version": 1, "generation": 0}


def task_instance(task_id="tests", map_index=-1, run_id="manual"):
    return SimpleNamespace(dag_id="shop", run_id=run_id, task_id=task_id, map_index=map_index)


@pytest.fixture
def in_state(tables):
    """Adds a task instance to Airflow's table."""

    def put(ti, state):
        with tables.begin() as link:
            fields = {
                "dag_id": ti.dag_id,
                "run_id": ti.run_id,
                "task_id": ti.task_id,
                "map_index": ti.map_index,
            }
            link.execute(text("PRAGMA foreign_keys=OFF"))
            insert_task_instance(link, state=state, **fields)

    return put


def insert_task_instance(link, **fields):
    """A row with a value in every column that must not be null."""
    for column in inspect(link).get_columns("task_instance"):
        if not column["nullable"] and column["default"] is None and column["name"] not in fields:
            fields[column["name"]] = 0 if "INT" in str(column["type"]) else uuid4().hex
    names = ", ".join(fields)
    link.execute(text(f"INSERT INTO task_instance ({names}) VALUES (:{', :'.join(fields)})"), fields)


@pytest.mark.parametrize("worker", ["database", "supervised"])
def test_the_listener_finds_what_a_worker_wrote(worker, request):
    """The worker writes through the supervisor or into the database. The listener reads the database."""
    request.getfixturevalue(worker)
    airflow_compat.write_record(task_instance(), RECORD)
    assert airflow_compat.stored_task_state(task_instance(), "test_runs") == RECORD
    assert airflow_compat.stored_task_state(task_instance("other"), "test_runs") is None


def test_the_records_of_failed_tasks(database, in_state, monkeypatch):
    """Only failed tasks of this DAG run count, including mapped ones."""
    monkeypatch.setattr(records, "COMMITTED_AFTER", 0.0)
    for number, state in enumerate(["failed", "skipped", "success", "deferred", "up_for_retry", None]):
        ti = task_instance(map_index=number)
        airflow_compat.write_record(ti, {**RECORD, "number": number})
        in_state(ti, state)
    elsewhere = task_instance(map_index=0, run_id="manual2")
    airflow_compat.write_record(elsewhere, {**RECORD, "number": 9})
    in_state(elsewhere, "failed")
    found = airflow_compat.stored_by_failed_tasks("shop", "manual", "test_runs")
    assert sorted(record["number"] for _task, record in found) == [0, 1]
    # A user can mark a task before its worker has stored what it is about to start.
    marked = task_instance(map_index=7)
    airflow_compat.write_record(marked, {**RECORD, "number": 7, "stage": "open"})
    in_state(marked, "success")
    found = airflow_compat.stored_by_failed_tasks("shop", "manual", "test_runs")
    assert sorted(record["number"] for _task, record in found) == [0, 1, 7]
    # Or its worker could not stop what it had started.
    unstopped = task_instance(map_index=8)
    airflow_compat.write_record(unstopped, {**RECORD, "number": 8, "stage": "concluded", "unstopped": True})
    in_state(unstopped, "success")
    found = airflow_compat.stored_by_failed_tasks("shop", "manual", "test_runs")
    assert sorted(record["number"] for _task, record in found) == [0, 1, 7, 8]
    assert airflow_compat.stored_by_failed_tasks("shop", "other", "test_runs") == []


def test_the_records_of_failed_tasks_in_the_task_state_store(state_store, in_state):
    """As for Variables: successful tasks only count if something may be left to stop."""
    stored = [
        ("failed", {}),
        ("skipped", {}),
        ("success", {"stage": "concluded"}),
        ("deferred", {"stage": "open"}),
        ("success", {"stage": "open"}),
        ("success", {"stage": "concluded", "unstopped": True}),
        ("success", {"stage": "concluded", "unstopped": False}),
        ("success", {"stage": "concluded", "title": "unstopped open"}),
    ]
    for number, (state, fields) in enumerate(stored):
        ti = task_instance(map_index=number)
        store_state(state_store, ti, {**RECORD, "number": number, **fields})
        in_state(ti, state)
    found = airflow_compat.stored_by_failed_tasks("shop", "manual", "test_runs")
    assert sorted(record["number"] for _task, record in found) == [0, 1, 4, 5]
    assert airflow_compat.stored_by_failed_tasks("shop", "manual", "other") == []


def store_state(engine, ti, value):
    """Write into the task state store, as the API server does for a worker."""
    from airflow.models.task_state_store import TaskStateStoreModel

    row = {**vars(ti), "key": "test_runs", "value": json.dumps(value), "dag_run_id": 1}
    with engine.begin() as link:
        link.execute(text("PRAGMA foreign_keys=OFF"))
        link.execute(TaskStateStoreModel.__table__.insert().values(**row))


def test_states_that_are_committed_after_the_listener_was_called(database, in_state, monkeypatch):
    """As the API server does when a user fails a DAG run."""
    airflow_compat.write_record(task_instance(), RECORD)
    monkeypatch.setattr(records.time, "sleep", lambda _seconds: in_state(task_instance(), "failed"))
    found = airflow_compat.stored_by_failed_tasks("shop", "manual", "test_runs")
    assert found == [(airflow_compat.TaskName("shop", "manual", "tests"), RECORD)]


def test_old_records_are_pruned(database, monkeypatch):
    """Their tasks never concluded. Other Variables stay."""
    Variable.set("testerarmy_runs", "mine")
    Variable.set("testerarmy_runs_of_my_own", '{"a": 1}')
    Variable.set("testerarmyXruns_1", '{"record": {}, "stored_at": 0}')
    Variable.set("testerarmy_runs_broken", "{not JSON")
    airflow_compat.write_record(task_instance("old"), RECORD)
    now = time.time()
    monkeypatch.setattr(records.time, "time", lambda: now + 100)
    airflow_compat.write_record(task_instance("young"), RECORD)
    assert airflow_compat.prune_records(older_than=50) == 1
    assert airflow_compat.read_record(task_instance("old")) is None
    assert airflow_compat.read_record(task_instance("young")) == RECORD
    with database.connect() as link:
        assert link.execute(text("SELECT count(*) FROM variable")).scalar() == 5


@pytest.mark.parametrize("value", ["", "{not JSON", "[]", '{"record": {"version": 1}}'])
@pytest.mark.parametrize("worker", ["database", "supervised"])
def test_a_variable_that_was_overwritten_is_not_an_absent_record(worker, request, value):
    """The task may have runs that are unknown now. The listener ignores the Variable."""
    request.getfixturevalue(worker)
    airflow_compat.write_record(task_instance(), RECORD)
    (name,) = dict(records._variables("testerarmy_runs_"))
    Variable.set(name, value)
    with pytest.raises(ValueError, match=r"record|Expecting"):
        airflow_compat.read_record(task_instance())
    assert airflow_compat.stored_task_state(task_instance(), "test_runs") is None


def test_a_supervisor_that_reports_an_error_is_believed(supervised, monkeypatch):
    """An error of the API server counts neither as an absent record nor as a stored one."""
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner

    monkeypatch.setattr(task_runner.SUPERVISOR_COMMS, "error", ErrorType.API_SERVER_ERROR)
    for deed in (
        lambda: airflow_compat.read_record(task_instance()),
        lambda: airflow_compat.write_record(task_instance(), RECORD),
        lambda: airflow_compat.delete_record(task_instance()),
    ):
        with pytest.raises(AirflowRuntimeError):
            deed()


def test_a_listeners_queries_leave_the_callers_transaction_alone(database):
    """Airflow calls a listener before it has committed the task's state."""
    from airflow import settings

    session = settings.Session()
    pending = Variable(key="pending", val="1")
    session.add(pending)
    assert airflow_compat.stored_task_state(task_instance(), "test_runs") is None
    assert pending in session.new
    session.rollback()


@pytest.mark.parametrize("state", ["deferred", "failed", None])
@pytest.mark.parametrize("map_index", [-1, 3])
def test_the_state_of_a_task_where_the_database_is_at_hand(database, in_state, monkeypatch, state, map_index):
    """Airflow 2.11 reads the state from the database."""
    monkeypatch.setattr(tasks, "DATABASE_EVERYWHERE", True)
    in_state(task_instance(map_index=map_index), state)
    assert airflow_compat.own_state(task_instance(map_index=map_index)) == state
    assert airflow_compat.own_state(task_instance("deleted")) == airflow_compat.GONE


# -- connections of a team


@pytest.mark.skipif(VERSION < (3, 2), reason="connections have teams from Airflow 3.2 on")
def test_a_connection_of_the_dags_team(database, monkeypatch):
    """The listener and the tab find it, as the DAG's tasks do. A DAG of another team does not."""
    from airflow.models.dag import DagModel

    teams = {"shop": "web", "till": "retail"}
    monkeypatch.setattr(DagModel, "get_team_name", staticmethod(teams.get))
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    monkeypatch.setenv(
        "AIRFLOW_CONN__WEB___TESTS", json.dumps({"conn_type": "testerarmy", "password": "sk_web"})
    )
    assert airflow_compat.get_connection_for("shop", "tests").password == "sk_web"
    for dag_id in ("till", "of_no_team"):
        with pytest.raises(AirflowNotFoundException):
            airflow_compat.get_connection_for(dag_id, "tests")


def test_a_connection_without_teams(database, monkeypatch):
    """On every version."""
    monkeypatch.setenv("AIRFLOW_CONN_TESTS", json.dumps({"conn_type": "testerarmy", "password": "sk_all"}))
    assert airflow_compat.get_connection_for("shop", "tests").password == "sk_all"
    with pytest.raises(AirflowNotFoundException):
        airflow_compat.get_connection_for("shop", "nowhere")


def test_notes_are_pruned_by_age(database):
    """Recent Variables and Variables of other owners stay."""
    now = time.time()
    for key, value in {
        "testerarmy_run:old": json.dumps({"at": now - 100}),
        "testerarmy_run:young": json.dumps({"at": now}),
        "testerarmy_run:odd": "{not JSON",
        "my_testerarmy_run:old": json.dumps({"at": 0}),
        "testerarmyXrun:old": json.dumps({"at": 0}),
    }.items():
        Variable.set(key, value)
    assert airflow_compat.prune_variables("testerarmy_run:", older_than=50) == 2
    with database.connect() as link:
        left = set(link.execute(text("SELECT key FROM variable")).scalars())
    assert left == {"testerarmy_run:young", "my_testerarmy_run:old", "testerarmyXrun:old"}
    assert airflow_compat.stored_variable("testerarmy_run:young") == json.dumps({"at": now})
    assert airflow_compat.stored_variable("testerarmy_run:old") is None


@pytest.mark.parametrize(
    ("fields", "day"),
    [
        ({"run_after": 3, "logical_date": 2, "data_interval_end": 3}, 3),
        ({"run_after": 5, "logical_date": None, "data_interval_end": None}, 5),
        ({"run_after": 9, "logical_date": 4, "data_interval_end": 3}, 4),
        # Airflow 2: a run of the schedule, and one by hand.
        ({"logical_date": 2, "data_interval_end": 3}, 3),
        ({"logical_date": 4, "data_interval_end": 3}, 4),
        ({}, None),
    ],
)
def test_when_a_dag_run_was_due(fields, day):
    """The same moment on every Airflow, so that the nights of a backfill find their places."""
    dates = {name: number and datetime(2026, 1, number, tzinfo=UTC) for name, number in fields.items()}
    found = airflow_compat.due_at(SimpleNamespace(**dates))
    assert found == (None if day is None else datetime(2026, 1, day, tzinfo=UTC).timestamp())


def test_a_dag_run_says_when_it_was_due():
    """The model has the fields that are read."""
    names = {column.key for column in DagRun.__table__.columns}
    wanted = {"logical_date", "run_after"} if VERSION >= (3, 0) else {"execution_date"}
    assert {"data_interval_end", *wanted} <= names
    assert hasattr(DagRun, "logical_date")
