"""Sanitizes remote values so that Airflow, JSON, logs and reports can hold them.

Adapters pass every result through here once, so that no other code has to expect a value that cannot be stored or
shown. An unusable value is truncated or dropped; this never changes an outcome.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from airflow_provider_testerarmy.runs.results import Issue, RunId, RunResult, Step
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.text import one_line, prose

T = TypeVar("T")

#: Maximum lengths in characters: of a word (a status, an error code), an id, a title, longer text, and a URL.
WORD: Final = 80
ID: Final = 200
TITLE: Final = 300
TEXT: Final = 10_000
URL: Final = 4_096
#: The maximum number of items of a list.
ITEMS: Final = 1_000
#: The maximum duration of a run or step in seconds; a larger number is not a duration.
SECONDS: Final = 10.0**9
#: The range of years that databases and JavaScript can handle in every time zone.
YEARS: Final = (1971, 9998)
SEVERITY: Final = (1, 5)

_USABLE: Final = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def usable_id(run_id: object) -> bool:
    """Whether a value can be a run id: a non-negative 64-bit integer, or text of 1 to 200 visible characters."""
    if isinstance(run_id, bool):
        return False
    if isinstance(run_id, int):
        return 0 <= run_id < 2**63
    return isinstance(run_id, str) and len(run_id) <= ID and _USABLE.fullmatch(run_id) is not None


def about(run_id: RunId, read: Callable[[T], RunResult]) -> Callable[[T], RunResult]:
    """Wrap a converter so that it refuses a response about another run, e.g. from a broken cache or proxy.

    :param read: converts the response to a result.
    :return: the converter; raises ``ValueError`` for the result of another run.
    """

    def checked(answer: T) -> RunResult:
        found = read(answer)
        if _folded(found.run_id) != _folded(run_id):
            raise ValueError(f"requested run {run_id}, received run {found.run_id}")
        return found

    return checked


def _folded(run_id: RunId) -> str:
    return str(run_id).strip().casefold()


def clean_result(run: RunResult) -> RunResult:
    """The result with every value sanitized."""
    return replace(
        run,
        run_id=one_line(run.run_id, ID) if isinstance(run.run_id, str) else run.run_id,
        status=one_line(run.status, WORD),
        test_id=one_line(run.test_id, ID),
        project_id=one_line(run.project_id, ID),
        title=one_line(run.title, TITLE),
        reason=prose(run.reason, TEXT),
        error_code=one_line(run.error_code, WORD),
        url=address(run.url),
        issues=tuple(map(_issue, run.issues[:ITEMS])),
        steps=_steps(run.steps),
        screenshots=tuple(filter(None, map(address, run.screenshots[:ITEMS]))),
        duration=seconds(run.duration),
        created_at=moment(run.created_at),
        started_at=moment(run.started_at),
        finished_at=moment(run.finished_at),
        video_url=address(run.video_url),
    )


def clean_submission(submission: Submission) -> Submission:
    """The submission; an unusable batch id is dropped.

    :raises ValueError: for an unusable run id. Which runs were started is unknown then.
    """
    ids = [*submission.run_ids, *submission.rejected_run_ids]
    if odd := [run_id for run_id in ids if not usable_id(run_id)]:
        raise ValueError(f"{len(odd)} of the run ids cannot be used")
    batch = submission.batch_id if usable_id(submission.batch_id) else ""
    return replace(submission, batch_id=batch)


def address(url: str) -> str:
    """The URL, or an empty string if it is malformed or too long; a truncated URL would be useless."""
    return url if len(url) <= URL and _USABLE.fullmatch(url) else ""


def seconds(value: float | None) -> float | None:
    """The duration in seconds, or None if it is invalid; JSON and Airflow's task state store refuse NaN."""
    return value if value is not None and math.isfinite(value) and 0 <= value <= SECONDS else None


def moment(value: datetime | None) -> datetime | None:
    """The time, or None if it is outside :data:`YEARS`."""
    if value is None or not YEARS[0] <= value.year <= YEARS[1]:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _severity(value: int | None) -> int | None:
    least, most = SEVERITY
    return None if value is None else max(least, min(most, value))


def _issue(issue: Issue) -> Issue:
    return replace(
        issue,
        name=one_line(issue.name, TITLE),
        severity=_severity(issue.severity),
        description=prose(issue.description, TEXT),
        url=address(issue.url),
        expected=prose(issue.expected, TEXT),
        actual=prose(issue.actual, TEXT),
        reproduction_steps=tuple(prose(step, TEXT) for step in issue.reproduction_steps[:ITEMS]),
        screenshot_url=address(issue.screenshot_url),
    )


def _steps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    # Keep failed steps beyond the limit: one of them may be why the gate fails.
    kept = steps[:ITEMS] + tuple(step for step in steps[ITEMS:] if not step.passed)[:ITEMS]
    return tuple(map(_step, kept))


def _step(step: Step) -> Step:
    return replace(
        step,
        title=one_line(step.title, TITLE),
        kind=one_line(step.kind, WORD),
        summary=prose(step.summary, TEXT),
        error=prose(step.error, TEXT),
        error_code=one_line(step.error_code, WORD),
        hint=one_line(step.hint, TITLE),
        started=seconds(step.started),
        ended=seconds(step.ended),
        screenshots=tuple(filter(None, map(address, step.screenshots[:ITEMS]))),
        screenshot_before=address(step.screenshot_before),
    )
