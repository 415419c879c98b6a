from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.awaiting.health import MAX_RETRY_AFTER, RECHECK_KEY_AFTER, Health
from airflow_provider_testerarmy.runs.service import FaultKind
from tests.runs.scripted import fault, transient

DENIED = fault(FaultKind.DENIED)


def bad(health, one, run_id="a", asked=0.0, now=0.0, max_outage=600.0):
    return health.record_fault(one, run_id, asked, now, max_outage)


# -- the key


@pytest.mark.parametrize(("first", "second"), [("a", "b"), (None, "a"), ("a", None)])
def test_a_key_is_rejected_when_two_questions_say_so(first, second):
    """The second one after a pause, in which nothing is asked."""
    health = Health()
    bad(health, DENIED, first)
    assert (health.denied, health.suspected, health.on_hold_until()) == (None, True, RECHECK_KEY_AFTER)
    bad(health, DENIED, second, asked=RECHECK_KEY_AFTER, now=6.0)
    assert health.denied is DENIED


@pytest.mark.parametrize("asked", [-1.0, 0.0, 1.0])
def test_questions_that_were_under_way_are_no_second_question(asked):
    """A proxy may reject all requests in flight together."""
    health = Health()
    for run_id in "abcdefgh":
        bad(health, DENIED, run_id, asked=asked, now=1.0)
    assert health.denied is None


def test_the_same_run_twice_says_nothing_about_the_key():
    """It says that this key may not see this run."""
    health = Health()
    bad(health, DENIED)
    bad(health, DENIED, asked=RECHECK_KEY_AFTER, now=6.0)
    assert (health.denied, health.runs["a"].refused) == (None, True)


def test_a_good_answer_ends_the_suspicion():
    health = Health()
    bad(health, DENIED)
    health.record_success()
    assert (health.suspected, health.on_hold_until() > 0) == (False, False)
    bad(health, DENIED, "b", asked=10.0, now=10.0)
    assert health.denied is None


def test_another_fault_in_between_is_no_second_rejection():
    health = Health()
    bad(health, DENIED)
    bad(health, transient(), "b", asked=6.0, now=6.0)
    assert health.denied is None
    bad(health, DENIED, "b", asked=12.0, now=12.0)
    assert health.denied is DENIED


# -- being asked to wait


@pytest.mark.parametrize("max_outage", [1.0, 600.0])
def test_retry_after_is_the_connections(max_outage):
    """A task with a short ``max_outage`` does not cut it."""
    health = Health()
    bad(health, fault(FaultKind.RATE_LIMITED, retry_after=60), max_outage=max_outage)
    assert health.on_hold_until() == 60
    health.end_backoff()
    health.record_success()
    assert health.on_hold_until() == 60


@pytest.mark.parametrize(("max_outage", "held"), [(1.0, MAX_RETRY_AFTER), (3600.0, 3600.0)])
def test_an_absurd_retry_after_is_bounded(max_outage, held):
    """The longest ``max_outage`` of the waiters limits it."""
    health = Health()
    bad(health, transient(retry_after=float("inf")), max_outage=max_outage)
    assert health.on_hold_until() == held


def test_a_hold_is_not_shortened_by_a_later_one():
    health = Health()
    bad(health, transient(retry_after=60))
    bad(health, transient(retry_after=1), "b", asked=0.0, now=1.0)
    assert health.on_hold_until() == 60


def test_refusals_that_were_under_way_together_are_one():
    """Eight simultaneous faults do not lengthen the back-off."""
    health = Health()
    for number in range(8):
        bad(health, fault(FaultKind.RATE_LIMITED), f"run-{number}", asked=0.0, now=0.1)
    assert health.on_hold_until() == pytest.approx(1.1)


def test_rests_grow_while_the_service_is_down():
    health, rests = Health(), []
    now = 0.0
    for _ in range(6):
        for _ in range(3):
            bad(health, transient(), asked=now, now=now)
        rests.append(health.on_hold_until() - now)
        now = health.on_hold_until()
    assert rests == [1, 2, 4, 8, 15, 15]


# -- single runs


@pytest.mark.parametrize(
    ("times", "found"), [((0, 30, 59), True), ((0, 30, 60), False), ((0, 70), True), ((0, 1, 2, 61), False)]
)
def test_a_run_is_unknown_after_three_answers_in_a_minute(times, found):
    """A replica may show it late."""
    health = Health()
    for when in times:
        bad(health, fault(FaultKind.NOT_FOUND), asked=when, now=when)
    assert health.runs["a"].not_found is not found


def test_trouble_begins_once():
    """A successful request for the run ends it."""
    health = Health()
    assert [bad(health, transient()), bad(health, transient()), bad(health, transient(), None)] == [
        True,
        False,
        False,
    ]
    assert (health.recovered("a"), health.recovered("a"), bad(health, transient())) == (True, False, True)
