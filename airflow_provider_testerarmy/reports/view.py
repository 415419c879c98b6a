"""The view of each run on a page: cleaned and truncated texts, checked URLs, and times as percentages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from airflow_provider_testerarmy.reports.text import (
    block,
    format_duration,
    https,
    is_valid_time,
    line,
    outcome_of,
)
from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunResult, Step
from airflow_provider_testerarmy.runs.text import plural
from airflow_provider_testerarmy.runs.verdict.explanation import shown_attempts

#: The order in which runs are shown: those that need attention come first.
ORDER: Final = (
    Outcome.FAILED,
    Outcome.ERRORED,
    Outcome.UNKNOWN,
    Outcome.CANCELLED,
    Outcome.SKIPPED,
    Outcome.PASSED,
)


@dataclass(frozen=True, slots=True)
class Detail:
    """Limits for one run: characters of text in total, and entries of each kind."""

    characters: int
    steps: int
    issues: int
    pictures: int


#: Levels of detail, from as much as a person would read down to a single line.
DETAILS: Final = (
    Detail(24_000, 100, 30, 30),
    Detail(6_000, 40, 10, 10),
    Detail(1_500, 15, 4, 4),
    Detail(500, 5, 2, 0),
    Detail(0, 0, 0, 0),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A section of a timeline, in percent of its length."""

    start: float
    width: float


@dataclass(frozen=True, slots=True)
class StepView:
    """One step as it is displayed."""

    number: int
    passed: bool
    title: str
    kind: str
    summary: str
    error: str
    code: str
    hint: str
    time: str
    bar: Bar | None


@dataclass(frozen=True, slots=True)
class IssueView:
    """One issue as it is displayed."""

    name: str
    confirmed: bool
    severity: int | None
    description: str
    url: str
    expected: str
    actual: str
    reproduction: tuple[str, ...]
    screenshot: str


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as it is displayed.

    :param attempts: the outcomes of all runs of the test, if the gate has confirmed it.
    :param left_out: what was truncated, e.g. ``2 issues, 10 steps``.
    """

    number: int
    outcome: str
    status: str
    title: str
    run_id: str
    test_id: str
    owner: str
    reason: str
    code: str
    url: str
    video: str
    flaky: bool
    attempts: str
    issue_count: int
    worst: int | None
    time: str
    bar: Bar | None
    issues: tuple[IssueView, ...]
    steps: tuple[StepView, ...]
    pictures: tuple[str, ...]
    left_out: str


class _TextBudget:
    """The characters that are left for one run."""

    def __init__(self, characters: int, copies: Mapping[str, str]) -> None:
        self._left = characters
        self._copies = copies

    def text(self, text: str, limit: int) -> str:
        return self._spent(block(text, min(limit, self._left))) if self._left > 0 else ""

    def line(self, text: str, limit: int) -> str:
        return self._spent(line(text, min(limit, self._left))) if self._left > 0 else ""

    def link(self, url: str) -> str:
        return self._spent(https(url)) if len(url) <= self._left else ""

    def picture(self, url: str) -> str:
        """The URL of a screenshot's copy, or of the screenshot itself if there is no copy."""
        copy = self._copies.get(url)
        return self._spent(copy) if copy and len(copy) <= self._left else self.link(url)

    def _spent(self, shown: str) -> str:
        self._left -= len(shown)
        return shown


class Timeline:
    """The time from the first start of any run to the last finish."""

    def __init__(self, runs: Sequence[RunResult]) -> None:
        starts = [_instant(run.started_at) for run in runs if run.started_at]
        ends = [_instant(run.finished_at) for run in runs if run.finished_at]
        self.start = min(starts, default=None)
        whole = max(ends) - self.start if ends and self.start is not None else None
        self.seconds = whole if is_valid_time(whole) else None

    @property
    def began(self) -> datetime | None:
        """When the first run started."""
        return datetime.fromtimestamp(self.start, UTC) if self.start is not None else None

    def bar(self, run: RunResult) -> Bar | None:
        """A run's section of the timeline."""
        if not self.seconds or self.start is None or run.started_at is None or run.finished_at is None:
            return None
        start = _instant(run.started_at) - self.start
        return _bar(start, _instant(run.finished_at) - self.start, self.seconds)


