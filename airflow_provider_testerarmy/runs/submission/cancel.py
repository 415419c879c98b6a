"""Stopping runs: the batch in one call where there is one, else each run; what has finished is fine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, RunService, ServiceFault, Submission
from airflow_provider_testerarmy.runs.text import name_runs, plural

#: Seconds before each further try. Who cancels is often about to be killed, so they are few and short.
PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
#: After this many runs that could not be cancelled the others are not tried any more.
IN_VAIN: Final = 3


def cancel(service: RunService, submission: Submission, report: Callable[[str], None]) -> Flow[bool]:
    """Cancel what is still active of a submission.

    :param report: takes one line on what was done and what may go on running.
    :return: whether nothing is left running as far as is known.
    """
    wanted = [run_id for run_id in submission.run_ids if run_id not in submission.rejected_run_ids]
    if not wanted:
        return True
    if not service.can_cancel:
        report(
            f"{service.vendor} cannot cancel runs: {name_runs(wanted)} will go on to the end by themselves."
        )
        return False
    if submission.batch_id and (yield from _cancelled(service.cancel_batch(submission.batch_id))) is None:
        report(f"Cancelled batch {submission.batch_id} ({plural(len(wanted), 'run')}).")
        return True
    left = yield from _cancel_each(service, wanted)
    if left:
        why = next(iter(left.values())).message
        report(f"Could not cancel {name_runs(left)}: {why}. They may still be running; cancel them by hand.")
        return False
    report(f"Cancelled {name_runs(wanted)}; those that had already finished stay as they are.")
    return True


def _cancel_each(service: RunService, wanted: list[RunId]) -> Flow[dict[RunId, ServiceFault]]:
    """Cancel one by one; the runs that may be left, each with the reason."""
    left: dict[RunId, ServiceFault] = {}
    for number, run_id in enumerate(wanted):
        # Once one was tried in vain, the service is down and the others get one try each.
        fault = yield from _cancelled(service.cancel_run(run_id), () if left else PAUSES)
        # 409: it has already finished, or it cannot be cancelled.
        if fault and fault.kind is FaultKind.CONFLICT and not (yield from _active(service, run_id)):
            continue
        if fault:
            left[run_id] = fault
        if fault and (fault.kind is FaultKind.DENIED or len(left) >= IN_VAIN):
            return left | dict.fromkeys(wanted[number:], fault)
    return left


def _active(service: RunService, run_id: RunId) -> Flow[bool]:
    try:
        reply = yield from ask(service.fetch(run_id))
    except ServiceFault:
        return False
    return not reply.value.finished


def _cancelled(question: Ask[object], pauses: tuple[float, ...] = PAUSES) -> Flow[ServiceFault | None]:
    """Ask to cancel, again after transient faults and while the run is not visible yet; None is success."""
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
