"""How fast a watchlist polls: rate limits, outages, deadlines."""

from __future__ import annotations

import time

import pytest

from airflow_provider_testerarmy.hooks.base import MAX_REQUESTS_PER_SECOND
from airflow_provider_testerarmy.runs.awaiting.pace import Pace, Rate
from airflow_provider_testerarmy.runs.awaiting.watchlist import Question, WaitEnd
from airflow_provider_testerarmy.runs.service import FaultKind
from tests.runs.account import Account, Watch
from tests.runs.awaiting.test_watchlist import PACE, watching
from tests.runs.scripted import START, Port, fault, transient

# -- how fast it may go


def test_a_cap_on_requests_is_kept():
    account, watch, _ = watching(500, statuses=(), rate=Rate(5))
    watch.go_on(100)
    assert 450 <= account.count() <= 5 * 101 + 1


def test_a_refusal_holds_up_everybody_for_as_long_as_the_service_asks():
    account, watch, _ = watching(200)
    watch.go_on(30)
    refused_at = []

    def trouble(_question):
        if not refused_at:
            refused_at.append(account.now)
            return fault(FaultKind.RATE_LIMITED, retry_after=20)
        return None

    account.trouble = trouble
    watch.go_on(60)
    after = [when for when, _, _ in account.asked if when > refused_at[0] + 1e-9]
    assert after[0] - refused_at[0] >= 20


def test_a_service_with_a_limit_loses_nothing():
    """Five requests a second, two thousand runs, and a client that was told of no limit."""
    account, watch, ids = watching(2000)
    answered = []

    def trouble(_question):
        answered[:] = [when for when in answered if when > account.now - 1]
        if len(answered) >= 5:
            return fault(FaultKind.RATE_LIMITED, retry_after=1)
        answered.append(account.now)
        return None

    account.trouble = trouble
    watch.go_on(30)
    account.end(*ids)
    watch.go_on(120)
    assert set(watch.seen) == set(ids)
    assert all(watch.list.over(one, account.now).end is WaitEnd.FINISHED for one in watch.subscriptions)


def test_an_outage_of_the_service_is_not_paid_for_with_requests():
    account, watch, _ = watching(1000)
    watch.go_on(10)
    account.trouble = lambda _question: transient()
    account.asked.clear()
    watch.go_on(300)
    assert account.count() < 200


def test_an_outage_ends_the_waits_and_only_after_max_outage():
    account, watch, _ = watching(100)
    watch.go_on(10)
    account.trouble = lambda _question: transient()
    watch.go_on(599)
    assert [watch.list.over(one, account.now) for one in watch.subscriptions] == [None] * 100
    late = watch.wait_for(["run-0"], PACE)
    watch.go_on(25)
    ends = [watch.list.over(one, account.now) for one in watch.subscriptions[:100]]
    assert {end.end for end in ends} == {WaitEnd.UNAVAILABLE}
    assert ends[0].message.endswith("in 600 s: 503 from a proxy")
    assert watch.list.over(late, account.now) is None


def test_a_deadline_is_met_while_others_wait_on():
    account, watch, _ = watching(50)
    hasty = watch.wait_for(["run-3"], Pace(5, 600, START + 40))
    watch.go_on(39.9)
    account.end("run-3")
    watch.go_on(0.3)
    assert watch.list.over(hasty, account.now).end is WaitEnd.FINISHED
    slow = watch.wait_for(["run-4"], Pace(5, 600, START + 60))
    watch.go_on(21)
    assert watch.list.over(slow, account.now).end is WaitEnd.DEADLINE
    assert watch.list.over(watch.subscriptions[0], account.now) is None


