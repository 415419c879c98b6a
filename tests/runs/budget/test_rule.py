"""The budget as users and templates write it, and its calendar periods."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.budget.rule import (
    BudgetInvalid,
    BudgetRule,
    Limits,
    budget_rule,
    period_of,
    spent,
)

DAY = 86_400


@pytest.mark.parametrize(
    "written",
    [
        {"runs": 500, "minutes": 600, "per": "day"},
        '{"runs": 500, "minutes": 600, "per": "day"}',
        "{'runs': '500', 'minutes': '600.0', 'per': ' day ', 'pool': None}",
        {"runs": "500", "minutes": 600.0, "per": "None", "pool": "", "on_exhausted": "null"},
        BudgetRule(runs=500, minutes=600),
    ],
)
def test_a_budget_may_be_text(written):
    """Templates render to text, and what rendered to nothing keeps its default."""
    assert budget_rule(written) == BudgetRule(runs=500, minutes=600, per="day", pool="", on_exhausted="fail")


@pytest.mark.parametrize("nothing", [None, "", "None", " null "])
def test_nothing_is_no_budget(nothing):
    """The task then starts as many runs as it needs."""
    assert budget_rule(nothing) is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "give runs, minutes or both"),
        ({"per": "day", "runs": None}, "give runs, minutes or both"),
        ({"runs": True}, "runs"),
        ({"runs": "True"}, "runs"),
        ({"runs": -1}, "runs"),
        ({"runs": 1.5}, "runs"),
        ({"minutes": False}, "minutes"),
        ({"minutes": "nan"}, "minutes"),
        ({"minutes": float("inf")}, "minutes"),
        ({"runs": 1, "per": "hour"}, "per"),
        ({"runs": 1, "per": True}, "per"),
        ({"runs": 1, "on_exhausted": "warn"}, "on_exhausted"),
        ({"runs": 1, "pool": ["a"]}, "pool"),
        ({"runs": 1, "pool": "x" * 300}, "pool"),
        ({"run": 1}, "run"),
        ({1: 2}, "1"),
        (500, "dict"),
        (True, "dict"),
        ([{"runs": 1}], "dict"),
        ("500", "dict"),
        ("{runs: 500", "tojson"),
    ],
)
def test_an_invalid_budget_is_refused(written, said):
    """The message names the field, or the way out of a template."""
    with pytest.raises(BudgetInvalid, match=said):
        budget_rule(written)


def test_limits_are_in_seconds():
    """A limit that is not given limits nothing, and zero lets nothing start."""
    assert budget_rule({"minutes": 1.5}).limits == Limits(None, 90)
    assert budget_rule({"runs": 0}).limits == Limits(0, None)


@pytest.mark.parametrize(
    ("per", "first", "last", "name", "end"),
    [
        ("day", "2024-02-29", "2024-02-29", "the day 2024-02-29", "2024-03-01 00:00 UTC"),
        ("week", "2024-02-26", "2024-03-03", "the week from 2024-02-26", "2024-03-04 00:00 UTC"),
        ("month", "2024-02-01", "2024-02-29", "the month 2024-02", "2024-03-01 00:00 UTC"),
    ],
)
def test_periods_are_those_of_the_calendar(per, first, last, name, end):
    """In UTC; a week begins on Monday."""

    def day(text):
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // DAY

    period = period_of(per, datetime(2024, 2, 29, 23, 59, tzinfo=UTC).timestamp())
    assert (period.first, period.last, period.name, period.end) == (day(first), day(last), name, end)


@given(per=st.sampled_from(["day", "week", "month"]), now=st.integers(0, 4_000_000_000))
def test_periods_follow_each_other_without_a_gap(per, now):
    """Every moment is in one period, and the next one begins where it ends."""
    period = period_of(per, now)
    assert period.first <= now // DAY <= period.last
    assert period_of(per, period.first * DAY) == period == period_of(per, (period.last + 1) * DAY - 1)
    assert period_of(per, (period.last + 1) * DAY).first == period.last + 1


def test_what_is_used_is_said_in_words():
    """Only of the limits that a budget has."""
    assert spent(BudgetRule(runs=500, minutes=600), 498, 5_430) == "498 of 500 runs and 90.5 of 600 minutes"
    assert spent(BudgetRule(runs=1), 1, 60) == "1 of 1 run"