def view_run(
    number: int,
    run: RunResult,
    timeline: Timeline,
    detail: Detail,
    copies: Mapping[str, str] = MappingProxyType({}),
) -> RunView:
    """One run, truncated to the limits in ``detail``.

    :param copies: URLs of screenshot copies, by the screenshot's original URL.
    """
    budget = _TextBudget(detail.characters, copies)
    code, reason = line(run.error_code, 60), budget.text(run.reason, 2000) or line(run.reason, 100)
    # The order of these lines decides what is truncated first: screenshots, then steps, then issues.
    issues = tuple(_issue(issue, budget) for issue in sorted(run.issues, key=severity_rank)[: detail.issues])
    steps = _steps(run.steps[: detail.steps], budget)
    pictures = tuple(shown for url in run.screenshots[: detail.pictures] if (shown := budget.picture(url)))
    gaps = {
        "issue": len(run.issues) - len(issues),
        "step": len(run.steps) - len(steps),
        "screenshot": sum(bool(url in copies or https(url)) for url in run.screenshots[:1000])
        - len(pictures),
    }
    left_out = ", ".join(plural(count, noun) for noun, count in gaps.items() if count > 0)
    return RunView(
        number=number,
        outcome=str(outcome_of(run)),
        status=line(run.status, 60),
        title=line(run.label, 160 if detail.characters else 80),
        run_id=line(run.run_id, 80),
        test_id=line(run.test_id, 80),
        owner=line(run.owner, 120),
        reason=reason,
        code=code,
        url=run.url if len(https(run.url)) <= 400 and https(run.url) else budget.link(run.url),
        video=budget.link(run.video_url),
        flaky=run.flaky,
        attempts=shown_attempts(run),
        issue_count=len(run.issues),
        worst=max((issue.severity for issue in run.issues if issue.severity is not None), default=None),
        time=format_duration(run.duration),
        bar=timeline.bar(run),
        issues=issues,
        steps=steps,
        pictures=pictures,
        left_out=left_out,
    )


def severity_rank(issue: Issue) -> tuple[bool, int]:
    """A sort key: confirmed issues before warnings, and within each the most severe first."""
    return not issue.confirmed, -(issue.severity or 0)


def _issue(issue: Issue, budget: _TextBudget) -> IssueView:
    return IssueView(
        name=budget.line(issue.name, 200) or "…",
        confirmed=issue.confirmed,
        severity=issue.severity,
        description=budget.text(issue.description, 2000),
        url=budget.link(issue.url),
        expected=budget.text(issue.expected, 1000),
        actual=budget.text(issue.actual, 1000),
        reproduction=tuple(
            shown for step in issue.reproduction_steps[:20] if (shown := budget.line(step, 300))
        ),
        screenshot=budget.picture(issue.screenshot_url),
    )


def _steps(steps: Sequence[Step], budget: _TextBudget) -> tuple[StepView, ...]:
    whole = max((step.ended for step in steps if is_valid_time(step.ended)), default=0.0)
    return tuple(_step(number, step, whole, budget) for number, step in enumerate(steps, 1))


def _step(number: int, step: Step, whole: float, budget: _TextBudget) -> StepView:
    lasted: float | None = None
    bar: Bar | None = None
    if is_valid_time(step.started) and is_valid_time(step.ended):
        lasted, bar = step.ended - step.started, _bar(step.started, step.ended, whole)
    return StepView(
        number=number,
        passed=step.passed,
        title=budget.line(step.title, 200) or f"step {number}",
        kind=budget.line(step.kind, 40),
        summary="" if step.summary.strip() == step.title.strip() else budget.text(step.summary, 1000),
        error=budget.text(step.error, 1500),
        code=budget.line(step.error_code, 60),
        hint=budget.line(step.hint, 300),
        time=format_duration(lasted),
        bar=bar,
    )


def _bar(start: float, end: float, whole: float) -> Bar | None:
    if whole <= 0 or end < start or start < 0 or end > whole:
        return None
    return Bar(round(100 * start / whole, 2), round(100 * (end - start) / whole, 2))


def _instant(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
