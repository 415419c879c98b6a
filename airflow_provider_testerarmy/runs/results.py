"""The result of a run for any vendor: its outcome, issues and steps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

#: A run's id in the form that its service uses: one vendor has UUIDs, another integers.
RunId: TypeAlias = str | int


class Outcome(StrEnum):
    """The outcome of one run.

    ``FAILED``: the product has a problem. ``ERRORED``: the service could not complete the run. ``UNKNOWN``: the
    run has ended with a status that this package does not know.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """The phase of a run; ``UNKNOWN`` for a status that this package does not know."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Issue:
    """A problem that a run reports.

    :param confirmed: False for a warning, which does not block unless the gate fails on warnings.
    :param severity: 1 (minor) to 5 (critical); None if the service reports none.
    :param contradicts_pass: whether it shows that a run with the status *passed* did not pass.
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
    """One step of a run; times are in seconds from the start of the run.

    :param hint: what to do about its error code.
    :param screenshots: those that the service took in this step, in order; they are among those of the run.
    :param screenshot_before: the page before the step. Those of the run need not have it.
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
    screenshots: tuple[str, ...] = ()
    screenshot_before: str = ""

    @property
    def key(self) -> str:
        """Which step it is, whatever its spaces, case and punctuation."""
        return "".join(re.findall(r"\w+", self.title.casefold()))


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was tested on one night.

    :param at: seconds since the epoch.
    :param commit, address: empty if unknown.
    :param usable: whether the address may still show the same product, so that a test can run there again.
    """

    at: int
    commit: str = ""
    address: str = ""
    usable: bool = False

    @property
    def text(self) -> str:
        """Its day in UTC, its commit and its address, as far as they are known."""
        day = datetime.fromtimestamp(self.at, UTC).date().isoformat()
        commit = f" on commit {self.commit[:7]}" if self.commit else ""
        return f"{day}{commit}{f' at {self.address}' if self.address else ''}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One of several runs of a test that a gate has confirmed.

    :param outcome: None if the run is not known to have ended.
    """

    run_id: RunId
    outcome: Outcome | None
    url: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The state of one run, and its outcome when it is finished.

    :param status: the service's word for its state.
    :param outcome: None while the run is active.
    :param reason: the reason for the outcome, as the service words it.
    :param duration: seconds.
    :param flaky: whether it passed, but not on the first attempt.
    :param video_url: its recording. Like the URLs of screenshots, it may be signed and expire.
    :param attempts: all runs of the test in the order of their rounds, this one included; empty if there is one.
    :param owner: who repairs the test, as its test file says; empty if unknown.
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
    attempts: tuple[Attempt, ...] = ()
    owner: str = ""

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.phase is Phase.FINISHED

    @property
    def label(self) -> str:
        """The run's name in messages: the title of its test, or else its id."""
        return self.title or f"run {self.run_id}"

    @property
    def failed_step(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if not step.passed), None)


def progress_line(results: Iterable[RunResult], total: int) -> str:
    """The progress of a set of runs, e.g. ``12/40 finished: 11 passed, 1 failed; 28 running``.

    :param total: the number of runs; those without a result have not been polled yet.
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
