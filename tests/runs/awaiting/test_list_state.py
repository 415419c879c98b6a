from __future__ import annotations

from airflow_provider_testerarmy.runs.awaiting.list_state import WITHOUT_LISTS, Lists
from tests.runs.scripted import Port, active, finished, page

IDS = [f"run-{number}" for number in range(10)]
RUNS = dict.fromkeys(IDS)


def begun(*, whole=False, ids=IDS, now=0.0):
    lists = Lists(Port(), whole=whole)
    assert lists.begin(lambda: dict.fromkeys(ids), now) == set(ids)
    return lists


def walk(lists, *pages):
    """Take so many pages; return what they showed."""
    seen = {}
    for one in pages:
        lists.ask_page()
        seen.update(lists.took(one, RUNS)[0])
    return seen


def test_a_page_is_asked_for_once():
    """While a walk is in progress, no other one begins."""
    lists = begun()
    assert lists.wants_page
    lists.ask_page()
    assert not lists.wants_page
    lists.repeat_page()
    assert lists.wants_page


def test_what_no_list_shows_is_left_over():
    """It is fetched individually, and not searched for in lists until then."""
    lists = begun()
    seen = walk(lists, page(), page(*map(active, IDS[:8])))
    assert set(seen) == set(IDS[:8])
    assert set(lists.over()) == set(IDS[8:])
    assert lists.begin(lambda: dict.fromkeys(IDS[8:]), 0.0) == set()


def test_others_runs_are_ignored():
    lists = begun()
    assert walk(lists, page(active("of somebody else"), active(IDS[0]))).keys() == {IDS[0]}


def test_a_verdict_needs_more_than_a_list_has():
    """An end is seen in a list only where a glance is enough."""
    ended = page(finished(IDS[0]), active(IDS[1]))
    assert walk(begun(whole=True), ended).keys() == {IDS[1]}
    assert walk(begun(), ended).keys() == set(IDS[:2])


def test_lists_that_cannot_be_had_are_done_without_for_a_while():
    lists = begun()
    assert set(lists.give_up(5.0)) == set(IDS)
    for run_id in IDS:
        lists.saw(run_id)
    assert lists.begin(lambda: RUNS, 5.0 + WITHOUT_LISTS - 0.1) == set()
    assert lists.begin(lambda: RUNS, 5.0 + WITHOUT_LISTS) == set(IDS)


def test_what_nobody_waits_for_is_not_looked_for():
    """A walk without targets is complete."""
    lists = begun()
    for run_id in IDS:
        lists.forget(run_id)
    assert lists.over() == []
    assert not lists.wants_page


def test_a_page_that_comes_after_the_walk_was_given_up_is_dropped():
    lists = begun()
    lists.ask_page()
    lists.give_up(0.0)
    assert lists.took(page(active(IDS[0])), RUNS) == ({}, 0.0)
