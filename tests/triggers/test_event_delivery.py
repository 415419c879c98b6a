"""Every end is reported at least once, and a second report is marked, whatever dies when."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.events import cursor as cursors
from airflow_provider_testerarmy.runs.events.sweep import OVERLAP, Need, sweep
from airflow_provider_testerarmy.runs.flow import drive
from tests.triggers.event_world import Cell, Triggerer, World

STEPS = st.one_of(
    st.tuples(st.just("start"), st.integers(0, 5000), st.integers(0, int(OVERLAP) // 2 - 1)),
    st.tuples(st.just("pass"), st.integers(0, 3000)),
    st.tuples(st.just("shift"), st.integers(1, 3)),
    st.tuples(st.just("stale"), st.integers(0, int(OVERLAP) // 2)),
    st.tuples(st.just("empty"), st.booleans()),
    st.tuples(st.just("sweep"), st.sampled_from(["stored", "confirmed"])),
    st.tuples(st.just("die"), st.sampled_from(["idle", "unstored", "stored"])),
)


class Story:
    """A world with one watcher, whose triggerer is replaced when it dies."""

    def __init__(self) -> None:
        self.world, self.cell = World(), Cell()
        self.stored: list[tuple[str, bool]] = []
        self.triggerer = Triggerer(self.world, self.cell, self.stored)
        self.triggerer.sweep()
        self.began = len(self.world.runs)

    def restart(self) -> None:
        self.triggerer = Triggerer(self.world, self.cell, self.stored)

    def go(self, step) -> None:
        match step:
            case "start", seconds, lag:
                self.world.start(seconds, lag)
            case "pass", seconds:
                self.world.now += seconds
            case "shift", count:
                self.world.shift = count
            case "stale", seconds:
                self.world.stale = seconds
            case "empty", empty:
                self.world.empty = empty
            case "sweep", how:
                self.triggerer.sweep(confirm=how == "confirmed")
            case "die", when:
                if when != "idle":
                    self.triggerer.sweep(store_events=when == "stored", confirm=False)
                self.restart()

    def finish(self) -> None:
        """Let every run end, the lists recover, and the triggerer live."""
        self.world.stale, self.world.empty = 0.0, False
        for _ in range(4):
            self.world.now += 2000
            for _ in range(2):
                self.triggerer.sweep()

    def check(self) -> None:
        told = Counter(run_id for run_id, _ in self.stored)
        assert {run.run_id for run in self.world.runs[self.began :]} <= told.keys()
        seen = set()
        for run_id, repeat in self.stored:
            assert repeat or run_id not in seen, f"{run_id} is repeated without a mark"
            seen.add(run_id)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=25))
def test_no_end_is_lost_and_repeats_are_marked(steps):
    """Whatever the order of starts, late lists, shifting pages and deaths."""
    story = Story()
    for step in steps:
        story.go(step)
    story.finish()
    story.check()


def test_a_quiet_life_repeats_nothing():
    """Without a crash, each run is reported once and without a mark."""
    story = Story()
    for seconds in (10, 4000, 10, 0, 700):
        story.world.start(seconds)
        story.world.now += 300
        story.triggerer.sweep()
    story.finish()
    assert sorted(story.stored) == [(f"run-{number}", False) for number in range(5)]


def test_the_first_start_reports_from_now_on():
    """What has ended before is no event, and what is active is one when it ends."""
    world, cell, stored = World(), Cell(), []
    world.start(10)
    world.start(20_000)
    world.now += 10_000
    for _ in range(7):
        world.start(0)
    triggerer = Triggerer(world, cell, stored)
    triggerer.sweep()
    assert not stored
    world.now += 10_001
    triggerer.sweep()
    assert stored == [("run-1", False)]


def test_an_hour_without_a_triggerer_loses_nothing():
    """The next life continues at the stored floor, across many pages."""
    story = Story()
    long = story.world.start(3000)
    story.triggerer.sweep()
    for _ in range(120):
        story.world.start(5)
        story.world.now += 30
    story.restart()
    while story.triggerer.sweep():
        pass
    assert len(story.stored) == 121
    assert (long, False) in story.stored


def test_hundreds_in_one_second_are_reported_in_portions():
    """The cursor announces a bounded number at once."""
    story = Story()
    for _ in range(250):
        story.world.start(0)
    assert story.triggerer.sweep() == cursors.ANNOUNCED
    while story.triggerer.sweep() or story.triggerer.member.behind:
        pass
    story.check()
    assert len(story.stored) == 250


def test_a_paused_triggerer_marks_what_another_has_reported():
    """It notices the other's stamp in the store, and continues from there."""
    story = Story()
    paused = story.triggerer
    story.world.start(5)
    story.world.now += 10
    paused.sweep()
    story.restart()
    story.world.start(5)
    story.world.now += 10
    story.triggerer.sweep()
    story.triggerer.sweep()
    paused.sweep()
    story.check()


