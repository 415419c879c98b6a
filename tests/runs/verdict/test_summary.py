from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import note, summarize
from airflow_provider_testerarmy.sandbox.core.hostile import NASTY_TEXT
from tests.runs.scripted import active, finished

KEYS = {
    "verdict",
    "reasons",
    "counts",
    "run_ids",
    "batch_id",
    "url",
    "issues",
    "tests",
    "flaky",
    "started_at",
    "finished_at",
    "truncated",
}
HOSTILE = (NASTY_TEXT + "\x00\x1b[31m\u202e\U0001f600") * 50
UUID = "3f0e8a52-0000-4000-8000-{:012d}"


def summary_of(results, gate=None, **options):
    """Return the summary as it is read from XCom."""
    verdict = QualityGate.of(gate).judge(results)
    ids = options.pop("run_ids", [run.run_id for run in results])
    summary = summarize(verdict, results, run_ids=ids, **options)
    text = json.dumps(summary, allow_nan=False)
    assert len(text.encode()) <= 16 * 1024
    assert json.loads(text) == summary
    assert set(summary) == KEYS
    return summary


def texts(value):
    """Return all texts in a document."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in [key, *texts(item)]]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def hostile_run(number, outcome=Outcome.FAILED):
    """Return a run whose every text is long and nasty."""
    issue = Issue(HOSTILE, True, 5, *[HOSTILE] * 4, (HOSTILE,), HOSTILE)
    return RunResult(
        UUID.format(number),
        HOSTILE,
        Phase.FINISHED,
        outcome,
        test_id=UUID.format(number),
        title=HOSTILE,
        reason=HOSTILE,
        error_code=HOSTILE,
        issues=(issue,) * 3,
    )


@pytest.mark.parametrize("count", [1, 20, 250, 1000])
def test_a_thousand_hostile_runs_fit(count):
    """At most 16 KiB, all keys, no control characters, and omitted entries are counted."""
    assert len(HOSTILE) > 10_000
    results = [hostile_run(number) for number in range(count)]
    summary = summary_of(results, batch_id=UUID.format(1), url="https://tester.army/x")
    assert all(text.isprintable() for text in texts(summary))
    assert summary["counts"] == {"total": count, "failed": count}
    for name, most in {"issues": 3 * count, "tests": count, "run_ids": count}.items():
        assert len(summary[name]) + summary["truncated"].get(name, 0) == most
    assert summary["issues"]
    assert summary["tests"]
    assert summary["run_ids"]


def test_runs_that_are_not_finished_are_as_hostile():
    """Their status is the service's own word."""
    results = [RunResult(UUID.format(n), HOSTILE, Phase.UNKNOWN, test_id=HOSTILE) for n in range(300)]
    assert all(text.isprintable() for text in texts(summary_of(results)))


@pytest.mark.parametrize("size", [100, 20_000])
def test_ids_and_links_of_any_length(size):
    """They neither exceed the limit nor cause an endless loop."""
    long = "x\x1b" * size
    summary = summary_of([finished(long, test_id=long, url=long)], batch_id=long, url=long)
    assert summary["verdict"] == "passed"


def times(start, seconds):
    """Return when a run started and ended, and how long it took."""
    noon = datetime(2026, 2, 11, 12, tzinfo=UTC)
    started = noon + timedelta(seconds=start)
    return {
        "started_at": started,
        "finished_at": started + timedelta(seconds=seconds),
        "duration": seconds,
    }


def test_a_duration_that_is_none_is_left_out():
    """What the service says may be anything; JSON has no NaN."""
    runs = [finished(each, duration=value) for each, value in (("a", math.nan), ("b", -1.0), ("c", math.inf))]
    assert all("seconds" not in test for test in summary_of(runs)["tests"])


def test_the_note_is_small_and_on_one_line():
    """It is written before anything is known, and remote text is in it."""
    made = note(HOSTILE, HOSTILE, f"https://{HOSTILE}")
    assert len(json.dumps(made)) < 16 * 1024
    assert all(text.isprintable() for text in texts(made))


def test_the_summary_of_a_usual_run():
    """Everything of a few runs, and nothing truncated."""
    issue = Issue("Cart total is wrong", True, 4)
    results = [
        finished("a", title="Search", test_id="t1", flaky=True, **times(0, 20.04)),
        finished(
            "b",
            Outcome.FAILED,
            title="Checkout",
            test_id="t2",
            issues=(issue,),
            url="https://x/b",
            **times(5, 31),
        ),
        finished("c", issues=(Issue("slow", False, 5), Issue("odd", True, 1))),
    ]
    summary = summary_of(results, batch_id="B", url="https://x")
    assert summary == {
        "verdict": "failed",
        "reasons": summary["reasons"],
        "counts": {"total": 3, "passed": 2, "failed": 1},
        "run_ids": ["a", "b", "c"],
        "batch_id": "B",
        "url": "https://x",
        "issues": [
            {
                "test": "Checkout",
                "run_id": "b",
                "name": "Cart total is wrong",
                "type": "issue",
                "severity": 4,
                "url": "https://x/b",
            },
            {"test": "run c", "run_id": "c", "name": "odd", "type": "issue", "severity": 1, "url": None},
            {"test": "run c", "run_id": "c", "name": "slow", "type": "warning", "severity": 5, "url": None},
        ],
        "tests": [
            {"run_id": "b", "test_id": "t2", "title": "Checkout", "outcome": "failed", "seconds": 31},
            {"run_id": "c", "test_id": None, "title": "run c", "outcome": "passed"},
            {
                "run_id": "a",
                "test_id": "t1",
                "title": "Search",
                "outcome": "passed",
                "seconds": 20.0,
                "flaky": True,
            },
        ],
        "flaky": 1,
        "started_at": "2026-02-11T12:00:00+00:00",
        "finished_at": "2026-02-11T12:00:36+00:00",
        "truncated": {},
    }


def test_runs_that_were_not_awaited_have_no_verdict():
    """They are neither passed nor failed."""
    summary = summarize(None, (), run_ids=["a", 7])
    assert (summary["verdict"], summary["counts"], summary["run_ids"]) == (None, {"total": 2}, ["a", 7])
    assert (summary["batch_id"], summary["url"]) == (None, None)


def test_an_active_run_is_shown_with_its_status():
    """Its outcome is not known yet."""
    assert summary_of([active("a", "queued")])["tests"][0]["outcome"] == "queued"


def test_what_failed_is_kept_before_what_passed():
    """When there is no room for all."""
    results = [finished(UUID.format(n)) for n in range(500)]
    results.append(finished("broken", Outcome.FAILED))
    assert summary_of(results)["tests"][0]["run_id"] == "broken"


RUNS = st.lists(
    st.builds(
        RunResult,
        st.text(max_size=50) | st.integers(),
        st.text(),
        st.sampled_from(Phase),
        st.none() | st.sampled_from(Outcome),
        test_id=st.text(max_size=50),
        title=st.text(),
        reason=st.text(),
        url=st.text(max_size=50),
        issues=st.lists(
            st.builds(Issue, st.text(), st.booleans(), st.none() | st.integers()), max_size=3
        ).map(tuple),
    ),
    max_size=8,
)


@given(results=RUNS, batch_id=st.text(), url=st.text())
def test_any_results_have_a_summary(results, batch_id, url):
    """Bounded, and plain JSON."""
    summary = summary_of(results, batch_id=batch_id, url=url)
    assert len(json.dumps(summary).encode()) <= 16 * 1024
