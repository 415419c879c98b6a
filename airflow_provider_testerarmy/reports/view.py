"""What a page shows of each run: texts cleaned and bounded, addresses checked, times as shares of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from airflow_provider_testerarmy.reports.text import block, https, known, line, outcome_of, took
from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunResult, Step
from airflow_provider_testerarmy.runs.text import plural

#: The order in which runs are shown: what needs a look comes first.
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
    """How much is shown of one run: characters of text altogether, and entries of each kind."""

    characters: int
    steps: int
    issues: int
    pictures: int


#: From everything that a person reads down to a single line.
DETAILS: Final = (
    Detail(24_000, 100, 30, 30),
    Detail(6_000, 40, 10, 10),
    Detail(1_500, 15, 4, 4),
    Detail(500, 5, 2, 0),
    Detail(0, 0, 0, 0),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a time line, in percent of its length."""

    start: float
    width: float


@dataclass(frozen=True, slots=True)
class StepView:
    """One step as it is shown."""

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
    """One finding as it is shown."""

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
    """One run as it is shown.

    :param left_out: what there was no room for, in words.
    """

    number: int
    outcome: str
    status: str
    title: str
    run_id: str
    test_id: str
    reason: str
    code: str
    url: str
    video: str
    flaky: bool
    issue_count: int
    worst: int | None
    time: str
    bar: Bar | None
    issues: tuple[IssueView, ...]
    steps: tuple[StepView, ...]
    pictures: tuple[str, ...]
    left_out: str


class _Purse:
    """The characters that one run may still show."""

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
        """Where a picture is: its copy if there is one."""
        copy = self._copies.get(url)
        return self._spent(copy) if copy and len(copy) <= self._left else self.link(url)

    def _spent(self, shown: str) -> str:
        self._left -= len(shown)
        return shown


class Timeline:
    """The time from the first start of any run to the last end."""

    def __init__(self, runs: Sequence[RunResult]) -> None:
        starts = [_instant(run.started_at) for run in runs if run.started_at]
        ends = [_instant(run.finished_at) for run in runs if run.finished_at]
        self.start = min(starts, default=None)
        whole = max(ends) - self.start if ends and self.start is not None else None
        self.seconds = whole if known(whole) else None

    @property
    def began(self) -> datetime | None:
        """When the first run started."""
        return datetime.fromtimestamp(self.start, UTC) if self.start is not None else None

    def bar(self, run: RunResult) -> Bar | None:
        """Where on the line a run is."""
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
    """One run, with as much of it as ``detail`` allows.

    :param copies: where copies of its pictures are, by the picture's own address.
    """
    purse = _Purse(detail.characters, copies)
    code, reason = line(run.error_code, 60), purse.text(run.reason, 2000) or line(run.reason, 100)
    issues = tuple(_issue(issue, purse) for issue in sorted(run.issues, key=gravity)[: detail.issues])
    steps = _steps(run.steps[: detail.steps], purse)
    pictures = tuple(shown for url in run.screenshots[: detail.pictures] if (shown := purse.picture(url)))
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
        reason=reason,
        code=code,
        url=run.url if len(https(run.url)) <= 400 and https(run.url) else purse.link(run.url),
        video=purse.link(run.video_url),
        flaky=run.flaky,
        issue_count=len(run.issues),
        worst=max((issue.severity for issue in run.issues if issue.severity is not None), default=None),
        time=took(run.duration),
        bar=timeline.bar(run),
        issues=issues,
        steps=steps,
        pictures=pictures,
        left_out=left_out,
    )


def gravity(issue: Issue) -> tuple[bool, int]:
    """To sort by: confirmed before observed, and the severe before the slight."""
    return not issue.confirmed, -(issue.severity or 0)


def _issue(issue: Issue, purse: _Purse) -> IssueView:
    return IssueView(
        name=purse.line(issue.name, 200) or "…",
        confirmed=issue.confirmed,
        severity=issue.severity,
        description=purse.text(issue.description, 2000),
        url=purse.link(issue.url),
        expected=purse.text(issue.expected, 1000),
        actual=purse.text(issue.actual, 1000),
        reproduction=tuple(
            shown for step in issue.reproduction_steps[:20] if (shown := purse.line(step, 300))
        ),
        screenshot=purse.picture(issue.screenshot_url),
    )


def _steps(steps: Sequence[Step], purse: _Purse) -> tuple[StepView, ...]:
    whole = max((step.ended for step in steps if known(step.ended)), default=0.0)
    return tuple(_step(number, step, whole, purse) for number, step in enumerate(steps, 1))


def _step(number: int, step: Step, whole: float, purse: _Purse) -> StepView:
    lasted = step.ended - step.started if known(step.started) and known(step.ended) else None
    return StepView(
        number=number,
        passed=step.passed,
        title=purse.line(step.title, 200) or f"step {number}",
        kind=purse.line(step.kind, 40),
        summary="" if step.summary.strip() == step.title.strip() else purse.text(step.summary, 1000),
        error=purse.text(step.error, 1500),
        code=purse.line(step.error_code, 60),
        hint=purse.line(step.hint, 300),
        time=took(lasted),
        bar=_bar(step.started, step.ended, whole) if known(step.started) and known(step.ended) else None,
    )


def _bar(start: float, end: float, whole: float) -> Bar | None:
    if whole <= 0 or end < start or start < 0 or end > whole:
        return None
    return Bar(round(100 * start / whole, 2), round(100 * (end - start) / whole, 2))


def _instant(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
