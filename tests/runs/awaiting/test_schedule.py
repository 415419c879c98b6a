"""Who waits for which runs, and which run is due when; with a test clock."""

from __future__ import annotations

import math
import random

import pytest

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.schedule import Schedule

SLOW, FAST = Pace(60, 600), Pace(1, 600)


@pytest.fixture(autouse=True)
def _same_jitter_each_time():
    random.seed(7)


def poll(schedule, now, room=100):
    """Poll what is due; return the ids."""
    schedule.gather(now)
    picked = schedule.pick(room)
    for watched in picked:
        watched.polled = now
        schedule.poll_again(watched, now)
    return [watched.run_id for watched in picked]


def polls(schedule, begin, seconds, step=0.5):
    """How often each run is polled in that time."""
    times = [begin + step * number for number in range(int(seconds / step))]
    return [run_id for now in times for run_id in poll(schedule, now)]


@pytest.mark.parametrize("order", [(SLOW, FAST), (FAST, SLOW)])
def test_the_interval_is_that_of_those_who_still_wait(order):
    """Whoever came first, and whoever left."""
    schedule = Schedule()
    waiters = {pace: schedule.subscribe(["a"], pace, 0.0) for pace in order}
    polls(schedule, 0, 400)
    assert 80 <= len(polls(schedule, 400, 100)) <= 110
    schedule.drop(waiters[FAST])
    assert len(polls(schedule, 500, 240)) in (3, 4)


def test_a_young_waiter_that_leaves_takes_its_eagerness_along():
    """A new waiter has the run polled once a second at first, but only while it waits."""
    schedule = Schedule()
    schedule.subscribe(["a"], SLOW, 0.0)
    polls(schedule, 0, 1000)
    schedule.drop(schedule.subscribe(["a"], SLOW, 1000.0))
    assert len(polls(schedule, 1000, 180)) <= 4


def test_the_slow_one_that_leaves_changes_nothing():
    schedule = Schedule()
    slow = schedule.subscribe(["a"], SLOW, 0.0)
    schedule.subscribe(["a"], FAST, 0.0)
    polls(schedule, 0, 100)
    schedule.drop(slow)
    assert 80 <= len(polls(schedule, 100, 100)) <= 110


def test_nobody_left_means_no_run():
    """The runs that nobody waits for any more are named."""
    schedule = Schedule()
    one, other = schedule.subscribe(["a", "b"], FAST, 0.0), schedule.subscribe(["b"], FAST, 0.0)
    assert schedule.drop(one) == ["a"]
    assert schedule.drop(other) == ["b"]
    for run_id in ("a", "b"):
        schedule.forget(run_id)
    assert (polls(schedule, 0, 10), schedule.next_due(), schedule.runs) == ([], math.inf, {})


def test_new_runs_come_first_and_only_until_their_first_poll():
    """Three turns of four; the fourth goes to the longest overdue."""
    schedule = Schedule()
    schedule.subscribe([f"old-{number}" for number in range(20)], FAST, 0.0)
    poll(schedule, 0.0)
    schedule.subscribe([f"new-{number}" for number in range(6)], FAST, 10.0)
    first = poll(schedule, 10.0, room=8)
    assert [run_id[:3] for run_id in first].count("new") == 6
    assert {run_id[:3] for run_id in poll(schedule, 10.5, room=18)} == {"old"}


def test_a_stream_of_new_runs_starves_nobody():
    """Though there are more of them than can be polled."""
    schedule = Schedule()
    schedule.subscribe(["old"], FAST, 0.0)
    poll(schedule, 0.0)
    polled = []
    for second in range(10, 20):
        schedule.subscribe([f"new-{second}-{number}" for number in range(8)], FAST, float(second))
        polled += poll(schedule, float(second), room=4)
    assert "old" in polled[:4]


@pytest.mark.parametrize("overdue", [False, True])
def test_a_run_that_a_hint_names_comes_first(overdue):
    """Before all that are due longer, whether or not its own poll was due."""
    schedule = Schedule()
    schedule.subscribe([f"old-{number}" for number in range(20)], FAST, 0.0)
    schedule.subscribe(["hinted"], FAST if overdue else SLOW, 0.0)
    poll(schedule, 0.0)
    poll(schedule, 1000.0)
    schedule.gather(1002.0)
    assert ("hinted" in schedule.ready) == overdue
    hinted = schedule.runs["hinted"]
    hinted.hinted = 1002.0
    schedule.hasten(hinted, 1002.0)
    assert "hinted" in poll(schedule, 1002.0, room=2)


