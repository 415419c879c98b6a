"""Remote values are sanitized, so that Airflow, JSON, logs and reports can hold them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.cleaning import about, clean_result, clean_submission, usable_id
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step, progress_line
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.text import name_runs

NASTY = "a\nERROR forged\r\n\x1b[31m\ud800\u202e\x00\x85\u2028 " + "x" * 20_000
TEXTS = st.text(st.characters(codec=None), max_size=50) | st.just(NASTY)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([1e30, -1.0])


def passed(**fields):
    return RunResult("a", fields.pop("status", "completed"), Phase.FINISHED, Outcome.PASSED, **fields)


@given(text=TEXTS, number=NUMBERS, severity=st.sampled_from([None, -1, 0, 3, 10**30, 10**400]))
def test_a_result_can_be_stored_and_shown(text, number, severity):
    """As JSON, in UTF-8, and on a line of a log; and a pass stays a pass."""
    issue = Issue(text, True, severity, text, text, text, text, (text,), text)
    step = Step(text, True, text, text, text, text, text, number, number)
    run = passed(
        status=text,
        test_id=text,
        project_id=text,
        title=text,
        reason=text,
        error_code=text,
        url=text,
        issues=(issue,),
        steps=(step,),
        screenshots=(text, text),
        duration=number,
        video_url=text,
    )
    clean = clean_result(run)
    assert (clean.outcome, clean.phase, clean.steps[0].passed) == (run.outcome, run.phase, True)
    stored = json.dumps(asdict(clean), allow_nan=False, ensure_ascii=False)
    stored.encode()
    assert len(stored) < 100_000
    words = (clean.status, clean.error_code, clean.title, clean.steps[0].error_code, clean.issues[0].name)
    assert all(len(word.splitlines()) <= 1 and len(word) <= 300 for word in words)
    assert clean.issues[0].severity in (None, 1, 3, 5)
    assert clean_result(clean) == clean


def test_a_log_line_cannot_be_forged():
    """Whatever the status says."""
    active = clean_result(RunResult("a", "running\n[2026-01-01] ERROR forged\x1b[2K", Phase.UNKNOWN))
    line = progress_line([active], 1)
    assert (len(line.splitlines()), "\x1b" in line) == (1, False)


def test_text_keeps_its_lines():
    """A description is read in a report."""
    assert clean_result(passed(reason="one\r\ntwo\tthree\x07")).reason == "one\ntwo\tthree"


@pytest.mark.parametrize(
    "value", ["https://x/" + "y" * 5000, "https://x/a b", "https://x/\n", "https://x/\ud800"]
)
def test_part_of_an_address_is_none(value):
    """A truncated URL is useless or wrong."""
    clean = clean_result(passed(url=value, video_url=value, screenshots=(value, "https://x/y.png")))
    assert (clean.url, clean.video_url, clean.screenshots) == ("", "", ("https://x/y.png",))


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14))),
    ],
)
def test_a_time_beyond_every_calendar_is_none(value):
    """In another time zone it cannot be written."""
    clean = clean_result(passed(created_at=value, started_at=value, finished_at=value))
    assert (clean.created_at, clean.started_at, clean.finished_at) == (None, None, None)
    kept = datetime(2026, 1, 1, tzinfo=UTC)
    assert clean_result(passed(created_at=kept)).created_at == kept


def test_a_failed_step_is_never_cut_off():
    """However many passed before it."""
    steps = (Step("s", True),) * 5000 + (Step("broken", False),)
    clean = clean_result(passed(steps=steps))
    assert (len(clean.steps), clean.failed_step) == (1001, Step("broken", False))


ODD_IDS = [
    "",
    " ",
    "a b",
    "a\nb",
    "\ud800",
    "\x1b[31m",
    "x" * 201,
    -1,
    2**63,
    10**5000,
    True,
    None,
    1.0,
    b"a",
    [],
]


@pytest.mark.parametrize("odd", ODD_IDS, ids=range(len(ODD_IDS)))
def test_ids_that_no_run_can_have(odd):
    """A submission with one of them is unclear: it may have started something."""
    assert not usable_id(odd)
    for submission in (Submission((odd,)), Submission(("a", odd)), Submission(("a",), (odd,))):
        with pytest.raises(ValueError, match="run ids cannot be used"):
            clean_submission(submission)


def test_a_batch_that_cannot_be_named_is_none():
    """Its runs are cancelled one by one then."""
    found = clean_submission(Submission(("a", 7), (), "b\nc"))
    assert found == Submission(("a", 7))


@pytest.mark.parametrize(("asked", "answered"), [("a", "b"), (7, 8), ("a", ""), ("a", "a\nb"), (7, "8")])
def test_an_answer_about_another_run_is_none(asked, answered):
    with pytest.raises(ValueError, match="received run"):
        about(asked, lambda _answer: replace(passed(), run_id=answered))(None)


@pytest.mark.parametrize(("asked", "answered"), [("a", "a"), ("ABC", "abc"), (7, 7), ("7", 7)])
def test_another_spelling_is_the_same_run(asked, answered):
    run = replace(passed(), run_id=answered)
    assert about(asked, lambda _answer: run)(None) is run


@pytest.mark.parametrize("odd", ["a\nb", "\ud800", 10**5000, "x" * 5000, None], ids=range(5))
def test_runs_are_named_on_one_line(odd):
    """Even invalid values."""
    line = name_runs([odd])
    line.encode()
    assert (len(line.splitlines()), len(line) < 100) == (1, True)
