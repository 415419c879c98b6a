"""Which triggers share a watcher."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.wait_end import WaitEnd
from airflow_provider_testerarmy.triggers.watchers import wait_together, watcher_of


@pytest.fixture
def connect(monkeypatch):
    """Sets a connection."""

    def set_connection(conn_id, **changes):
        fields = {
            "conn_type": "testerarmy",
            "host": "http://127.0.0.1:9/api/v1",
            "password": "sk_key",
            **changes,
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    set_connection("testerarmy_default")
    set_connection("another")
    set_connection("docket_default")
    return set_connection


def watchers(*hooks):
    async def take():
        return [watcher_of(hook) for hook in hooks]

    return asyncio.run(take())


def test_one_connection_has_one_watcher(connect):
    """However many hooks there are for it."""
    first, second = watchers(TesterArmyHook(), TesterArmyHook())
    assert first is second


def test_triggers_that_begin_at_the_same_time_share_one(connect):
    """In Airflow's triggerer, another trigger may run while one reads its connection's extra."""

    class Interrupted(TesterArmyHook):
        other = None

        def service(self):
            self.other = self.other or watcher_of(TesterArmyHook())
            return super().service()

    Interrupted.__module__, Interrupted.__qualname__ = TesterArmyHook.__module__, TesterArmyHook.__qualname__
    hook = Interrupted()
    (mine,) = watchers(hook)
    assert mine is hook.other


def test_connections_and_vendors_are_kept_apart(connect):
    """A key is sent to the service it belongs to, and nowhere else."""
    found = watchers(TesterArmyHook(), TesterArmyHook("another"), DocketHook())
    assert len(set(found)) == 3


def test_a_changed_connection_has_a_watcher_of_its_own(connect):
    """The old one knows only the old key."""
    before = TesterArmyHook()
    assert before.endpoint.key == "sk_key"
    connect("testerarmy_default", password="sk_other_key")
    first, second = watchers(before, TesterArmyHook())
    assert first is not second


def test_event_loops_share_nothing(connect):
    """A client belongs to the loop that it was opened in."""
    hook = TesterArmyHook()
    assert watchers(hook) != watchers(hook)


def test_a_watcher_that_has_ended_is_replaced(connect):
    """The last waiter closed its client."""

    async def in_turn():
        first = watcher_of(TesterArmyHook())
        await first.wait((), Pace(), print)
        return first, watcher_of(TesterArmyHook())

    first, second = asyncio.run(in_turn())
    assert first.closed
    assert not second.closed


@pytest.mark.parametrize("wrong", ["many", -1, 0, "nan"])
def test_a_rate_that_is_none_is_refused(connect, wrong):
    """With the name of the field."""
    connect("testerarmy_default", extra={"max_requests_per_second": wrong})
    with pytest.raises(ValueError, match=r"max_requests_per_second .* positive number"):
        watchers(TesterArmyHook())


def test_only_a_rate_that_nobody_has_set_grows(connect):
    """A user's limit is one."""
    assert TesterArmyHook().rate_grows
    connect("testerarmy_default", extra={"max_requests_per_second": 20})
    assert not TesterArmyHook().rate_grows


def test_a_rate_that_is_none_is_refused_before_anything_is_started(connect):
    """The worker needs no rate, and still says so: its trigger would come too late."""
    connect("testerarmy_default", extra={"max_requests_per_second": "many"})
    with pytest.raises(ValueError, match="max_requests_per_second"):
        TesterArmyHook().asker()


def test_what_the_service_asked_for_outlives_the_watcher(connect):
    """A task that gives up meanwhile does not free the connection."""

    async def in_turn():
        first = watcher_of(TesterArmyHook())
        first._watch._health.held_until = time.monotonic() + 60
        await first.wait((), Pace(), print)
        same, other = watcher_of(TesterArmyHook()), watcher_of(TesterArmyHook("another"))
        return first.held_until, same.held_until, other.held_until

    first, same, other = asyncio.run(in_turn())
    assert same == first
    assert other < first


def test_a_wait_goes_on_with_the_next_watcher(connect):
    """For any reason why the first one was cancelled."""

    async def cancelled():
        hook = TesterArmyHook()
        first = watcher_of(hook)
        wait = asyncio.create_task(wait_together(hook, ["run"], Pace(1, 600, time.time() + 2), print))
        await asyncio.sleep(0)
        first._poller.cancel()
        return (await wait).end, first.closed

    assert asyncio.run(cancelled()) == (WaitEnd.DEADLINE, True)
