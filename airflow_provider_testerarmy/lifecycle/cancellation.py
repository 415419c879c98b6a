"""Stopping the runs of a record, part by part. The result of each part is stopped, still running, or unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any, Final

from airflow_provider_testerarmy.runs.flow import Flow
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.cancel import StopResult, cancel
from airflow_provider_testerarmy.runs.submission.lookup import BRIEF_LOOKS, LOOKS, find
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.runs.text import name_runs

#: What happened to runs that were to be stopped, in messages.
STOPPED: Final = {
    StopResult.STOPPED: "cancelled",
    StopResult.RUNNING: "not cancelled",
    StopResult.UNKNOWN: "possibly not cancelled",
}


def stop_record(
    record: Record,
    setting_of: Callable[[Part], Setting],
    drive: Callable[[Flow[Any]], Any],
    log: Any,
    *,
    ended: Set[RunId] = frozenset(),
    patient: bool = False,
) -> tuple[Record, StopResult]:
    """Stop the active runs of a record. For a request without an answer, first find the runs that it started.

    :param setting_of: returns what the search for the runs of a part needs.
    :param drive: runs a flow to its end.
    :param ended: runs that are known to have ended.
    :param patient: False limits the search to a few seconds. Airflow kills a task that takes longer to stop.
    :return: the updated record, and the worst result of any part.
    """
    stopper = _Stopper(setting_of, drive, log, ended, patient=patient)
    parts = {name: stopper.stop(part) for name, part in record.parts.items()}
    leftovers = tuple(stopper.stop(part) for part in record.leftovers)
    left = tuple(part for part in leftovers if not part.settled)
    return replace(record, parts=parts, leftovers=left), StopResult.worst(stopper.fates)


class _Stopper:
    def __init__(
        self,
        setting_of: Callable[[Part], Setting],
        drive: Callable[[Flow[Any]], Any],
        log: Any,
        ended: Set[RunId],
        *,
        patient: bool,
    ) -> None:
        self._setting_of = setting_of
        self._drive = drive
        self._log = log
        self._ended = ended
        self._patient = patient
        self.fates: set[StopResult] = set()

    def stop(self, part: Part) -> Part:
        """Stop one part and return its new state."""
        if part.settled:
            return part
        found = self._look_up(part) if part.unknown else part
        if found.submission is None:
            if found.unknown:
                self.fates.add(StopResult.UNKNOWN)
            return found
        return self._cancelled(found, found.submission)

    def _cancelled(self, part: Part, submission: Submission) -> Part:
        # A run that ended meanwhile answers 409 "already terminal" (OpenAPI, POST /runs/{id}/cancel), so cancelling
        # twice is harmless.
        fate: StopResult = self._drive(
            cancel(self._setting_of(part).service, submission, self._log.info, self._ended)
        )
        self.fates.add(fate)
        return replace(part, state=PartState.STOPPED if fate is StopResult.STOPPED else PartState.STARTED)

    def _look_up(self, part: Part) -> Part:
        """Find the runs of a request without an answer, and return the part with them."""
        label = part.request.label if part.request else "request of an earlier version"
        # An unclear part has been searched for before. A second search would find the same candidates.
        if part.intent is None or part.request is None or part.state is PartState.UNCLEAR:
            self._log.warning("The %s may be running: %s.", label, part.reason or "its answer was lost")
            return part
        setting = self._setting_of(part)
        looks = LOOKS if self._patient else BRIEF_LOOKS
        found = self._drive(find(setting, part.intent, looks))
        if found is None:
            return self._nothing_found(part, label)
        if found.submission is not None:
            return replace(part, state=PartState.STARTED, submission=found.submission)
        self._log.warning("The %s may be running: %s. Check the dashboard.", label, found.message)
        # A short search may see a run too late to tell whose it is, or a part of a group. A later one can tell.
        again = found.look_again or (not self._patient and bool(setting.service.active_statuses))
        # Candidates and reason come from the service, and a record has a size limit.
        state = part.state if again else PartState.UNCLEAR
        return replace(part, state=state, candidates=found.candidates[:20], reason=found.message[:300])

    def _nothing_found(self, part: Part, label: str) -> Part:
        if self._patient:
            self._log.info("The unanswered request for the %s started no run.", label)
            return replace(part, state=PartState.REFUSED, reason="it started no run")
        # A list that is read from a replica may show a new run seconds later, so a short search proves nothing.
        self._log.warning(
            "The request for the %s got no answer, and the service lists no run of it. If one appears on the "
            "dashboard, cancel it there.",
            label,
        )
        return part


def name_active(record: Record) -> str:
    """The runs of a record that are active or may be, and its temporary target, for a message."""
    ids = [run_id for part in record.unsettled if part.submission for run_id in part.submission.run_ids]
    unknown = [part.request.label for part in record.unsettled if part.unknown and part.request]
    said = ([name_runs(ids)] if ids else []) + [
        f"any runs that the unanswered request for {one} started" for one in unknown
    ]
    return " and ".join([*said, *([record.temporary.label] if record.temporary else [])])


def describe_interruption(
    ids: tuple[RunId, ...], known: Mapping[RunId, RunResult], fate: StopResult | None
) -> tuple[str, tuple[RunId, ...]]:
    """A message on a task that was stopped, and the runs that need attention.

    :param ids: the runs of this round.
    :param fate: the result of stopping them, None if they are kept for the next try.
    """
    if fate is None:
        what = name_runs(ids) if ids else "no run yet"
        return f"The worker was stopped. The next try reconnects ({what}).", ids
    # Name only the runs that were active: the others were not stopped and need no attention.
    active = tuple(run_id for run_id in ids if run_id not in known or not known[run_id].finished)
    what = name_runs(active) if active else "all had ended" if ids else "no run yet"
    return f"The task was stopped. Its runs were {STOPPED[fate]} ({what}).", active