@pytest.mark.parametrize("deadline", [40, 41.3])
@pytest.mark.parametrize("statuses", [(), None], ids=["without lists", "with lists"])
@pytest.mark.parametrize("count", [1, 8, 50])
def test_a_deadline_ends_a_wait_once_its_last_poll_is_answered(count, statuses, deadline):
    """Even without a change: the waiter is notified at once, not half a minute later."""
    account, watch, ids = watching(count, statuses=statuses)
    late = watch.wait_for(ids, Pace(3600, 600, START + deadline))
    ended = []

    def meanwhile(now):
        if late in watch.news and not ended and watch.list.over(late, now):
            ended.append(now - START - deadline)

    watch.go_on(60, meanwhile)
    assert watch.list.over(late, account.now).end is WaitEnd.DEADLINE
    assert ended[0] <= 1.0


def test_a_hiccup_at_the_last_poll_is_asked_about_once_more():
    """The run may have ended in time."""
    account, watch, _ = watching(1)
    hasty = watch.wait_for(["run-0"], Pace(5, 600, START + 40))
    watch.go_on(39.9)
    account.end("run-0")
    hiccups = [transient()]
    account.trouble = lambda _question: hiccups.pop() if hiccups else None
    watch.go_on(2)
    assert (hiccups, watch.list.over(hasty, account.now).end) == ([], WaitEnd.FINISHED)


def test_a_service_that_is_down_at_the_deadline_does_not_prolong_a_wait():
    """Two failed polls are enough."""
    account, watch, _ = watching(1)
    hasty = watch.wait_for(["run-0"], Pace(5, 600, START + 40))
    watch.go_on(39.9)
    account.trouble = lambda _question: transient()
    watch.go_on(2.5)
    assert watch.list.over(hasty, account.now).end is WaitEnd.DEADLINE


def test_retry_after_is_not_cut_by_the_outage_of_one():
    """``Retry-After`` applies to the connection, even for waiters with a short ``max_outage``."""
    account, watch, _ = watching(0)
    account.start("a", "b")
    account.trouble = lambda _question: fault(FaultKind.RATE_LIMITED, retry_after=60)
    hasty = watch.wait_for(["a"], Pace(1, 1))
    watch.go_on(2)
    assert watch.list.over(hasty, account.now).end is WaitEnd.UNAVAILABLE
    watch.list.drop(hasty)
    account.trouble = lambda _question: None
    watch.wait_for(["b"], Pace(1, 1))
    watch.go_on(59)
    assert next(when - START for when, _, _ in account.asked if when > START + 1) >= 60


@pytest.mark.parametrize("each", [1, 2000], ids=["a run each", "the same runs"])
def test_thousands_of_waits_in_trouble_are_checked_in_no_time(each):
    """Nothing else in the event loop could run meanwhile."""
    account, watch = Account(), None
    ids = [f"run-{number}" for number in range(2000)]
    watch = Watch(account, statuses=(), rate=Rate(5))
    for number in range(2000):
        watch.wait_for(ids if each > 1 and number < 60 else [ids[number]], PACE)
    for run_id in ids:
        question = Question(Port().fetch_state(run_id), run_id, account.now)
        watch.list.failed(question, fault(FaultKind.NOT_FOUND), account.now)
    watch.list.take_changed()
    began = time.process_time()
    assert not any(watch.list.may_be_over(one, account.now + 1) for one in watch.subscriptions)
    assert time.process_time() - began < 0.05
    began = time.process_time()
    question = Question(Port().fetch_state("run-7"), "run-7", account.now)
    watch.list.failed(question, fault(FaultKind.NOT_FOUND), account.now + 1)
    for one in watch.list.take_changed():
        assert watch.list.over(one, account.now + 1) is None
    assert time.process_time() - began < 0.05


# -- all at once


@pytest.mark.parametrize("count", [1000, 5000])
def test_runs_that_end_at_once_are_seen_within_two_intervals(count):
    """At the default cap, with at most one request per 20 runs."""
    account, watch, ids = watching(count, rate=Rate(MAX_REQUESTS_PER_SECOND))
    watch.go_on(100)
    account.asked.clear()
    account.end(*ids)
    ended = account.now
    watch.go_on(2 * PACE.poll_interval)
    assert set(watch.seen) == set(ids)
    assert max(watch.seen.values()) - ended <= 2 * PACE.poll_interval
    assert account.count() <= count / 20
