"""An event counts only if it reports success after the run's end; a run without such an event is missed."""

from __future__ import annotations

import math

import pytest

from benchmarks.measure import judge
from benchmarks.timeline import Timeline


@pytest.fixture
def timeline():
    timeline = Timeline(10)
    timeline.ends[2], timeline.ends[5] = 100.0, 110.0
    return timeline


def report(*events, failures=()):
    return {"events": [list(event) for event in events], "failures": list(failures)}


def test_a_delay_goes_from_the_end_of_the_run_to_the_event(timeline):
    assert judge(timeline, [2, 5], report((2, 101.5, True), (5, 113.0, True))) == {
        "median": 1.5,
        "p99": 3.0,
        "ended": 2,
        "missed": 0,
        "failed": 0,
    }


def test_a_run_whose_event_never_came_is_missed_and_its_delay_has_no_end(timeline):
    found = judge(timeline, [2, 5], report((2, 101.5, True)))

    assert (found["missed"], found["p99"]) == (1, math.inf)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param((2, 99.0, True), id="before the end"),
        pytest.param((2, 101.0, False), id="of a failure"),
    ],
)
def test_an_untrue_event_is_a_failure_and_no_news(timeline, event):
    found = judge(timeline, [2], report(event))

    assert (found["failed"], found["missed"]) == (1, 1)


def test_an_event_of_a_run_that_has_not_ended_is_a_failure(timeline):
    found = judge(timeline, [2], report((2, 101.0, True), (7, 101.0, True)))

    assert (found["failed"], found["missed"]) == (1, 0)


def test_a_broken_trigger_is_a_failure(timeline):
    found = judge(timeline, [2], report((2, 101.0, True), failures=[[7, "Traceback"]]))

    assert found["failed"] == 1