def test_a_quiet_poll_costs_one_request():
    """The active runs are on the first page, so no other request is needed."""
    story = Story()
    story.world.start(5000)
    story.triggerer.sweep()
    story.world.requests.clear()
    story.triggerer.sweep()
    assert story.world.requests == {"list": 1}


def test_a_time_in_the_far_future_does_not_move_the_floor():
    """A hostile or broken time must not hide the runs that follow."""
    story = Story()
    story.world.start(0)
    story.world.runs[-1].created += 10**8
    story.triggerer.sweep()
    assert story.triggerer.member.cursor.floor <= story.world.now
    story.world.start(0)
    story.triggerer.sweep()
    story.check()


def test_a_cursor_fits_into_airflows_store():
    """Its lists are bounded, and what is dropped is not reported again."""
    story = Story()
    story.world.page = 100
    for number in range(2600):
        story.world.start(0 if number % 2 else 50_000)
        story.world.now += 0.01
    while story.triggerer.sweep() or story.triggerer.member.behind:
        assert len(json.dumps(next(iter(story.cell.values.values())))) < 64 * 1024
    assert len(story.stored) == 1300
    story.restart()
    for _ in range(3):
        story.triggerer.sweep()
    assert len({run_id for run_id, _ in story.stored}) == len(story.stored) == 1300


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"version": 2},
        {"version": 0, "floor": 1.0},
        {"version": 99},
        {"version": "1", "floor": 1.0},
        {"version": 1, "floor": "soon"},
        {"version": 1, "floor": 1.0, "delivered": [], "announced": [["../x y", 1]], "open": [], "stamp": ""},
        {"version": 2, "floor": 1.0, "delivered": "x", "announced": ["", []], "open": ["", []], "stamp": ""},
        "text",
        7,
    ],
)
def test_an_unreadable_cursor_is_no_failure(wrong):
    """The trigger starts from now on, as at its first start."""
    story = Story()
    for key in story.cell.values:
        story.cell.values[key] = wrong
    story.restart()
    assert story.triggerer.member.cursor is None


def test_what_is_too_much_for_one_sweep_is_not_passed_by():
    """Hundreds of runs that ended during hours are reported in portions, also across restarts."""
    story = Story()
    story.world.page = 100
    for _ in range(700):
        story.world.start(0)
        story.world.now += 20
    for _ in range(10):
        story.restart()
        story.triggerer.sweep(confirm=False)
        story.triggerer.confirmed = story.triggerer.number
        story.triggerer.sweep()
        story.triggerer.sweep()
    story.check()


def test_a_sweep_for_another_watcher_does_not_move_the_floor():
    """It may have been read less deep than this watcher needs."""
    story = Story()
    story.world.start(0)
    story.world.now += 5000
    for _ in range(5):
        story.world.start(0)
    cursor = story.triggerer.member.cursor
    shallow = Need(story.world.now - 10)
    found = drive(sweep(story.world, shallow, story.world.now), story.world.send, lambda _: None)
    assert cursor.advance(found, story.triggerer.trigger.wanted) == cursor
