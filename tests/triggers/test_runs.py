from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from pkgutil import resolve_name

import pytest

from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.triggers import runs
from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger
from tests.lifecycle.tries import fire
from tests.rig.waiting import eventually

pytestmark = pytest.mark.usefixtures("connection")

#: What version 0.1.0 wrote: `serialize()` of its triggers, and their events.
#: The first two are read as often as a trigger does it; the third is the one that knows another key.
KEYS = [DEFAULT_API_KEY, DEFAULT_API_KEY, "sk_late"]


class LateKeyHook(TesterArmyHook):
    """A connection whose new key is stored a moment after the old one was revoked."""

    keys = iter(())

    async def aload(self):
        await super().aload()
        self._connection.password = next(self.keys)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """The connection is read again without a pause."""
    monkeypatch.setattr(runs, "REREAD_AFTER", 0.0)


def reads(service):
    """The number of polls of runs, individually or in lists."""
    return sum(service.control.log.counts().get(name, 0) for name in ("get_run", "list_runs"))


def test_a_trigger_is_made_again_from_what_it_serializes_to(trigger):
    """Through JSON, as it lies in the database."""
    first = trigger(catalog.GROUP_SEQUENTIAL, deadline=time.time() + 60, cancel_on_kill=False)
    path, kwargs = first.serialize()
    second = resolve_name(path)(**json.loads(json.dumps(kwargs)))
    assert type(second) is AwaitRunsTrigger
    assert second.serialize() == (path, kwargs)


def test_what_is_serialized_names_runs_and_a_connection(trigger):
    """It is stored in plain text, so no key is in it."""
    _, kwargs = trigger(catalog.GROUP_SEQUENTIAL).serialize()
    assert DEFAULT_API_KEY not in json.dumps(kwargs)
    assert set(kwargs) == {
        "hook",
        "conn_id",
        "run_ids",
        "rejected_run_ids",
        "batch_id",
        "poll_interval",
        "max_outage",
        "deadline",
        "cancel_on_kill",
    }
    assert resolve_name(kwargs["hook"]) is TesterArmyHook


def test_the_event_of_finished_runs(trigger, service):
    """It is small: the worker fetches the results."""
    waiting = trigger(catalog.GROUP_SEQUENTIAL)
    service.control.clock.advance(120)
    event = {"version": 1, "end": "finished", "message": "", "run_ids": waiting.run_ids}
    assert fire(waiting) == event


def test_a_deadline_stops_the_runs(trigger, service):
    """The event says which were not finished."""
    waiting = trigger(catalog.GROUP_ENDLESS, deadline=time.time() + 0.1)
    event = fire(waiting)
    assert event["end"] == "deadline"
    assert "did not finish in time" in event["message"]
    assert set(service.control.log.cancelled_run_ids()) == set(waiting.run_ids)


def test_a_deadline_may_leave_the_runs(trigger, service):
    """With `cancel_on_kill=False`."""
    assert (
        fire(trigger(catalog.GROUP_ENDLESS, deadline=time.time(), cancel_on_kill=False))["end"] == "deadline"
    )
    assert service.control.log.cancelled_run_ids() == []


def test_a_revoked_key_ends_the_wait(trigger, service):
    """At once."""
    waiting = trigger(catalog.GROUP_ENDLESS)
    service.control.keys.revoke(DEFAULT_API_KEY)
    assert fire(waiting)["end"] == "denied"


def test_an_outage_ends_the_wait_after_max_outage(trigger, service):
    """A single fault does not end the wait."""
    waiting = trigger(catalog.GROUP_ENDLESS, max_outage=0.2)
    service.control.down = "html"
    assert fire(waiting)["end"] == "unavailable"


def test_a_key_that_was_changed_while_waiting_is_taken_up(trigger, service, monkeypatch):
    """Rotating a key fails no task: the connection is read again before the wait is given up."""
    waiting = trigger(catalog.GROUP_SEQUENTIAL)
    service.control.log.clear()

    async def rotated():
        wait = asyncio.ensure_future(anext(waiting.run()))
        await asyncio.to_thread(eventually, lambda: reads(service), 10, "a look at the runs")
        fields = {"conn_type": "testerarmy", "host": service.url, "password": "sk_new_key"}
        monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
        service.control.keys.add("sk_new_key")
        service.control.keys.revoke(DEFAULT_API_KEY)
        service.control.clock.advance(120)
        return await asyncio.wait_for(wait, 30)

    assert asyncio.run(rotated()).payload["end"] == "finished"


