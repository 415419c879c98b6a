"""A task that knows its record does not ask Airflow for it."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.lifecycle import record_store
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import Store, fire, group, posts, started

#: The most bytes of a trigger's event. Airflow stores it with the task instance.
EVENT_BYTES = 8 * 1024


class CountingStore(Store):
    """The task state store, with the keys that were read."""

    def __init__(self, *given):
        super().__init__(*given)
        self.read = []

    def get(self, key, default=None):
        self.read.append(key)
        return super().get(key, default)


@pytest.fixture
def tries(tries):
    """Tries that list the reads of the task state store, in a DAG run that nobody has cleared."""
    tries.store, tries.clear_number = CountingStore(), 0
    return tries


def deferred(tries, **parameters):
    """Start a task that defers; returns the event of its trigger."""
    tries.execute(group(deferrable=True, **parameters))
    tries.store.read.clear()
    return fire(tries.deferred.trigger)


def resumed(tries, event):
    """Resume the task in a new process."""
    return tries.resume(group(deferrable=True), "execute_complete", {"event": event})


def test_the_first_try_reads_no_record(tries):
    tries.execute(group())
    assert tries.store.read == []


@pytest.mark.parametrize(("try_number", "clear_number", "requests"), [(2, 0, 1), (1, 1, 2), (1, None, 1)])
def test_a_try_that_may_follow_another_reads_the_record(tries, service, try_number, clear_number, requests):
    """A broker may send a task twice, and the DAG run alone tells that it was cleared in between."""
    tries.execute(group(deferrable=True))
    tries.clear_number = clear_number
    tries.execute(group(), try_number=try_number)
    assert tries.store.read.count("test_runs") == 1
    assert posts(service) == requests


def test_a_task_that_resumes_reads_no_record(tries):
    event = deferred(tries)
    assert resumed(tries, event)["verdict"] == "passed"
    assert tries.store.read == []
    assert tries.record["stage"] == "concluded"


def test_the_record_survives_serialization(tries):
    """As Airflow stores the trigger and the event."""
    tries.execute(group(deferrable=True, timeout=1000))
    _, kwargs = tries.deferred.trigger.serialize()
    trigger = type(tries.deferred.trigger)(**json.loads(json.dumps(kwargs)))
    event = json.loads(json.dumps(fire(trigger)))
    assert json.loads(event["record"]) == tries.record


def test_an_event_is_small(tries):
    """A group of many runs has a record that no event carries."""
    assert len(json.dumps(deferred(tries)).encode()) < EVENT_BYTES


def test_a_large_record_is_read(tries, monkeypatch):
    monkeypatch.setattr(record_store, "MAX_CARRIED", 100)
    event = deferred(tries)
    assert "record" not in event
    assert resumed(tries, event)["verdict"] == "passed"
    assert tries.store.read == ["test_runs"]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: {**record, "generation": [5, 5, 5]},
        lambda record: {name: value for name, value in record.items() if name != "signature"},
        lambda record: [record],
        lambda record: None,
    ],
)
def test_a_changed_record_does_not_count(tries, change):
    """Users with access to the database can change an event. The stored record counts then."""
    event = deferred(tries)
    changed = json.dumps(change(json.loads(event["record"])))
    assert resumed(tries, {**event, "record": changed})["verdict"] == "passed"
    assert tries.store.read == ["test_runs"]


@pytest.mark.parametrize("text", ["{", "", 7, {"version": 2}])
def test_a_record_that_cannot_be_read_does_not_count(tries, text):
    event = deferred(tries)
    assert resumed(tries, {**event, "record": text})["verdict"] == "passed"
    assert tries.store.read == ["test_runs"]


def test_a_record_of_another_task_does_not_count(tries, service, monkeypatch):
    """Its signature names the task."""
    event = deferred(tries)
    monkeypatch.setattr(tries.ti, "task_id", "others", raising=False)
    tries.store.clear()
    resumed(tries, event)
    assert tries.store.read == ["test_runs"]


def test_without_a_store_the_trigger_carries_nothing(tries):
    """The record of a task with `durable=False` is not for a later process."""
    tries.execute(group(deferrable=True, durable=False))
    assert "record" not in fire(tries.deferred.trigger)


def test_a_record_that_airflow_did_not_store_reaches_the_next_process(tries, service):
    """Airflow was away for a moment after the request. The trigger has the ids."""
    writes = []

    def fail_second(value):
        writes.append(value)
        if len(writes) == 2:
            del tries.store["test_runs"]
            raise RuntimeError("no API server")

    tries.store.on_set = fail_second
    event = deferred(tries, group_id=catalog.GROUP_SEQUENTIAL)
    assert resumed(tries, event)["run_ids"] == started(service)
