"""Cancels runs: a batch in one call, other runs one by one. Runs that have already finished count as stopped."""

from __future__ import annotations

from collections.abc import Callable, Set
from enum import StrEnum
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, RunService, ServiceFault, Submission
from airflow_provider_testerarmy.runs.text import name_runs, plural

#: Seconds before each retry. There are few, because the process is often about to be killed: Airflow sends a worker
#: SIGKILL 5 s after SIGTERM, and cancels a trigger's `on_kill` after about 1 s (measured on 3.3.2).
PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
#: After this many runs that could not be cancelled, the remaining ones are not tried.
MAX_FAILURES: Final = 3


class StopResult(StrEnum):
    """The result of an attempt to stop the runs of a submission."""

    STOPPED = "stopped"
    RUNNING = "running"
    UNKNOWN = "unknown"

    @classmethod
    def worst(cls, results: Set[StopResult]) -> StopResult:
        """The result for several submissions as one."""
        return next((result for result in (cls.RUNNING, cls.UNKNOWN) if result in results), cls.STOPPED)


def cancel(
    service: RunService,
    submission: Submission,
    report: Callable[[str], None],
    ended: Set[RunId] = frozenset(),
) -> Flow[StopResult]:
    """Cancel the active runs of a submission.

    :param report: receives one line about what was cancelled and which runs may continue.
    :param ended: runs that are known to have ended.
    """
    over = {*submission.rejected_run_ids, *ended}
    wanted = [run_id for run_id in submission.run_ids if run_id not in over]
    if not wanted:
        return StopResult.STOPPED
    if not service.can_cancel:
        report(f"{service.vendor} cannot cancel runs. {name_runs(wanted)} may continue to the end.")
        return StopResult.RUNNING
    if submission.batch_id and (yield from _cancelled(service.cancel_batch(submission.batch_id))) is None:
        what = f"batch {submission.batch_id} ({plural(len(wanted), 'run')})"
        report(f"Cancelled {what}. Runs that had finished keep their results.")
        return StopResult.STOPPED
    left = yield from _cancel_each(service, wanted)
    if not left:
        report(f"Cancelled {name_runs(wanted)}. Runs that had finished keep their results.")
        return StopResult.STOPPED
    why = next(fault.message for fault, _ in left.values())
    report(
        f"Could not cancel {name_runs(left)}: {why}. They may still be running; cancel them on the dashboard."
    )
    return StopResult.worst({result for _, result in left.values()})


_Left = dict[RunId, tuple[ServiceFault, StopResult]]


def _cancel_each(service: RunService, wanted: list[RunId]) -> Flow[_Left]:
    """Cancel runs one by one; return those that may still be active, with the reason."""
    left: _Left = {}
    for number, run_id in enumerate(wanted):
        # After one failure the service is probably down, so each of the others gets a single request.
        fault = yield from _cancelled(service.cancel_run(run_id), () if left else PAUSES)
        if fault is None:
            continue
        # The service responds with 409 if the run has already finished, and also if it cannot be cancelled.
        result = (
            (yield from _state_of(service, run_id))
            if fault.kind is FaultKind.CONFLICT
            else StopResult.UNKNOWN
        )
        if result is StopResult.STOPPED:
            continue
        left[run_id] = (fault, result)
        if fault.kind is FaultKind.DENIED or len(left) >= MAX_FAILURES:
            return left | dict.fromkeys(wanted[number + 1 :], (fault, StopResult.UNKNOWN))
    return left


def _state_of(service: RunService, run_id: RunId) -> Flow[StopResult]:
    """Whether a run that the service refused to cancel is active; a fault here leaves it unknown."""
    for seconds in (0.0, *PAUSES[:2]):
        if seconds:
            yield from pause(seconds)
        try:
            reply = yield from ask(service.fetch(run_id))
        except ServiceFault:
            continue
        return StopResult.STOPPED if reply.value.finished else StopResult.RUNNING
    return StopResult.UNKNOWN


def _cancelled(question: Ask[object], pauses: tuple[float, ...] = PAUSES) -> Flow[ServiceFault | None]:
    """Cancel with retries after transient faults, and while a new run is not visible yet; None means success."""
    last: ServiceFault | None = None
    for seconds in (0.0, *pauses):
        if seconds:
            yield from pause(max(seconds, min((last.retry_after if last else None) or 0.0, 2.0)))
        try:
            yield from ask(question)
        except ServiceFault as fault:
            last = fault
            if fault.kind not in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.NOT_FOUND):
                return fault
        else:
            return None
    return last
