"""Hints: what they change, which is when a run is polled, and what they cannot change."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.awaiting.hints import CREDIT, GRACE, KEY_LENGTH, PROOFS, hint_key
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.service import FaultKind
from tests.runs.account import Account, Watch
from tests.runs.scripted import fault

CONNECTION = "testerarmy_default"
PACE = Pace(poll_interval=60, max_outage=600)
#: Seconds after which runs are polled at their full interval.
OLD = 400


def watching(count, pace=PACE):
    account = Account()
    ids = [f"run-{number}" for number in range(count)]
    account.start_many(ids)
    watch = Watch(account)
    watch.list.hints.scope = CONNECTION
    for run_id in ids:
        watch.wait_for([run_id], pace)
    watch.go_on(OLD)
    account.asked.clear()
    return account, watch, ids


def hint(watch, *run_ids, scope=CONNECTION):
    watch.list.hints.receive([hint_key(scope, run_id) for run_id in run_ids], watch.account.now)


def end_with_hints(account, watch, run_ids):
    for run_id in run_ids:
        account.end(run_id)
        hint(watch, run_id)
        watch.go_on(1)


def stretch_of(watch):
    return watch.list._schedule._stretch


# -- what a hint does


def test_an_end_is_found_at_once():
    account, watch, (run_id,) = watching(1)
    account.end(run_id)
    at = account.now
    hint(watch, run_id)
    watch.go_on(2)
    assert watch.seen[run_id] - at < 0.5


def test_without_a_hint_the_end_is_found_by_the_next_poll():
    """The reference for the test above."""
    account, watch, (run_id,) = watching(1)
    account.end(run_id)
    watch.go_on(2)
    assert not watch.seen
    watch.go_on(70)
    assert watch.seen


def test_a_hint_while_a_poll_is_in_flight_causes_another_one():
    """The answer that is on its way may be older than the end."""
    account, watch, (run_id,) = watching(1)
    hint(watch, run_id)
    (question,) = watch.list.questions(8, account.now)
    old = account.answer(question.ask)
    watch.list.hints.release(account.now, ())
    watch.list._schedule.runs[run_id].ignores_until = 0
    watch.list._schedule.runs[run_id].hinted = float("-inf")
    account.end(run_id)
    hint(watch, run_id)
    watch.list.hints.release(account.now, ())
    watch.list.answered(question, old, account.now + 0.1)
    account.now += 0.1
    watch.go_on(1)
    assert run_id in watch.seen


def test_a_thousand_ends_are_found_in_seconds():
    """True hints cost no credit, however many come at once."""
    account, watch, ids = watching(1000)
    for run_id in ids[:500]:
        account.end(run_id)
    at = account.now
    hint(watch, *ids[:500])
    watch.go_on(30)
    late = sorted(watch.seen[run_id] - at for run_id in ids[:500])
    assert late[250] < 4
    assert late[-1] < 6


def test_a_hint_may_name_the_batch_of_the_runs():
    """Docket's names a group run. Its runs are polled together, and prove that hints come."""
    account, watch, ids = watching(6)
    watch.list.hints.group("group-1", ids[:3])
    account.end(*ids[:3])
    hint(watch, "group-1")
    watch.go_on(2)
    assert set(watch.seen) == set(ids[:3])
    assert stretch_of(watch) > 1


# -- what it cannot do


def test_a_false_hint_ends_nothing():
    account, watch, ids = watching(3)
    hint(watch, *ids)
    watch.go_on(5)
    assert not watch.seen
    assert account.count() <= 3


@pytest.mark.parametrize("run_ids", [["run-0"], [f"run-{number}" for number in range(1000)]])
def test_a_storm_of_forged_hints_costs_less_than_a_request_per_second(run_ids):
    """Ten thousand, about one run or about all."""
    account, watch, _ = watching(1000, Pace(poll_interval=600, max_outage=900))
    reference = Account()
    reference.start_many([f"run-{number}" for number in range(1000)])
    quiet = Watch(reference)
    for number in range(1000):
        quiet.wait_for([f"run-{number}"], Pace(poll_interval=600, max_outage=900))
    quiet.go_on(OLD)
    reference.asked.clear()
    storm = random.Random(7)
    for _ in range(100):
        hint(watch, *(storm.choice(run_ids) for _ in range(100)))
        watch.go_on(1)
        quiet.go_on(1)
    assert not watch.seen
    assert account.count() - reference.count() <= (100 if len(run_ids) > 1 else 2)


def test_hints_of_another_connection_and_about_unknown_runs_do_nothing():
    account, watch, (run_id,) = watching(1)
    hint(watch, run_id, scope="another")
    watch.list.hints.receive(["", "x" * 1000, hint_key(CONNECTION, "unknown")], account.now)
    watch.go_on(5)
    assert account.count() == 0


def test_a_hint_does_not_hurry_the_verdict_that_a_run_is_unknown():
    """A run counts as unknown after three 404s; hints must not add one."""
    account, watch, (run_id,) = watching(1)
    del account.runs[run_id]
    while not account.count():
        watch.go_on(1)
    for _ in range(10):
        hint(watch, run_id)
        watch.go_on(1)
    assert account.count() == 1


