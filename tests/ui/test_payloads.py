"""Payloads for the browser: for any input they are bounded, clean and of the expected types."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.reports.pictures import stems
from airflow_provider_testerarmy.runs.results import Attempt, Issue, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.ui import payloads
from airflow_provider_testerarmy.ui.history_filter import Filter
from airflow_provider_testerarmy.ui.store import StoredTask
from tests.reports.cases import NIGHT, hostile_run, summary_of
from tests.runs.scripted import finished
from tests.ui.histories import history

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "verdict",
    "reasons",
    "counts",
    "run_ids",
    "issues",
    "tests",
    "flaky",
    "truncated",
    "url",
    "started_at",
    "known",
)


def stored(summary, note=None, **fields):
    usual = {
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "state": "success",
        "try_number": 1,
        "started": datetime(2026, 2, 11, 12, tzinfo=UTC),
        "ended": None,
    }
    xcoms = {"return_value": summary, "test_runs": {"version": 1, **(note or {})}}
    return StoredTask(**{**usual, **fields}, xcoms=xcoms)


NOTED = ("label", "title", "reason", "environment", "address", "commit", "rejected")


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, ANYTHING)), ANYTHING)
def test_any_summary_can_be_shown(summary, note):
    """Users can write any value into an XCom; the page still renders."""
    task = stored(summary, dict.fromkeys(NOTED, note))
    shown = [
        payloads.shown_summary(task.summary),
        payloads.summary_rows(task.summary),
        history([task], Filter()),
    ]
    assert len(json.dumps(shown, allow_nan=False)) < 100_000


def test_a_usual_summary():
    """A regular summary is passed on completely."""
    summary = summary_of(NIGHT)
    shown = payloads.shown_summary(summary)
    assert (shown["verdict"], shown["reasons"]) == (summary["verdict"], summary["reasons"])
    assert shown["counts"] == {kind: count for kind, count in summary["counts"].items() if count}
    assert [row["title"] for row in payloads.summary_rows(summary)] == [
        test["title"] for test in summary["tests"]
    ]


def test_hostile_texts_are_cleaned_and_bounded():
    """Of 3 MB of text a few kilobytes are shown."""
    detail = payloads.run_detail(hostile_run(1))
    text = json.dumps(detail, ensure_ascii=False)
    assert len(text) < 60_000
    # Markdown needs zero-width spaces, which keep a text from becoming a link or a mention.
    assert "\u202e" not in detail.pop("markdown")
    assert [sign for sign in "\x00\x07\x1b\u202e\u200b" if sign in "".join(strings(detail))] == []
    assert [url for url in strings(detail) if url.startswith(("javascript:", "data:", "http://"))] == []


def strings(value):
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 1e300])
def test_a_duration_that_is_none(seconds):
    """JSON has no NaN or infinity, and an impossible duration is not shown."""
    assert payloads.run_row(finished("a", duration=seconds))["seconds"] is None


def test_pictures_are_copies_or_links():
    """Each screenshot is a copy if there is one, else a link if its URL is https, else omitted."""
    urls = ("https://x/copied.png", "https://x/linked.png", "http://x/neither.png")
    run = finished("a", screenshots=urls, issues=(Issue("Broken", screenshot_url="https://x/issue.png"),))
    copies = {stems(run)[urls[0]]: "0.png"}
    pictures = payloads.with_copies(payloads.run_detail(run), copies)["pictures"]
    assert [(picture["copy"], picture["link"]) for picture in pictures] == [
        ("0.png", urls[0]),
        ("", urls[1]),
        ("", "https://x/issue.png"),
    ]
    assert pictures[2]["of"] == "Broken"


@pytest.mark.parametrize("copied", [True, False])
def test_pictures_of_a_step(copied):
    """Each has the title of its step. That of a failed step has the page before it, if both are copied."""
    good, first, last, earlier = (f"https://x/{name}.png" for name in ("good", "first", "last", "earlier"))
    steps = (
        Step("Open", True, screenshots=(good,), screenshot_before="https://x/blank.png"),
        Step("Pay", False, screenshots=(first, last), screenshot_before=earlier),
    )
    run = finished("a", Outcome.FAILED, screenshots=(good, first, last), steps=steps)
    names = stems(run)
    assert set(names) == {good, first, last, earlier}
    copies = {stem: f"{url[10:]}" for url, stem in names.items() if copied or url != earlier}
    pictures = payloads.with_copies(payloads.run_detail(run), copies)["pictures"]
    assert [(each["copy"], each["step"], each["failed"], each["before"]) for each in pictures] == [
        ("good.png", "Open", False, ""),
        ("first.png", "Pay", True, ""),
        ("last.png", "Pay", True, "earlier.png" if copied else ""),
    ]


@pytest.mark.parametrize(
    ("phase", "outcome", "shown"),
    [
        (Phase.FINISHED, Outcome.PASSED, "passed"),
        (Phase.FINISHED, None, "unknown"),
        (Phase.QUEUED, None, "queued"),
        (Phase.UNKNOWN, None, "running"),
    ],
)
def test_what_a_run_is_doing(phase, outcome, shown):
    assert payloads.outcome_of(RunResult("a", "s", phase, outcome)) == shown


def test_a_verdict_of_nothing_judged_is_one():
    """The badge shows "Not judged"."""
    assert payloads.verdict_of({"verdict": "not_judged"}) == "not_judged"
    assert payloads.verdict_of({"verdict": "made_up"}) == ""


def test_attempts_and_known_tests_of_a_summary():
    """A confirmed test has its attempts, and a known failure its standing."""
    attempts = [
        {"run_id": "a", "outcome": "failed"},
        {"run_id": 7, "outcome": None},
        "?",
        {"outcome": ["failed"]},
    ]
    known = [
        {
            "test_id": "x",
            "title": "X",
            "standing": "known",
            "nights": 3,
            "since": "2026-11-23",
            "commit": "4f2d1c9",
        },
        {"standing": None, "nights": -1},
        3,
    ]
    summary = {"tests": [{"run_id": "a", "attempts": attempts}], "known": known, "truncated": {"known": 2}}
    (row,) = payloads.summary_rows(summary)
    assert [(one["id"], one["outcome"]) for one in row["attempts"]] == [
        ("a", "failed"),
        ("7", "unknown"),
        ("", "unknown"),
        ("", "unknown"),
    ]
    shown = payloads.shown_summary(summary)
    assert shown["known"][0] == {
        **known[0],
        "since": datetime(2026, 11, 23, tzinfo=UTC).timestamp(),
        "note": "",
    }
    assert (len(shown["known"]), shown["known"][1]["nights"], shown["more_known"]) == (3, 0, 2)


def test_a_summary_of_the_version_before():
    """Without these keys the page is as before."""
    assert payloads.summary_rows({"tests": [{"run_id": "a"}]})[0]["attempts"] == []
    assert payloads.shown_summary({})["known"] == []


def test_attempts_of_a_report():
    """A report has the links to all attempts; a link that is not https is left out."""
    attempts = (Attempt("a", Outcome.FAILED, "https://x/a"), Attempt("b", None, "javascript:alert(1)"))
    assert payloads.run_row(finished("b", Outcome.FAILED, attempts=attempts))["attempts"] == [
        {"id": "a", "outcome": "failed", "url": "https://x/a"},
        {"id": "b", "outcome": "unknown", "url": ""},
    ]
