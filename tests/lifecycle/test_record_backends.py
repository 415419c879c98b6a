"""Storing a record. An unclear answer never counts as stored, and never as absent."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import Feature
from airflow_provider_testerarmy.lifecycle.record_backends import (
    MAX_BYTES,
    StoreUnavailable,
    TaskStateStore,
    VariableStore,
    open_store,
)
from tests.metadata import database, empty_database, supervised, tables

__all__ = ["database", "empty_database", "supervised", "tables"]

RECORD = {"version": 1, "generation": 2, "parts": {"run": {"since": "2026-11-25T12:00:00+00:00"}}}
LATER = {**RECORD, "stage": "open", "title": "Größe \u2028 'x'"}


class Accessor(dict):
    """The task state store."""

    def set(self, key, value):
        self[key] = value

    def delete(self, key):
        self.pop(key, None)


class Unreachable:
    """The API server does not answer."""

    def get(self, *_):
        raise ConnectionError("no answer")

    set = delete = send = get


def task_instance(**changes):
    fields = {"dag_id": "shop", "run_id": "manual", "task_id": "tests", "map_index": -1}
    return SimpleNamespace(**fields | changes)


@pytest.fixture(params=["task state", "variable in database", "variable by supervisor"])
def make_store(request, monkeypatch):
    """Opens the store of a task instance again, as the next try does."""
    if request.param == "task state":
        accessors = {}
        return lambda ti: TaskStateStore(accessors.setdefault(tuple(vars(ti).values()), Accessor()))
    request.getfixturevalue("database" if "database" in request.param else "supervised")
    return VariableStore


def test_a_record_outlives_the_try(make_store):
    """A second record replaces the first. Without a record, the store returns None."""
    assert make_store(task_instance()).get() is None
    for record in (RECORD, LATER):
        make_store(task_instance()).set(record)
        assert make_store(task_instance()).get() == record
    make_store(task_instance()).delete()
    assert make_store(task_instance()).get() is None


def test_what_is_not_there_can_be_deleted(make_store, caplog):
    with caplog.at_level(logging.WARNING):
        make_store(task_instance()).delete()
    assert not caplog.records


@pytest.mark.parametrize(
    "other",
    [
        {"dag_id": "shop2"},
        {"run_id": "scheduled"},
        {"task_id": "tests2"},
        {"map_index": 0},
        {"dag_id": "s", "run_id": "hopmanual"},
        {"task_id": "test", "map_index": 1},
    ],
    ids=str,
)
def test_no_task_instance_reads_anothers_record(make_store, other):
    make_store(task_instance()).set(RECORD)
    assert make_store(task_instance(**other)).get() is None


def test_a_task_that_is_not_mapped_has_no_index_or_minus_one(database):
    """Both occur, depending on the version of Airflow."""
    VariableStore(task_instance(map_index=None)).set(RECORD)
    assert VariableStore(task_instance(map_index=-1)).get() == RECORD


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": {1}}, {"a": "x" * MAX_BYTES}])
def test_what_cannot_be_stored_is_an_error(make_store, value):
    """It is raised before the POST, so nothing is started."""
    make_store(task_instance()).set(RECORD)
    with pytest.raises(StoreUnavailable):
        make_store(task_instance()).set(value)
    assert make_store(task_instance()).get() == RECORD


@pytest.fixture(params=["task state", "variable"])
def unreachable(request, monkeypatch):
    """A store of an Airflow that does not answer."""
    if request.param == "task state":
        return TaskStateStore(Unreachable())
    for name in ("read_record", "write_record", "delete_record"):
        monkeypatch.setattr(airflow_compat, name, Unreachable().get)
    return VariableStore(task_instance())


def test_no_answer_is_not_an_absent_record(unreachable):
    """If it counted as absent, the task would start a second run."""
    with pytest.raises(StoreUnavailable, match=r"could not read.*no answer"):
        unreachable.get()


def test_no_answer_is_not_a_stored_record(unreachable):
    with pytest.raises(StoreUnavailable, match=r"could not write.*no answer"):
        unreachable.set(RECORD)


def test_a_record_that_is_not_deleted_is_mentioned(unreachable, caplog):
    """The task has concluded, so it must not fail for this."""
    unreachable.delete()
    assert "was not deleted: no answer" in caplog.text


@pytest.mark.parametrize(
    ("since", "context", "kind"),
    [
        ((2, 0), {"task_state_store": Accessor()}, TaskStateStore),
        ((2, 0), {}, type(None)),
        ((99, 0), {}, VariableStore),
    ],
    ids=["3.3", "3.3 without a store", "before"],
)
def test_the_store_of_each_airflow(monkeypatch, since, context, kind):
    monkeypatch.setattr(airflow_compat, "TASK_STATE_STORE", Feature("", since, "", ""))
    assert type(open_store({"ti": task_instance(), **context})) is kind


def test_only_airflows_own_store_keeps_concluded_records(monkeypatch):
    """Airflow prunes its task state store, but never Variables."""
    assert TaskStateStore(Accessor()).keeps_concluded
    assert not VariableStore(task_instance()).keeps_concluded
    assert TaskStateStore(Accessor()).available_to_listener
    monkeypatch.setenv("AIRFLOW__WORKERS__STATE_STORE_BACKEND", "company.Backend")
    assert not TaskStateStore(Accessor()).available_to_listener
