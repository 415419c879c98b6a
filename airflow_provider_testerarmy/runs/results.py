"""What a run came to, for any vendor: one outcome, its issues and its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

#: A run's id as its service has it: a UUID for one vendor, an integer for another.
RunId: TypeAlias = str | int


class Outcome(StrEnum):
    """What became of one run.

    ``FAILED`` is the product's fault, ``ERRORED`` the service's, ``UNKNOWN`` an end nobody has a name for.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """Where a run is: not started, at work, at its end, or in a state with a name nobody knew."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Issue:
    """A finding in the product.

    :param confirmed: False for an observation (a warning) that by itself blocks nothing.
    :param severity: 1 (minor) to 5 (critical), None where the service gave none.
    :param contradicts_pass: whether it says that a run that is called passed has not passed.
    """

    name: str
    confirmed: bool = True
    severity: int | None = None
    description: str = ""
    url: str = ""
    expected: str = ""
    actual: str = ""
    reproduction_steps: tuple[str, ...] = ()
    screenshot_url: str = ""
    contradicts_pass: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run; times in seconds from the start of the run.

    :param hint: what a person can do about its error code.
    """

    title: str
    passed: bool
    kind: str = ""
    summary: str = ""
    error: str = ""
    error_code: str = ""
    hint: str = ""
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """The state of one run, and its outcome once it is finished.

    :param status: the service's own word for its state.
    :param outcome: None while the run is active.
    :param reason: why it came to this outcome, in the service's words.
    :param duration: seconds.
    :param flaky: it passed, though not at the first attempt.
    :param video_url: its recording; like a screenshot's, the address may be signed and expire.
    """

    run_id: RunId
    status: str
    phase: Phase
    outcome: Outcome | None = None
    test_id: str = ""
    project_id: str = ""
    title: str = ""
    reason: str = ""
    error_code: str = ""
    url: str = ""
    issues: tuple[Issue, ...] = ()
    steps: tuple[Step, ...] = ()
    screenshots: tuple[str, ...] = ()
    duration: float | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    flaky: bool = False
    video_url: str = ""

    @property
    def finished(self) -> bool:
        """Whether the run is at its end."""
        return self.phase is Phase.FINISHED

    @property
    def label(self) -> str:
        """What a person calls the run: its test's title, else its id."""
        return self.title or f"run {self.run_id}"

    @property
    def failed_step(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if not step.passed), None)


def progress_line(results: Iterable[RunResult], total: int) -> str:
    """How far a set of runs is, e.g. ``12/40 finished: 11 passed, 1 failed; 28 running``.

    :param total: how many runs there are; those not among the results have not been seen yet.
    """
    seen = list(results)
    outcomes = Counter(run.outcome for run in seen if run.finished and run.outcome)
    active = Counter(run.status for run in seen if not run.finished)
    if unseen := total - len(seen):
        active["not seen yet"] = unseen
    done = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in Outcome if outcomes[outcome])
    rest = ", ".join(f"{count} {status}" for status, count in sorted(active.items()))
    head = f"{outcomes.total()}/{total} finished"
    return head + (f": {done}" if done else "") + (f"; {rest}" if rest else "")
