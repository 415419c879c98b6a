from __future__ import annotations

from airflow_provider_testerarmy.runs.awaiting.listing import (
    ENDED_FROM,
    ENDED_WORTH,
    LIST_FROM,
    plan_ended_walk,
    plan_walk,
)

ACTIVE = ("queued", "running")
ENDED = ("completed", "failed")


def places(count, place=1, begin=0):
    return {f"run-{number}": place for number in range(begin, begin + count)}


def test_few_runs_are_not_worth_a_list():
    assert plan_walk(ACTIVE, places(LIST_FROM - 1)) is None


def test_without_lists_there_is_no_walk():
    assert plan_walk((), places(1000)) is None
    assert plan_ended_walk((), places(1000)) is None


def test_many_new_runs_are_looked_for_on_the_first_pages():
    """Lists are newest first, and with a thousand runs ten pages are full of them."""
    walk = plan_walk(ACTIVE, places(1000))
    assert len(walk.targets) == 1000
    assert 10 <= walk.depth < 20


def test_runs_that_are_too_deep_are_left_out():
    """Going to page 40 for three of them costs more than asking for them."""
    walk = plan_walk(ACTIVE, places(50) | places(3, place=40, begin=50))
    assert walk.targets == set(places(50))


def test_runs_behind_many_others_are_not_looked_for():
    """When every way down the list costs more."""
    assert plan_walk(ACTIVE, places(20, place=30)) is None


def test_a_walk_ends_when_all_are_seen():
    walk = plan_walk(ACTIVE, places(4))
    walk.took(set(places(4)), "more")
    assert walk.over


def test_a_walk_costs_less_than_asking_for_each():
    """However many pages there are."""
    for count in range(LIST_FROM, 300):
        walk = plan_walk(ACTIVE, places(count))
        pages = 0
        while not walk.over:
            walk.took(set(), "more" if pages % 2 else "still more")
            pages += 1
        assert pages < count


def test_a_walk_goes_through_each_status():
    walk = plan_walk(ACTIVE, places(30))
    walk.took(set(places(10)), "")
    assert walk.statuses == ["running"]
    walk.took(set(places(10, begin=10)), "")
    assert walk.over
    assert walk.targets == set(places(10, begin=20))


def test_a_cursor_that_does_not_move_ends_a_list():
    walk = plan_walk(ACTIVE, places(1000))
    walk.took(set(), "same")
    walk.took(set(), "same")
    assert walk.statuses == ["running"]


def test_lists_of_ended_runs_are_read_while_they_show_enough():
    """A page that shows a few of ours costs more than it saves."""
    assert plan_ended_walk(ENDED, places(ENDED_FROM - 1)) is None
    walk = plan_ended_walk(ENDED, places(100))
    walk.took(set(places(80)), "a")
    walk.took(set(places(ENDED_WORTH - 1, begin=80)), "b")
    assert walk.statuses == ["completed", "failed"]
    walk.took(set(), "c")
    assert walk.statuses == ["failed"]
