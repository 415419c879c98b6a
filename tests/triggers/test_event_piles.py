"""Thousands of runs at once, cursors of other versions, and several triggerers or deployments: nothing is lost."""

from __future__ import annotations

import json
from collections import Counter

from airflow_provider_testerarmy.runs.events import cursor as cursors
from airflow_provider_testerarmy.runs.events.cursor import Cursor
from tests.triggers.event_world import Triggerer, WorldRun
from tests.triggers.test_event_delivery import Story


def uuid(number):
    return f"00000000-0000-4000-8000-{number:012x}"


def pile(story, number, seconds=0.0, every=0.36):
    """Start runs, one after another, with ids as TesterArmy has them."""
    for _ in range(number):
        story.world.start(seconds)
        story.world.runs[-1].run_id = uuid(len(story.world.runs))
        story.world.now += every


def size(story):
    """The bytes of the stored cursor."""
    return max((len(json.dumps(value)) for value in story.cell.values.values()), default=0)


def drain(story, sizes=None):
    """Sweep until there is nothing left to report."""
    while story.triggerer.sweep() or story.triggerer.member.behind or story.triggerer.member.late:
        if sizes is not None:
            sizes.append(size(story))


def test_an_hour_with_3000_ends_is_told_once_and_the_cursor_stays_small():
    """The floor follows what is reported, so that each sweep reads less."""
    story, sizes = Story(), []
    story.world.page = 100
    pile(story, 3000)
    story.restart()
    story.world.requests.clear()
    drain(story, sizes)
    assert Counter(story.stored) == {(run.run_id, False): 1 for run in story.world.runs}
    assert max(sizes) < 48 * 1024
    # 30 pages, and 15 portions of 200: without the moving floor it takes twice as many.
    assert story.world.requests["list"] < 350
    assert story.world.requests["fetch"] == 0


def test_a_nightly_of_2000_runs_in_ten_minutes_loses_no_run_that_takes_longer():
    """Half of the runs are active while the others end, and more end than a cursor remembers."""
    story, sizes = Story(), []
    story.world.page = 100
    for _ in range(20):
        pile(story, 50, 3000, 0.1)
        pile(story, 50, 5, 0.1)
    pile(story, 1500, 5, 0.1)
    story.world.now += 10
    drain(story, sizes)
    assert len(story.stored) == 2500
    story.restart()
    story.world.now += 3000
    drain(story, sizes)
    assert Counter(run_id for run_id, _ in story.stored) == {run.run_id: 1 for run in story.world.runs}
    assert max(sizes) < 64 * 1024


def test_long_runs_that_end_do_not_hide_the_short_ones_after_them():
    """The long ones, below the floor, fill the first portion; the floor waits for the others."""
    story = Story()
    story.world.page = 100
    pile(story, 250, 20_000, 0.1)
    story.world.now += 5000
    pile(story, 1)
    drain(story)
    pile(story, 100, 5, 100)
    story.world.now += 10_000
    story.restart()
    drain(story)
    assert Counter(story.stored) == {(run.run_id, False): 1 for run in story.world.runs}


def test_runs_that_end_in_the_reverse_order_are_all_told():
    """The portions follow the order of creation, as the floor does."""
    story = Story()
    story.world.page = 100
    pile(story, 600, 0.0, 10)
    for back, each in enumerate(reversed(story.world.runs)):
        each.ends = story.world.now + back / 100
    story.world.now += 10
    drain(story)
    assert Counter(story.stored) == {(run.run_id, False): 1 for run in story.world.runs}


def test_hundreds_of_active_runs_below_the_floor_are_read_from_lists():
    """Not with one request for each."""
    story = Story()
    story.world.page = 100
    pile(story, 300, 50_000)
    story.world.now += 5000
    pile(story, 1)
    drain(story)
    story.world.requests.clear()
    story.triggerer.sweep()
    assert story.world.requests["fetch"] == 0
    assert story.world.requests["list"] < 10


def test_two_days_without_a_triggerer_and_a_crash_lose_nothing():
    """What is older than a day has been announced, but its events were not stored."""
    story = Story()
    pile(story, 10, 5, 600)
    story.world.now += 2 * 86400
    pile(story, 1)
    story.triggerer.sweep(store_events=False)
    story.restart()
    drain(story)
    assert Counter(story.stored) == {(run.run_id, True): 1 for run in story.world.runs}


def test_an_empty_list_moves_nothing():
    """A broken replica answers so. What ended while no triggerer was alive is reported later."""
    story = Story()
    pile(story, 1)
    drain(story)
    pile(story, 5, 5, 600)
    story.restart()
    story.world.empty = True
    for _ in range(3):
        story.triggerer.sweep()
    story.world.empty = False
    drain(story)
    assert Counter(story.stored) == {(run.run_id, False): 1 for run in story.world.runs}


