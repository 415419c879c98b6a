"""The status of a run as a pure function of its script, of what was done to it, and of the time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy.scripts import TERMINAL_STATUSES

if TYPE_CHECKING:
    from airflow_provider_testerarmy.sandbox.testerarmy.catalog import SavedTest
    from airflow_provider_testerarmy.sandbox.testerarmy.scripts import Outcome

GAP_SECONDS = 0.5
"""Seconds between the end of a run and the start of the run that waited for it."""

STAGGER_SECONDS = 0.01
"""Seconds between the starts of the runs in a concurrent group."""


@dataclass(slots=True)
class Run:
    """A run: its request, its scripted outcome, and what was done to it since.

    Times are epoch seconds of the sandbox's clock.
    """

    id: str
    created: float
    script: str
    outcome: Outcome
    input: dict[str, Any]
    seconds: float
    test: SavedTest | None = None
    project_id: str | None = None
    batch_id: str | None = None
    position: int = 0
    waits_for: Run | None = None
    platform: str | None = "web"
    device_model: str | None = None
    mode: str = "fast"
    webhook_url: str | None = None
    webhook_status: str = "pending"
    target_url: str | None = None
    external_ref: dict[str, Any] | None = None
    source: str = "api"
    foreign: bool = False
    visible_from: float = -math.inf
    cancelled: float | None = None
    forced: tuple[str, float] | None = None
    settled: str | None = None
    rendered: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def created_iso(self) -> str:
        """The creation time as the API writes it."""
        return iso(self.created)


def status_at(run: Run, now: float) -> str:
    """Return the status of a run at this time."""
    if run.settled is not None:
        return run.settled
    status = _unsettled_status(run, now)
    if status in TERMINAL_STATUSES:
        # A final status never changes again; caching it keeps lists of many old runs fast.
        run.settled = status
    return status


def _unsettled_status(run: Run, now: float) -> str:
    # A cancellation wins over everything: the API allows it for queued and running runs.
    if run.cancelled is not None and run.cancelled <= now:
        return "cancelled"
    if run.forced is not None and run.forced[1] <= now:
        return run.forced[0]
    current = run.outcome.phases[0].status
    for status, since in _phase_starts(run):
        if since > now:
            break
        current = status
    return current


def is_active(run: Run, now: float) -> bool:
    """Whether the run has not ended; an unknown status counts as active."""
    return status_at(run, now) not in TERMINAL_STATUSES


def started_at(run: Run, now: float) -> float | None:
    """Return when the run left the queue; None if it has not."""
    if run.outcome.is_rejected:
        return None
    end = min(now, ended_at(run))
    since = _leaves_queue(run)
    if since > end and run.forced is not None and run.forced[0] != "queued":
        since = run.forced[1]
    return since if since <= end else None


def ended_at(run: Run) -> float:
    """Return when the run ends; infinity if it never does."""
    if run.cancelled is not None:
        return run.cancelled
    if run.forced is not None:
        return run.forced[1] if run.forced[0] in TERMINAL_STATUSES else math.inf
    return next((since for status, since in _phase_starts(run) if status in TERMINAL_STATUSES), math.inf)


def _leaves_queue(run: Run) -> float:
    """Return when the first phase ends: after the time in the queue, and after the run it waits for."""
    queue = run.outcome.phases[0].seconds
    ready = run.created + (run.seconds if queue is None else queue) + run.position * STAGGER_SECONDS
    if run.waits_for is None:
        return ready
    return max(ready, ended_at(run.waits_for) + GAP_SECONDS)


def _phase_starts(run: Run) -> list[tuple[str, float]]:
    phases = run.outcome.phases
    starts = [(phases[0].status, run.created)]
    since = _leaves_queue(run)
    for phase in phases[1:]:
        starts.append((phase.status, since))
        since += run.seconds if phase.seconds is None else phase.seconds
    return starts