def test_hints_starve_nobody():
    """One poll of four goes to the longest overdue run."""
    schedule = Schedule()
    ids = [f"run-{number}" for number in range(40)]
    schedule.subscribe(ids, FAST, 0.0)
    poll(schedule, 0.0)
    polled = []
    for second in range(10, 170):
        for run_id in ids[:8]:
            schedule.runs[run_id].hinted = float(second)
            schedule.hasten(schedule.runs[run_id], float(second))
        polled += poll(schedule, float(second), room=1)
    assert set(polled) == set(ids)


def test_under_a_cap_each_is_polled_in_turn():
    """No run is polled twice before every run has been polled once."""
    schedule = Schedule()
    ids = [f"run-{number}" for number in range(40)]
    for run_id in ids:
        schedule.subscribe([run_id], FAST, 0.0)
    polled = [run_id for second in range(20) for run_id in poll(schedule, 10.0 * second, room=4)]
    assert set(polled[:40]) == set(ids)
    assert {polled.count(run_id) for run_id in ids} == {2}


def test_a_question_that_was_not_taken_keeps_its_place():
    """It is the longest overdue still."""
    schedule = Schedule()
    schedule.subscribe(["a"], FAST, 0.0)
    schedule.subscribe(["b", "c"], FAST, 1.0)
    poll(schedule, 0.0)
    schedule.gather(5.0)
    refused, *_ = schedule.pick(3)
    schedule.make_ready(refused)
    assert schedule.pick(1) == [refused]


# -- deadlines


def test_deadlines_are_wall_time():
    """A clock that is set forward meets them, one that is set back puts them off."""
    schedule = Schedule()
    schedule.wall_ahead = 1000.0
    hasty = schedule.subscribe(["a"], Pace(60, 600, 1100.0), 0.0)
    assert (schedule.meet_deadlines(99.0), schedule.next_deadline()) == ([], 100.0)
    schedule.wall_ahead = 990.0
    assert (schedule.meet_deadlines(100.0), schedule.next_deadline()) == ([], 110.0)
    schedule.wall_ahead = 2000.0
    assert schedule.meet_deadlines(101.0) == [hasty]
    assert hasty.overdue_since == 101.0


def test_intervals_do_not_depend_on_the_wall_clock():
    schedule = Schedule()
    schedule.subscribe(["a"], SLOW, 0.0)
    polls(schedule, 0, 400)
    schedule.wall_ahead = -1e6
    assert 1 <= len(polls(schedule, 400, 120)) <= 3


def test_a_run_is_due_at_the_deadline():
    """However long its interval."""
    schedule = Schedule()
    schedule.subscribe(["a", "b"], Pace(3600, 600, 100.5), 0.0)
    poll(schedule, 0.0)
    polls(schedule, 1, 99)
    schedule.meet_deadlines(100.5)
    assert sorted(poll(schedule, 100.5)) == ["a", "b"]


def test_a_poll_that_began_before_the_deadline_is_not_the_last():
    """Its response may predate the end of the run."""
    schedule = Schedule()
    schedule.subscribe(["a"], Pace(3600, 600, 100.0), 0.0)
    schedule.gather(0.0)
    (watched,) = schedule.pick(1)
    schedule.meet_deadlines(100.0)
    watched.polled = 99.0
    schedule.poll_again(watched, 101.0)
    assert schedule.next_due() == 101.0
    assert poll(schedule, 101.0) == ["a"]
    assert schedule.next_due() > 110.0


def test_who_has_left_is_not_remembered_until_the_deadline():
    """A triggerer runs for weeks."""
    schedule = Schedule()
    for _ in range(1000):
        schedule.drop(schedule.subscribe(["a"], Pace(60, 600, 1e9), 0.0))
    assert len(schedule._deadlines._heap) < 70
    assert schedule.next_deadline() == math.inf
