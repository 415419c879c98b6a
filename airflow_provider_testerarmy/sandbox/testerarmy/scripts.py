"""Scripts, by name: the statuses that a run goes through, their durations, and the run's output."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from airflow_provider_testerarmy.sandbox.core import hostile
from airflow_provider_testerarmy.sandbox.testerarmy import hostile as hostile_outputs
from airflow_provider_testerarmy.sandbox.testerarmy import outputs
from airflow_provider_testerarmy.sandbox.testerarmy.outputs import Json, RunContext

TERMINAL_STATUSES = frozenset({"completed", "failed", "cancelled"})

OutputWriter = Callable[[RunContext], Json | None]


@dataclass(frozen=True, slots=True)
class Phase:
    """A status and its duration in sandbox seconds; None for the duration of the test."""

    status: str
    seconds: float | None = math.inf


@dataclass(frozen=True, slots=True)
class Outcome:
    """The scripted course of one run; its last phase never ends."""

    phases: tuple[Phase, ...]
    output: OutputWriter | None = None
    error: tuple[str, str] | None = None
    auto_retry_count: int | None = None
    refuses_cancel: bool = False
    user_name: str = "Sandbox User"

    @property
    def is_rejected(self) -> bool:
        """Whether the service rejects the run on submission."""
        return self.phases[0].status == "cancelled"


@dataclass(frozen=True, slots=True)
class Script:
    """A sequence of outcomes: the n-th run of a test has the n-th outcome.

    :param after_last: after the last outcome, start again (`cycle`) or repeat the last one (`last`).
    """

    outcomes: tuple[Outcome, ...]
    after_last: Literal["cycle", "last"] = "last"

    def outcome(self, ordinal: int) -> Outcome:
        """Return the outcome of the run with this number (from 0) of the same test."""
        if self.after_last == "cycle":
            return self.outcomes[ordinal % len(self.outcomes)]
        return self.outcomes[min(ordinal, len(self.outcomes) - 1)]


_QUEUED = Phase("queued", 1.0)
_WORKING = Phase("running", None)


def _completed(output: OutputWriter, *, auto_retry_count: int | None = 0) -> Outcome:
    return Outcome((_QUEUED, _WORKING, Phase("completed")), output, auto_retry_count=auto_retry_count)


# Status `failed` means that the service broke the run; a failed test is `completed` with the result FAILED.
_BREAKS = Outcome(
    (_QUEUED, _WORKING, Phase("failed")),
    error=("BROWSER_START_FAILED", "No browser could be started for this run."),
    auto_retry_count=2,
)

SCRIPTS: dict[str, Script] = {
    "passes": Script((_completed(outputs.passed),)),
    "passes_with_warning": Script((_completed(outputs.passed_with_warning),)),
    "passes_with_severe_issue": Script((_completed(outputs.passed_with_severe_issue),)),
    "fails": Script((_completed(outputs.failed),)),
    "flaky": Script((_completed(outputs.failed), _completed(outputs.passed)), "cycle"),
    "breaks": Script((_BREAKS,)),
    "breaks_once": Script((_BREAKS, _completed(outputs.passed))),
    "skipped": Script((_completed(outputs.skipped),)),
    "cancelled": Script((Outcome((_QUEUED, _WORKING, Phase("cancelled"))),)),
    "endless": Script((Outcome((_QUEUED, Phase("running"))),)),
    "stuck_in_queue": Script((Outcome((Phase("queued"),)),)),
    "rejected": Script((Outcome((Phase("cancelled"),)),)),
    "hostile": Script(
        (
            Outcome(
                (_QUEUED, _WORKING, Phase("completed")),
                hostile_outputs.hostile,
                error=(hostile.MARKUP, hostile.NASTY_TEXT),
                user_name=hostile.MARKUP,
            ),
        )
    ),
    "cut_emoji": Script((_completed(hostile_outputs.cut_emoji),)),
    # `expired` never changes: a client cannot know whether an unknown status is final.
    "unknown_status": Script(
        (Outcome((_QUEUED, Phase("running", 3.0), Phase("paused", 6.0), Phase("expired"))),)
    ),
    "unknown_values": Script((_completed(outputs.unknown_values),)),
    "unknown_result": Script((_completed(outputs.unknown_result),)),
    "no_output": Script((_completed(outputs.nothing),)),
    "sparse": Script((_completed(outputs.sparse, auto_retry_count=None),)),
    "auto_retried": Script((_completed(outputs.passed, auto_retry_count=1),)),
    "refuses_cancel": Script(
        (Outcome((_QUEUED, _WORKING, Phase("completed")), outputs.passed, refuses_cancel=True),)
    ),
}
