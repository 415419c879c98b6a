from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    BadRequest,
    Conflict,
    CredentialsRejected,
    NotFound,
    NotSent,
    ProtocolError,
    RateLimited,
    RequestInvalid,
    ResponseInfo,
    ServerError,
)
from airflow_provider_testerarmy.client.http.retry import ONCE, RetryPolicy, http_date, retry_after
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

NOW = datetime(2026, 2, 11, 12, 0, 0, tzinfo=UTC)
READ = testerarmy.list_projects()
TRIGGER = testerarmy.trigger_test_run(catalog.TEST_PASSES)


def limited(**headers):
    """Return a rate limit with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RateLimited("slow down", response=ResponseInfo(429, named))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Wed, 11 Feb 2026 12:01:30 GMT", 90.0),
        ("Wed, 11 Feb 2026 11:00:00 GMT", 0.0),
        ("Wednesday, 11-Feb-26 12:01:30 GMT", 90.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5e3", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
        ("Wed, 11 Feb 99999999999999999999 12:01:30 GMT", None),
        ("Wed, 99 Feb 2026 12:01:30 GMT", None),
    ],
)
def test_retry_after(value, seconds):
    """Seconds, a date, or nothing that can be used."""
    assert retry_after(limited(retry_after=value), NOW) == seconds


def test_a_date_is_measured_against_the_answers_own_clock():
    """A wrong clock here does not matter."""
    headers = {"retry_after": "Wed, 11 Feb 2026 12:01:30 GMT", "date": "Wed, 11 Feb 2026 12:01:00 GMT"}
    assert retry_after(limited(**headers), datetime(2020, 1, 1, tzinfo=UTC)) == 30.0


def test_without_an_answer_nothing_was_asked():
    """Without a response there is no ``Retry-After``."""
    assert retry_after(AnswerLost("reset"), NOW) is None


NUMBERS = st.integers(0, 99) | st.integers(0, 10**25)


@given(
    st.text()
    | st.builds("{}, {} Feb {} {}:{}:00 {}".format, st.text(max_size=3), *[NUMBERS] * 4, st.text(max_size=6))
)
def test_any_text_is_a_date_or_none(value):
    """No header of a service breaks a reader; a date has a zone."""
    when = http_date(value)
    assert when is None or when.tzinfo is not None


@pytest.mark.parametrize(
    ("error", "read", "trigger"),
    [
        (NotSent("refused"), True, True),
        (RateLimited("429"), True, True),
        (AnswerLost("reset"), True, False),
        (ProtocolError("html"), True, False),
        (ServerError("504"), True, False),
        (BadRequest("400"), False, False),
        (CredentialsRejected("401"), False, False),
        (NotFound("404"), False, False),
        (Conflict("409"), False, False),
        (RequestInvalid("id"), False, False),
        (KeyError("a bug"), False, False),
    ],
)
def test_what_may_be_sent_again(error, read, trigger):
    """A read after every transient fault, a trigger only where nothing can have started."""
    policy = RetryPolicy()
    assert (policy.again(READ, error), policy.again(TRIGGER, error)) == (read, trigger)


def test_retry_after_comes_first_and_is_capped():
    """``Retry-After`` is obeyed up to a limit."""
    policy = RetryPolicy(retry_after_ceiling=60)
    assert policy.pause(limited(retry_after="7"), 1, NOW) == 7
    assert policy.pause(limited(retry_after="3600"), 1, NOW) == 60
    assert policy.pause(limited(retry_after="9" * 400), 1, NOW) == 60


@given(attempt=st.integers(1, 40))
def test_pauses_grow_and_are_bounded(attempt):
    """Each pause is at most twice as long as the one before could be, and never above the ceiling."""
    policy = RetryPolicy(base=0.5, ceiling=15)
    for error in (AnswerLost("reset"), limited(retry_after="soon"), None):
        assert 0 <= policy.pause(error, attempt, NOW) <= min(15, 0.5 * 2 ** (attempt - 1))


def test_once_is_one_attempt():
    """The lifecycle has its own retries."""
    assert ONCE.attempts == 1
