"""Hints on their way from the API server to the watchers of a triggerer."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from airflow_provider_testerarmy.airflow_compat import variables
from airflow_provider_testerarmy.airflow_compat.features import UI_TAB
from airflow_provider_testerarmy.airflow_compat.hint_variable import are_hints_on, aread_hints, change_hints
from airflow_provider_testerarmy.runs.awaiting.hint_ring import KEPT, MOST, add_to_ring, new_hints, parse_ring
from airflow_provider_testerarmy.runs.awaiting.hints import hint_key
from airflow_provider_testerarmy.triggers import hint_reader
from airflow_provider_testerarmy.triggers.hint_reader import HintReader
from tests.metadata import empty_database, supervised, tables
from tests.triggers.ears import Ear

__all__ = ["empty_database", "supervised", "tables"]

KEY, OTHER = hint_key("web", "run-1"), hint_key("web", "run-2")


@pytest.fixture
def on(monkeypatch):
    if not UI_TAB.available:
        pytest.skip("the endpoint needs the tab's application")
    monkeypatch.setenv("AIRFLOW__TESTERARMY__PUSH_HINTS", "True")
    monkeypatch.setattr(hint_reader, "EVERY", 0.0)
    monkeypatch.setattr(hint_reader, "AFTER_FAULT", 0.0)


def listen(*answers, ears):
    """Let a reader read each answer once."""
    left = list(answers)
    reads = []

    async def read():
        reads.append(None)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run():
        reader = HintReader(lambda: list(ears.items()) if left else [], read)
        reader.ensure()
        task = reader._task
        reader.ensure()
        assert reader._task is task
        if task is not None:
            await task

    asyncio.run(run())
    return len(reads)


def test_each_hint_is_passed_on_once_to_every_watcher(on):
    """A hundred watchers cost one read."""
    ears = {f"connection-{number}": Ear() for number in range(100)}
    first = add_to_ring(None, [KEY], 1000)
    assert listen(None, first, first, add_to_ring(first, [OTHER], 1001), None, ears=ears) == 5
    # Nothing is heard after the last answer, because no watcher is left.
    for name, ear in ears.items():
        assert ear.heard == [(name, ()), (name, (KEY,)), (name, ()), (name, (OTHER,))]


def test_a_store_that_fails_stops_the_stretch_and_nothing_else(on, caplog):
    ear = Ear()
    listen(OSError("no"), OSError("no"), add_to_ring(None, [KEY], 1000), None, ears={"web": ear})
    assert (ear.stopped, ear.heard) == (2, [("web", (KEY,))])
    assert [record.levelname for record in caplog.records if "cannot be read" in record.message] == [
        "WARNING"
    ]


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "null", '{"a":1}', f'{{"{KEY}":"x"}}', f'{{"{KEY}":true}}', "[" * 9999]
)
def test_a_variable_that_somebody_edited_is_no_hint(on, text):
    ear = Ear()
    listen(text, None, ears={"web": ear})
    assert (ear.heard, ear.stopped) == ([("web", ())], 0)


def test_nothing_is_read_unless_switched_on(monkeypatch):
    monkeypatch.delenv("AIRFLOW__TESTERARMY__PUSH_HINTS", raising=False)
    assert not are_hints_on()
    assert listen(None, ears={"web": Ear()}) == 0


def test_the_variable_holds_the_hints(tables, monkeypatch):
    monkeypatch.setattr(variables, "DATABASE_EVERYWHERE", True)
    assert asyncio.run(aread_hints()) is None
    for key in (KEY, OTHER):
        change_hints(lambda text, key=key: add_to_ring(text, [key], time.time()))
    assert set(parse_ring(asyncio.run(aread_hints()))) == {KEY, OTHER}


def test_a_ring_is_bounded():
    text = add_to_ring(None, [hint_key("web", number) for number in range(5000)], 1000)
    assert len(parse_ring(text)) == MOST
    assert len(text) < 48 * 1024
    assert set(parse_ring(add_to_ring(text, [KEY], 1000 + KEPT + 1))) == {KEY}


def test_a_clock_that_was_set_back_keeps_no_hints_of_the_future():
    text = add_to_ring(None, [KEY], 5000)
    assert set(parse_ring(add_to_ring(text, [OTHER], 1000))) == {OTHER}


def test_a_repeated_hint_is_new_after_a_second():
    """A forged one must not hide the genuine one that follows."""
    first = add_to_ring(None, [KEY], 1000)
    assert new_hints(parse_ring(first), parse_ring(add_to_ring(first, [KEY], 1000.5))) == []
    assert new_hints(parse_ring(first), parse_ring(add_to_ring(first, [KEY], 1002))) == [KEY]
    assert json.loads(first) == {KEY: 1000}


@pytest.mark.parametrize("later", [0.0, 0.01, -3.0])
def test_a_hint_of_this_moment_or_of_a_clock_ahead_is_kept(later):
    """API servers' clocks differ by seconds, and times are rounded."""
    first = add_to_ring(None, [KEY], 1000.06)
    assert set(parse_ring(add_to_ring(first, [OTHER], 1000.06 + later))) == {KEY, OTHER}
    assert parse_ring(add_to_ring(first, [KEY], 997))[KEY] == 997