def test_a_hint_does_not_shorten_retry_after():
    account, watch, (run_id,) = watching(1)
    account.trouble = lambda _question: fault(FaultKind.RATE_LIMITED, retry_after=30)
    hint(watch, run_id)
    watch.go_on(2)
    assert account.count() == 1
    account.trouble = lambda _question: None
    watch.list._schedule.runs[run_id].ignores_until = 0
    hint(watch, run_id)
    watch.go_on(20)
    assert account.count() == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lost_doubled_forged_late_and_reordered_hints_change_only_when(data):
    """Every wait ends with the run's own outcome, and no later than without any hints."""
    outcomes = [Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED, Outcome.CANCELLED]
    count = data.draw(st.integers(1, 8))
    ends = {
        f"run-{number}": (data.draw(st.integers(1, 120)), data.draw(st.sampled_from(outcomes)))
        for number in range(count)
    }
    hints: list[tuple[int, str]] = []
    for run_id, (at, _) in ends.items():
        delays = data.draw(st.lists(st.integers(0, 90), max_size=3))
        hints.extend((at + delay, run_id) for delay in delays)
    forged = st.tuples(st.integers(0, 200), st.sampled_from([*ends, "unknown"]))
    hints += data.draw(st.lists(forged, max_size=30))
    account = Account()
    account.start_many(ends)
    watch = Watch(account)
    watch.list.hints.scope = CONNECTION
    pace = Pace(poll_interval=10, max_outage=600)
    waits = {run_id: watch.wait_for([run_id], pace) for run_id in ends}
    for second in range(300):
        for run_id, (at, outcome) in ends.items():
            if at == second:
                account.end(run_id, outcome=outcome)
        hint(watch, *(run_id for when, run_id in hints if when == second))
        watch.go_on(1)
    for run_id, wait in waits.items():
        assert wait.results[run_id].outcome is ends[run_id][1]
        assert watch.seen[run_id] - (account.now - 300 + ends[run_id][0]) <= 70
        ended = [args for when, _, args in account.asked if when > watch.seen[run_id] and args == (run_id,)]
        assert ended == []


# -- the stretch


def test_polling_stretches_while_every_end_comes_with_a_hint():
    account, watch, ids = watching(PROOFS + 2, Pace(poll_interval=10, max_outage=600))
    watch.go_on(120)
    before = account.count()
    end_with_hints(account, watch, ids[:PROOFS])
    assert stretch_of(watch) == 6
    watch.go_on(60)
    account.asked.clear()
    watch.go_on(120)
    assert account.count() <= 6
    assert before >= 20


def test_the_first_end_without_a_hint_sets_it_back():
    """The other runs, which were to be polled in a minute, are polled at their usual interval at once."""
    account, watch, ids = watching(PROOFS + 2, Pace(poll_interval=10, max_outage=600))
    end_with_hints(account, watch, ids[:PROOFS])
    watch.go_on(60)
    account.end(ids[PROOFS])
    watch.go_on(66 + GRACE + 60)
    assert stretch_of(watch) == 1
    account.asked.clear()
    watch.go_on(60)
    assert account.count() >= 5


def test_a_hint_that_comes_after_the_poll_is_not_missing():
    account, watch, ids = watching(3, Pace(poll_interval=1, max_outage=600))
    for run_id in ids[:2]:
        account.end(run_id)
        watch.go_on(GRACE - 5)
        assert run_id in watch.seen
        hint(watch, run_id)
    watch.go_on(60)
    assert stretch_of(watch) > 1


def test_hints_about_runs_that_go_on_prove_nothing():
    """Somebody who forges hints about all runs does not slow down their polls."""
    account, watch, ids = watching(5, Pace(poll_interval=10, max_outage=600))
    for _ in range(30):
        hint(watch, *ids)
        watch.go_on(10)
    assert stretch_of(watch) == 1
    account.end(*ids)
    at = account.now
    watch.go_on(12)
    assert max(watch.seen.values()) - at <= 12


def test_a_run_whose_hint_was_too_early_is_polled_at_its_usual_interval():
    """A service may call before its own API shows the end."""
    account, watch, ids = watching(PROOFS + 1, Pace(poll_interval=10, max_outage=600))
    end_with_hints(account, watch, ids[:PROOFS])
    hint(watch, ids[-1])
    watch.go_on(1)
    account.end(ids[-1])
    at = account.now
    watch.go_on(12)
    assert watch.seen[ids[-1]] - at <= 12


def test_a_fault_is_followed_by_a_poll_at_the_usual_interval():
    """Otherwise one fault could outlast `max_outage`."""
    account, watch, ids = watching(PROOFS + 1, Pace(poll_interval=10, max_outage=30))
    end_with_hints(account, watch, ids[:PROOFS])
    watch.go_on(60)
    account.asked.clear()
    account.trouble = lambda _question: fault(FaultKind.TRANSIENT)
    watch.go_on(70)
    first = account.asked[0][0]
    account.trouble = lambda _question: None
    assert sum(when - first < 12 for when, _, _ in account.asked) >= 2


def test_no_source_of_hints_means_no_stretch():
    account, watch, ids = watching(PROOFS + 1, Pace(poll_interval=10, max_outage=600))
    end_with_hints(account, watch, ids[:PROOFS])
    watch.list.hints.stop()
    account.asked.clear()
    watch.go_on(60)
    assert account.count() >= 5


def test_the_index_of_runs_does_not_grow():
    """A triggerer runs for weeks."""
    account = Account()
    watch = Watch(account)
    for number in range(2000):
        run_id = f"run-{number}"
        account.start(run_id)
        wait = watch.wait_for([run_id], PACE)
        hint(watch, run_id)
        watch.list.drop(wait)
    hints = watch.list.hints
    assert max(len(hints._run_of), len(hints._indexed)) <= 100
    assert len(hints._pending) <= 2000


def test_a_key_is_short_and_differs_by_connection():
    """Docket's ids are numbers: the one in a delivery may be text."""
    assert len(hint_key("a", "x")) == KEY_LENGTH
    assert hint_key("a", "x") != hint_key("b", "x")
    assert hint_key("a", 17) == hint_key("a", "17")
    assert CREDIT[1] < 1
