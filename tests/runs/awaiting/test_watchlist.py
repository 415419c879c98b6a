"""The requests that waiting costs, and the results it gets; a service in memory and a test clock."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.awaiting.due_queue import SLACK
from airflow_provider_testerarmy.runs.awaiting.pace import Pace, Rate
from airflow_provider_testerarmy.runs.awaiting.watchlist import WaitEnd, Watchlist
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.service import FaultKind
from benchmarks.fairness import Case, fairness
from tests.runs.account import Account, Watch, in_some_order
from tests.runs.scripted import START, Port, fault, transient

PACE = Pace(poll_interval=5, max_outage=600)


def watching(count, *, others=0, **options):
    """So many runs being waited for by as many tasks, under so many newer ones of other people."""
    account = Account()
    ids = [f"run-{number}" for number in range(count)]
    account.start_many(ids)
    account.start_many([f"other-{number}" for number in range(others)])
    watch = Watch(account, **options)
    for run_id in ids:
        watch.wait_for([run_id], PACE)
    return account, watch, ids


def delays(watch, ended):
    return sorted(watch.seen[run_id] - at for run_id, at in ended.items())


# -- what it costs


def test_a_thousand_runs_cost_some_pages_per_interval():
    """Asked one by one they would cost five thousand requests in this time."""
    account, watch, _ = watching(1000)
    watch.go_on(60)
    account.asked.clear()
    watch.go_on(25)
    assert account.count() <= 75
    assert account.count("fetch_state") == 0


def test_few_runs_are_asked_for_one_by_one():
    account, watch, _ = watching(3)
    watch.go_on(30)
    assert account.count("list_by_status") == 0


def test_runs_behind_those_of_others_are_soon_asked_for_one_by_one():
    """Searching lists is too expensive, and this is remembered for a while."""
    account, watch, _ = watching(8, others=5000)
    watch.go_on(120)
    rounds = account.count("fetch_state") / 8
    assert account.count("list_by_status") < rounds


def test_runs_that_are_watched_by_several_are_asked_for_once():
    account, watch, _ = watching(1)
    for _ in range(50):
        watch.wait_for(["run-0"], PACE)
    watch.go_on(1)
    assert account.count() == 1


def test_many_runs_that_end_at_once_are_found_in_the_list_of_ended_ones():
    """Asking for each of five hundred would be five hundred requests."""
    account, watch, ids = watching(1000)
    watch.go_on(60)
    account.asked.clear()
    account.end(*in_some_order(ids)[:500])
    watch.go_on(10)
    assert len(watch.seen) == 500
    assert account.count() < 100


def test_new_runs_do_not_make_old_ones_be_listed():
    """A run that is young is looked at often, and alone."""
    account, watch, _ = watching(2000)
    watch.go_on(100)
    account.start("new")
    watch.wait_for(["new"], PACE)
    account.asked.clear()
    watch.go_on(4)
    assert account.count("list_by_status") <= 2 * 21
    assert 2 <= account.count("fetch_state") <= 5


# -- what it sees


def test_every_end_is_seen_within_the_interval():
    """And the one that passed is told from the one that failed."""
    account, watch, ids = watching(400)
    watch.go_on(60)
    ended = {}

    def meanwhile(now):
        for run_id in in_some_order(ids)[: int((now - START - 60) * 10)]:
            if run_id not in ended:
                ended[run_id] = now
                account.end(run_id, outcome=Outcome.FAILED if len(ended) % 2 else Outcome.PASSED)

    watch.go_on(30, meanwhile)
    watch.go_on(10)
    assert max(delays(watch, ended)) <= 1.1 * PACE.poll_interval + 1
    assert len(ended) >= 290


def test_a_new_run_is_news_though_ten_thousand_old_ones_are_overdue():
    """Without lists and at five requests a second it takes half an hour to ask for all of them."""
    account, watch, _ = watching(10_000, statuses=(), rate=Rate(5))
    watch.go_on(300)
    account.start("new")
    watch.wait_for(["new"], PACE)
    account.end("new")
    ended = account.now
    watch.go_on(10)
    assert watch.seen["new"] - ended < 1


def test_old_runs_have_their_turn_while_new_ones_keep_coming():
    """The longest overdue is asked for too."""
    account, watch, ids = watching(200, statuses=(), rate=Rate(5))
    watch.go_on(60)
    account.end(*ids)
    for number in range(60):
        account.start(f"new-{number}")
        watch.wait_for([f"new-{number}"], PACE)
        watch.go_on(2)
    assert set(ids) <= set(watch.seen)


def test_a_run_that_only_a_list_has_not_got_is_not_taken_for_ended():
    """A replica shows it late."""
    account, watch, _ = watching(50)
    account.runs["run-7"] = account.runs["run-7"].__class__("run-7", "paused", account.runs["run-8"].phase)
    watch.go_on(60)
    assert watch.seen == {}
    account.end("run-7")
    watch.go_on(6)
    assert set(watch.seen) == {"run-7"}


EVENTS = ["end", "fail", "others", "fault", "limit"]


@settings(max_examples=60)
@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.floats(0, 40), st.sampled_from(EVENTS)), max_size=60),
    st.integers(0, 2**16),
)
def test_nothing_is_lost_and_nothing_invented(count, events, seed):
    """Whatever ends, whoever else starts runs, and whatever goes wrong between two pages of a list."""
    account, watch, ids = watching(count, others=seed % 150)
    waiting, ended, faults = in_some_order(ids, seed), {}, []
    account.trouble = lambda _question: faults.pop() if faults else None

    def meanwhile(now):
        while left and START + left[0][0] <= now:
            happen(left.pop(0)[1], now)

    def happen(what, now):
        if what in ("end", "fail") and waiting:
            run_id = waiting.pop()
            ended[run_id] = Outcome.PASSED if what == "end" else Outcome.FAILED
            account.end(run_id, outcome=ended[run_id])
        elif what == "others":
            account.start_many([f"late-{now}-{number}" for number in range(70)])
        elif what == "fault":
            faults.append(transient())
        elif what == "limit":
            faults.append(fault(FaultKind.RATE_LIMITED, retry_after=2))

    left = sorted(events)
    watch.go_on(45, meanwhile)
    watch.go_on(60)
    assert set(watch.seen) == set(ended)


# -- fairness, for a vendor without lists


@pytest.mark.parametrize("together", [False, True], ids=["a task each", "one task"])
@pytest.mark.parametrize(
    ("count", "latency", "limit", "gap", "first"),
    [
        # 20 requests per second at the most: a fair share is a poll every 15 s.
        (300, 0.05, None, 18, 15.5),
        (1000, 0.05, None, 58, 51),
        # Eight questions are open at a time, so 4 are answered per second: a poll every 75 s.
        (300, 2.0, None, 85, 76),
        # The service takes 5 per second: a poll every 60 s, plus what is refused.
        (300, 0.05, 5, 90, 90),
    ],
    ids=["quick", "a thousand", "slow answers", "behind a 429"],
)
def test_everybody_is_polled_in_turn(count, latency, limit, gap, first, together):
    """Nobody twice before everybody once, whatever limits the requests."""
    found = fairness(Case("", count, latency, limit, together=together), seconds=4 * gap)
    assert found.most - found.least <= 2
    assert found.least >= 2
    assert found.first <= first
    assert found.gap <= gap


def test_short_intervals_do_not_take_the_turns_of_long_ones():
    """Who wants to be polled every second is polled as often as there is room."""
    account, watch, _ = watching(0, statuses=(), rate=Rate(5))
    account.start_many([f"run-{number}" for number in range(110)])
    for number in range(110):
        watch.wait_for([f"run-{number}"], Pace(1 if number < 100 else 30, 600))
    watch.go_on(300)
    polled = [args[0] for _, _, args in account.asked]
    assert min(polled.count(f"run-{number}") for number in range(110)) >= 5


# -- who comes and goes


def test_what_nobody_waits_for_any_more_is_not_asked_for():
    account, watch, _ = watching(10)
    watch.go_on(10)
    for subscription in watch.subscriptions:
        watch.list.drop(subscription)
    watch.go_on(1)
    account.asked.clear()
    watch.go_on(100)
    assert account.count() == 0
    assert watch.list.pause(account.now) == float("inf")


def test_a_run_is_watched_as_long_as_one_of_two_waits_for_it():
    account, watch, _ = watching(1)
    other = watch.wait_for(["run-0"], PACE)
    watch.list.drop(watch.subscriptions[0])
    account.end("run-0")
    watch.go_on(2)
    assert watch.list.over(other, account.now).end is WaitEnd.FINISHED


def test_nothing_piles_up_while_there_is_always_something_due():
    """A triggerer runs for weeks, and a service may be too slow for all that is asked of it."""
    account, watch, _ = watching(40, statuses=(), rate=Rate(1))
    watch.go_on(10)
    for number in range(10):
        account.start(f"young-{number}")
        watch.wait_for([f"young-{number}"], PACE)
    watch.go_on(2000)
    schedule = watch.list._schedule
    kept = (schedule._ready, schedule._first, schedule._agenda, schedule._early, schedule._deadlines)
    assert sum(len(one._heap) for one in kept) < 3 * 50 + 5 * SLACK


def test_who_has_left_keeps_no_results():
    """A deadline that is hours away must not hold on to a thousand of them."""
    account, watch, _ = watching(0)
    account.start("a", "b")
    leaving = watch.wait_for(["a", "b"], Pace(5, 600, START + 10_000))
    watch.go_on(5)
    seen = leaving.results
    watch.list.drop(leaving)
    assert (len(seen), leaving.results, leaving.active) == (2, {}, {})


@pytest.mark.parametrize("runs_each", [1, 1000])
def test_a_waiting_run_takes_less_than_four_kib(runs_each):
    """Whether each has a task of its own or all are of one group."""

    def fill(count):
        watch, account = Watchlist(Port(active_statuses=())), Account()
        for begin in range(0, count, runs_each):
            watch.subscribe([f"run-{n}" for n in range(begin, begin + runs_each)], PACE, START)
        account.start_many([f"run-{number}" for number in range(count)])
        for second in range(0, 40, 4):
            now = START + second
            while questions := watch.questions(100, now):
                for question in questions:
                    watch.answered(question, account.answer(question.ask), now)
            account.asked.clear()
        return watch, account

    tracemalloc.start()
    try:
        kept = [fill(1000)]
        sizes = [tracemalloc.get_traced_memory()[0]]
        kept.append(fill(3000))
        sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    (grown,) = [after - before for before, after in pairwise(sizes)]
    assert grown / 3000 < 4096