def test_a_list_that_goes_back_in_time_repeats_nothing():
    """An older copy of the list shows ended runs as active, and lacks the newest."""
    story = Story()
    pile(story, 5, 5, 10)
    story.world.now += 10
    drain(story)
    floor = story.triggerer.member.cursor.floor
    story.world.stale = 35
    story.triggerer.sweep()
    assert story.triggerer.member.cursor.floor >= floor
    pile(story, 3, 5, 10)
    story.triggerer.sweep()
    story.world.stale = 0
    story.world.now += 10
    drain(story)
    assert Counter(story.stored) == {(run.run_id, False): 1 for run in story.world.runs}


def test_a_list_that_goes_in_circles_ends_the_walk():
    """What was read is reported."""
    story = Story()
    story.world.endless = True
    pile(story, 5)
    drain(story)
    assert Counter(story.stored) == {(run.run_id, False): 1 for run in story.world.runs[-story.world.page :]}
    assert story.world.requests["list"] < 10


def test_a_triggerer_that_was_paused_for_an_hour_repeats_only_with_a_mark():
    """Another one has reported meanwhile."""
    story = Story()
    pile(story, 3)
    paused = story.triggerer
    paused.sweep()
    story.restart()
    for _ in range(6):
        pile(story, 40, 5, 15)
        drain(story)
    other = story.triggerer
    pile(story, 5)
    paused.sweep()
    other.sweep()
    other.sweep()
    story.check()


def test_two_deployments_with_one_account_are_told_everything_each():
    """Their cursors are apart, and neither hides a run from the other."""
    first, second = Story(), Story()
    second.world = first.world
    second.restart()
    second.triggerer.sweep()
    pile(first, 50, 5, 10)
    first.world.now += 10
    drain(first)
    pile(first, 50, 5, 10)
    first.world.now += 10
    drain(second)
    drain(first)
    expected = {(run.run_id, False): 1 for run in first.world.runs}
    assert Counter(first.stored) == Counter(second.stored) == expected


def test_the_first_format_is_written_while_it_suffices():
    """A provider that is set back to a version without the second one then continues."""
    few, many = (Cursor(5.0, open={uuid(n): 7.0 for n in range(count)}) for count in (300, 301))
    assert few.to_json()["version"] == 1
    assert many.to_json()["version"] == 2
    for cursor in (few, many):
        assert Cursor.from_json(json.loads(json.dumps(cursor.to_json()))) == cursor


def test_a_packed_cursor_keeps_ids_of_every_kind():
    """Docket's are numbers, and a text may look almost like a UUID."""
    ids = [7, "run-7", uuid(7), uuid(8).upper(), "{" + uuid(9) + "}", *(uuid(n) for n in range(20, 400))]
    digests = {cursors.digest(each): 9.0 for each in ids}
    cursor = Cursor(5.5, digests, {7: 1.0, uuid(7): 2.0}, dict.fromkeys(ids, 7.0), "stamp", unsure=True)
    stored = json.loads(json.dumps(cursor.to_json()))
    assert stored["version"] == 2
    assert Cursor.from_json(stored) == cursor


def test_a_cursor_of_a_later_version_loses_nothing_and_marks_what_may_be_a_repeat():
    """After a downgrade: its floor is used, and its active runs if they are readable."""
    story = Story()
    active = WorldRun(uuid(1), story.world.now, story.world.now, story.world.now + 5000)
    story.world.runs.append(active)
    pile(story, 3, 5)
    story.world.now += 10
    drain(story)
    (key,) = story.cell.values
    written = story.cell.values[key]
    story.world.now += 2000
    pile(story, 2, 5)
    story.world.now += 10
    later = {"version": 7, "floor": written["floor"], "open": [[active.run_id, 1.0]], "delivered": {"new": 1}}
    story.cell.values[key] = {**later, "announced": "new"}
    story.triggerer = Triggerer(story.world, story.cell, story.stored)
    drain(story)
    story.world.now += 5000
    pile(story, 1, 5)
    story.world.now += 10
    drain(story)
    story.check()
    assert story.stored[-1][1] is False
    assert story.cell.values[key]["version"] == 1
    assert "unsure" not in story.cell.values[key]


def test_2500_runs_of_one_moment_fit_into_the_store():
    """A group starts all of its runs at once, so the floor cannot pass some of them."""
    story, sizes = Story(), []
    story.world.page = 100
    pile(story, 2500, 5, 0.0)
    story.world.now += 10
    drain(story, sizes)
    assert Counter(story.stored) == {(run.run_id, False): 1 for run in story.world.runs}
    assert max(sizes) < 64 * 1024