def test_a_key_may_change_any_number_of_times(trigger, service, monkeypatch):
    """Once per rotation the old key is rejected; the wait continues with the newest one."""
    waiting = trigger(catalog.GROUP_ENDLESS)
    keys = [DEFAULT_API_KEY, "sk_second", "sk_third", "sk_fourth"]

    def rotate(old, new):
        fields = {"conn_type": "testerarmy", "host": service.url, "password": new}
        monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
        service.control.keys.add(new)
        service.control.keys.revoke(old)
        service.control.log.clear()

    async def rotated():
        wait = asyncio.ensure_future(anext(waiting.run()))
        for old, new in pairwise(keys):
            await asyncio.to_thread(eventually, lambda: answered(service), 10, "a look at the runs")
            rotate(old, new)
        await asyncio.to_thread(eventually, lambda: answered(service), 10, "a look with the last key")
        for run_id in waiting.run_ids:
            service.control.store.force(run_id, script="passes")
        service.control.clock.advance(120)
        return await asyncio.wait_for(wait, 30)

    assert asyncio.run(rotated()).payload["end"] == "finished"


def answered(service):
    """The successful polls."""
    return [one for one in service.control.log.entries() if one.method == "GET" and one.answered == 200]


def test_a_new_key_that_is_stored_a_moment_late(trigger, service, monkeypatch):
    """The connection is read twice before a rejected key ends the wait."""
    monkeypatch.setattr(LateKeyHook, "keys", iter(KEYS))
    waiting = trigger(catalog.GROUP_SEQUENTIAL, hook=f"{__name__}.LateKeyHook")
    service.control.clock.advance(120)
    service.control.keys.add("sk_late")
    service.control.keys.revoke(DEFAULT_API_KEY)
    assert fire(waiting)["end"] == "finished"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"conn_id": "known_to_workers_alone"}, "known_to_workers_alone"),
        ({"hook": "unusual_prefix_1234_dag.OwnHook"}, "ModuleNotFoundError"),
        ({"hook": "airflow_provider_testerarmy.hooks.testerarmy.NoSuchHook"}, "NoSuchHook"),
        ({"hook": ""}, ""),
    ],
    ids=["connection", "module", "class", "nothing"],
)
def test_what_a_triggerer_cannot_do_is_left_to_the_worker(trigger, service, parameters, says):
    """A trigger that raises would fail its task; the event says that the wait was lost."""
    event = fire(trigger(catalog.GROUP_ENDLESS, **parameters))
    assert event["end"] == "lost"
    assert says in event["message"]
    assert service.control.log.cancelled_run_ids() == []


def test_a_connection_that_cannot_be_used_is_left_to_the_worker(trigger, monkeypatch):
    """The worker may have a connection of that name, and reports the problem better."""
    waiting = trigger(catalog.GROUP_ENDLESS)
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps({"conn_type": "testerarmy"}))
    assert fire(waiting)["end"] == "lost"


def test_triggers_of_one_process_share_their_requests(trigger, service):
    """Fifty tasks that wait through one connection cost as much as a few."""
    waiting = [trigger(catalog.GROUP_ENDLESS) for _ in range(50)]
    wanted = {run_id for one in waiting for run_id in one.run_ids}
    service.control.log.clear()

    async def wait_for_all():
        tasks = [asyncio.ensure_future(anext(one.run())) for one in waiting]
        await asyncio.to_thread(eventually, lambda: reads(service) > 4, 10, "looks at the runs")
        for run_id in wanted:
            service.control.store.force(run_id, script="passes")
        service.control.clock.advance(120)
        return await asyncio.wait_for(asyncio.gather(*tasks), 30)

    events = asyncio.run(wait_for_all())
    assert {event.payload["end"] for event in events} == {"finished"}
    assert len(wanted) >= 50
    assert service.control.log.counts().get("get_run", 0) < len(wanted) / 2


def test_a_short_outage_ends_nothing(trigger, service):
    """The wait continues to the end of the runs."""
    waiting = trigger(catalog.GROUP_SEQUENTIAL)
    service.control.clock.advance(120)
    service.control.faults.add("reset_before", "* /runs*", times=3)
    assert fire(waiting)["end"] == "finished"


def test_a_row_of_a_newer_version_loads(trigger, service):
    """What it adds is ignored."""
    path, kwargs = trigger(catalog.GROUP_SEQUENTIAL).serialize()
    service.control.clock.advance(120)
    assert fire(resolve_name(path)(**kwargs, cancel_after=60, parts={"a": 1}))["end"] == "finished"


@pytest.mark.parametrize("ids", [{"zstd": "KLUv"}, {"uuids": "AAA="}, {"uuids": None}, "a-b", None, 38])
def test_a_row_with_ids_of_a_newer_packing_is_left_to_the_worker(trigger, service, ids):
    """The row stays as it is for a triggerer that can read it."""
    path, kwargs = trigger(catalog.GROUP_ENDLESS).serialize()
    waiting = resolve_name(path)(**{**kwargs, "run_ids": ids})
    assert waiting.serialize() == (path, {**kwargs, "run_ids": ids})
    assert fire(waiting)["end"] == "lost"
    assert service.control.log.cancelled_run_ids() == []
