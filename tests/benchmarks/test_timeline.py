"""The server and the evaluation compute the same ends independently."""

from __future__ import annotations

import math

import pytest

from benchmarks.timeline import ENDING_AT_LEAST, QUEUED_EVERY, Timeline


def test_two_processes_that_schedule_alike_know_the_same_ends():
    here, there = Timeline(200), Timeline(200)

    assert here.schedule(100.0, 125.0) == there.schedule(100.0, 125.0)
    assert here.ends == there.ends
    assert here.starts == there.starts


@pytest.mark.parametrize(("count", "leaving"), [(10, ENDING_AT_LEAST), (3, 3), (1000, 200)])
def test_a_share_of_the_runs_ends_within_the_window_and_of_few_runs_some(count, leaving):
    timeline = Timeline(count)

    numbers = timeline.schedule(100.0, 125.0, 0.2)

    assert len(numbers) == leaving
    assert all(100.0 <= timeline.ends[number] <= 125.0 for number in numbers)
    assert sum(not math.isinf(end) for end in timeline.ends) == leaving


def test_no_run_ends_before_it_is_scheduled():
    timeline = Timeline(100)

    assert not any(timeline.ended(number, 1e12) for number in range(100))


def test_a_second_schedule_takes_only_runs_that_are_still_active():
    timeline = Timeline(50)
    first = timeline.schedule(10.0, 20.0, 0.2)

    second = timeline.schedule(30.0, 40.0, 1.0)

    assert not set(first) & set(second)
    assert sorted([*first, *second]) == list(range(50))


def test_queued_runs_start_before_they_end():
    timeline = Timeline(400)
    assert not timeline.started(QUEUED_EVERY, 1e12)

    timeline.schedule(100.0, 125.0, 0.9)

    assert all(start <= end for start, end in zip(timeline.starts, timeline.ends, strict=True))
    assert all(timeline.started(number, 125.0) for number in range(400))
