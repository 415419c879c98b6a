"""Remote values made fit for Airflow, JSON, a log line and a report.

Adapters pass what they make of an answer through here, once; nothing after that has to expect a value that cannot
be stored or shown. An odd value is bounded or left out, and never changes an outcome.
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

#: Characters of a word (a status, an error code), of an id, of a title, of longer text, and of an address.
WORD: Final = 80
ID: Final = 200
TITLE: Final = 300
TEXT: Final = 10_000
URL: Final = 4_096
#: Items of a list.
ITEMS: Final = 1_000
#: Seconds that a run, or a step of it, may last; more is no duration.
SECONDS: Final = 10.0**9
#: Years that every calendar and database can store, in every time zone.
YEARS: Final = (1971, 9998)
SEVERITY: Final = (1, 5)

_USABLE: Final = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def usable_id(run_id: object) -> bool:
    """Whether a run can have this id: a number, or text of at most 200 visible characters."""
    if isinstance(run_id, bool):
        return False
    if isinstance(run_id, int):
        return 0 <= run_id < 2**63
    return isinstance(run_id, str) and len(run_id) <= ID and _USABLE.fullmatch(run_id) is not None


def about(run_id: RunId, read: Callable[[T], RunResult]) -> Callable[[T], RunResult]:
    """Read the answer to a question about one run; an answer about another run is not an answer.

    :param read: makes a result of the answer.
    :return: raises ``ValueError`` when the result is another run's.
    """

    def checked(answer: T) -> RunResult:
        found = read(answer)
        if _folded(found.run_id) != _folded(run_id):
            raise ValueError(f"asked about run {run_id}, answered about run {found.run_id}")
        return found

    return checked


def _folded(run_id: RunId) -> str:
    return str(run_id).strip().casefold()


def clean_result(run: RunResult) -> RunResult:
    """The result with every value bounded."""
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
    """The submission, its batch bounded.

    :raises ValueError: when there is a run id that no run can have; what was started is not known then.
    """
    ids = [*submission.run_ids, *submission.rejected_run_ids]
    if odd := [run_id for run_id in ids if not usable_id(run_id)]:
        raise ValueError(f"{len(odd)} of the run ids cannot be used")
    batch = submission.batch_id if usable_id(submission.batch_id) else ""
    return replace(submission, batch_id=batch)


def address(url: str) -> str:
    """The address, empty when it is no address or too long: part of one leads nowhere."""
    return url if len(url) <= URL and _USABLE.fullmatch(url) else ""


def seconds(value: float | None) -> float | None:
    """The number of seconds, None when it is none: NaN cannot be written as JSON."""
    return value if value is not None and math.isfinite(value) and 0 <= value <= SECONDS else None


def moment(value: datetime | None) -> datetime | None:
    """The time, None when some calendar or time zone cannot show it."""
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
    # A failed step that is beyond the bound must not be lost: it may be why the gate blocks.
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
    )
