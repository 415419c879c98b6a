from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.awaiting.pace import MOST, SLOWEST, Pace, Rate
from tests.runs.scripted import START

PACE = Pace(poll_interval=10, max_outage=600)


@given(
    poll=st.floats(0.1, 3600),
    outage=st.floats(0, 1e5),
    waited=st.floats(0, 1e6),
    jitter=st.none() | st.floats(-1, 1),
    asked=st.floats(0) | st.just(float("inf")),
    left=st.none() | st.floats(-1e5, 1e5),
)
def test_pauses_are_bounded(poll, outage, waited, jitter, asked, left):
    """Never negative, never past the deadline, never longer than the poll interval or an outage."""
    pace = Pace(poll, outage, None if left is None else START + left)
    seconds = pace.next_pause(waited, START, retry_after=asked, jitter=jitter)
    assert 0 <= seconds <= max(1.1 * poll, outage)
    if left is None:
        assert seconds >= min(asked, outage, 1e9)
        assert seconds >= 0.9 * min(1.0, poll)
    else:
        assert seconds <= max(0.0, left) + 1e-6


def test_young_runs_are_looked_at_more_often():
    """The first pauses are short, then they grow to the poll interval."""
    pauses = [PACE.next_pause(waited, START, jitter=0) for waited in (0, 5, 20, 50, 100, 1000)]
    assert pauses == [1, 1, 4, 10, 10, 10]


# -- the rate


def sent(rate, seconds, step=0.05, wanted=100, begin=START):
    """How many requests go out, when there are always more to send."""
    return sum(rate.take(begin + number * step, wanted) for number in range(int(seconds / step)))


def test_without_a_cap_everything_may_be_sent():
    """There is no limit before the first 429."""
    assert Rate().take(START, 1000) == 1000
    assert Rate().ready_at(START) == START


@given(per_second=st.floats(0.5, 100), seconds=st.integers(5, 60))
def test_a_cap_is_kept(per_second, seconds):
    """Over any time, but for what may be saved up in a second."""
    count = sent(Rate(per_second), seconds)
    assert count <= per_second * seconds + max(1.0, per_second) + 1
    assert count >= per_second * (seconds - 1) - 1


def test_what_is_ready_can_be_taken():
    """After sleeping until then, a request is available in spite of rounding."""
    for per_second in (0.3, 0.7, 3.0, 7.0):
        rate, now = Rate(per_second), START
        for _ in range(50):
            if not rate.take(now, 1):
                now = rate.ready_at(now)
                assert rate.take(now, 1) == 1


def test_a_refusal_halves_the_rate_and_good_answers_restore_it():
    """Not at once, and never beyond the cap."""
    rate = Rate(20)
    rate.refused()
    assert sent(rate, 10, begin=START) < 20 * 10 * 0.6
    for _ in range(1000):
        rate.accepted()
    assert 180 <= sent(rate, 10, begin=START + 20) <= 222


def test_a_refusal_teaches_a_cap_where_there_was_none():
    """Half of what was sent of late, and again half."""
    rate = Rate()
    assert sent(rate, 2, wanted=1) == 40
    rate.refused()
    assert sent(rate, 10, begin=START + 2) <= 0.5 * 20 * 10 + 2


def test_a_rate_never_stops():
    """However often the service refuses."""
    rate = Rate(20)
    for _ in range(100):
        rate.refused()
    assert sent(rate, 100, begin=START) >= SLOWEST * 98


# -- a rate that grows


def test_a_rate_grows_while_the_service_has_room():
    """To a share of what is allowed, and at most to :data:`MOST`."""
    rate = Rate(20, grows=True)
    rate.allowed(50)
    assert sent(rate, 10) == pytest.approx(40 * 10, abs=41)
    rate.allowed(10_000)
    assert sent(rate, 10, begin=START + 10) == pytest.approx(MOST * 10, abs=MOST + 1)


@pytest.mark.parametrize("says", [None, 0, 3, 20])
def test_a_rate_returns_to_its_cap_once_the_service_says_no_more(says):
    rate = Rate(20, grows=True)
    rate.allowed(100)
    rate.allowed(says)
    assert sent(rate, 10) == pytest.approx(20 * 10, abs=21)


def test_the_cap_of_a_user_does_not_grow():
    rate = Rate(20)
    rate.allowed(1000)
    assert sent(rate, 10) == pytest.approx(20 * 10, abs=21)


def test_a_refusal_counts_more_than_room():
    """A service that refuses requests, although it says that it has room."""
    rate = Rate(20, grows=True)
    rate.allowed(100)
    sent(rate, 2)
    rate.refused()
    slowed = sent(rate, 1, begin=START + 2)
    rate.allowed(100)
    assert sent(rate, 1, begin=START + 3) <= slowed + 1
