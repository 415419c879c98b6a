"""A trigger whose task a user ends, or whose triggerer stops: which runs it cancels."""

from __future__ import annotations

import asyncio
import time
from itertools import repeat
from types import SimpleNamespace

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.triggers import runs
from tests.lifecycle.tries import fire
from tests.rig.waiting import eventually
from tests.triggers.test_runs import reads

pytestmark = pytest.mark.usefixtures("connection")


def answers(state):
    """Reads of the task's state: all with one result, or with those of a list, of which errors are raised."""
    each = iter(state) if isinstance(state, list) else repeat(state)

    async def aown_state(_ti):
        answer = next(each)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return aown_state


@pytest.fixture
def kill(monkeypatch):
    """Calls a trigger's `on_kill` while Airflow has the task in a state, or answers its reads one by one."""
    if not airflow_compat.KILL_WHILE_DEFERRED.available:
        pytest.skip(f"triggers have on_kill from Airflow {airflow_compat.KILL_WHILE_DEFERRED.version} on")

    def call(trigger, state):
        monkeypatch.setattr(runs, "STATE_PAUSE", 0.01)
        monkeypatch.setattr(airflow_compat, "aown_state", answers(state))
        trigger._task_instance = SimpleNamespace(task_id="tests")
        asyncio.run(trigger.on_kill())

    return call


def test_a_user_who_ends_the_task_stops_its_runs(trigger, service, kill):
    """The task is in another state by then."""
    waiting = trigger(catalog.GROUP_ENDLESS)
    kill(waiting, "failed")
    assert set(service.control.log.cancelled_run_ids()) == set(waiting.run_ids)


@pytest.mark.parametrize(("state", "parameters"), [("deferred", {}), ("failed", {"cancel_on_kill": False})])
def test_a_kill_that_is_not_meant_for_the_runs(trigger, service, kill, state, parameters):
    """The trigger moved to another triggerer, or the runs are to go on."""
    kill(trigger(catalog.GROUP_ENDLESS, **parameters), state)
    assert service.control.log.cancelled_run_ids() == []


def test_a_kill_after_the_event_stops_nothing(trigger, service, kill):
    """The runs belong to the task again."""
    waiting = trigger(catalog.GROUP_ENDLESS, deadline=time.time(), cancel_on_kill=True)
    waiting.cancel_on_kill = False
    fire(waiting)
    waiting.cancel_on_kill = True
    kill(waiting, "failed")
    assert service.control.log.cancelled_run_ids() == []


def test_a_cancellation_outlives_the_kill_that_began_it(trigger, service, monkeypatch):
    """Airflow cancels `on_kill` after about a second."""

    async def aown_state(_ti):
        return "failed"

    async def killed_in_a_hurry(waiting):
        killing = asyncio.ensure_future(waiting.on_kill())
        await asyncio.sleep(0)
        assert runs._detached
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
        await asyncio.gather(*runs._detached)

    monkeypatch.setattr(airflow_compat, "aown_state", aown_state)
    waiting = trigger(catalog.GROUP_ENDLESS)
    waiting._task_instance = SimpleNamespace(task_id="tests")
    service.control.latency = 0.1
    asyncio.run(killed_in_a_hurry(waiting))
    assert set(service.control.log.cancelled_run_ids()) == set(waiting.run_ids)
    assert not runs._detached


@pytest.fixture
def end_the_loop(monkeypatch, service):
    """Cancels a trigger that waits, as every Airflow does, and a second time before it is done."""

    def call(waiting, state, *, on_kill_exists=False, task_instance=True):
        feature = airflow_compat.Feature("", (2, 0) if on_kill_exists else (99, 0), "", "")
        monkeypatch.setattr(airflow_compat, "KILL_WHILE_DEFERRED", feature)
        monkeypatch.setattr(airflow_compat, "aown_state", answers(state))
        if task_instance:
            waiting._task_instance = waiting.task_instance = SimpleNamespace(task_id="tests")

        async def cancelled():
            wait = asyncio.ensure_future(anext(waiting.run()))
            await asyncio.to_thread(eventually, lambda: reads(service), 10, "a look at the runs")
            for _ in range(2):
                wait.cancel()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await wait
            await asyncio.gather(*runs._detached)

        service.control.log.clear()
        asyncio.run(cancelled())

    return call


@pytest.mark.parametrize(
    "state", ["failed", "success", "skipped", None, "queued", "running", airflow_compat.GONE]
)
def test_before_on_kill_a_cancelled_trigger_stops_the_runs(trigger, service, end_the_loop, state):
    """A user marked or cleared the task, or deleted it: it is not deferred any more."""
    waiting = trigger(catalog.GROUP_ENDLESS)
    end_the_loop(waiting, state)
    assert set(service.control.log.cancelled_run_ids()) == set(waiting.run_ids)


@pytest.mark.parametrize(
    "error", [TimeoutError(), ConnectionError("the parent is gone")], ids=["slow", "broken"]
)
def test_a_state_that_cannot_be_read_at_once_leaves_no_run_behind(trigger, service, kill, error):
    """The triggerer's parent process may be busy for a while. Nothing calls `on_kill` again."""
    waiting = trigger(catalog.GROUP_ENDLESS)
    kill(waiting, [error, error, "failed"])
    assert set(service.control.log.cancelled_run_ids()) == set(waiting.run_ids)


@pytest.mark.parametrize(
    ("state", "parameters", "how"),
    [
        ("deferred", {}, {}),
        ([ConnectionError("the parent is gone")], {}, {}),
        ("failed", {"cancel_on_kill": False}, {}),
        ("failed", {}, {"on_kill_exists": True}),
    ],
    ids=["triggerer stops", "state unknown", "cancel_on_kill=False", "Airflow calls on_kill"],
)
def test_a_cancelled_trigger_that_leaves_the_runs(trigger, service, end_the_loop, state, parameters, how):
    """A triggerer that stops, or loses the trigger to another, cancels nothing, and reads the state once."""
    end_the_loop(trigger(catalog.GROUP_ENDLESS, **parameters), state, **how)
    assert service.control.log.cancelled_run_ids() == []


@pytest.mark.parametrize("on_kill_exists", [True, False])
def test_ctrl_c_in_dags_test_stops_the_runs(trigger, service, end_the_loop, on_kill_exists):
    """There the trigger has no task instance, and nobody else will wait."""
    waiting = trigger(catalog.GROUP_ENDLESS)
    end_the_loop(waiting, "deferred", on_kill_exists=on_kill_exists, task_instance=False)
    assert set(service.control.log.cancelled_run_ids()) == set(waiting.run_ids)
