"""Submitting exactly once: look, note the intent, send; after an ambiguous answer look before sending again.

No vendor has an idempotency key, so a repeated trigger starts, and bills, a second run. What is ambiguous is
settled against the service's own list and its own clock; where that does not settle it, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import (
    FaultKind,
    RunRequest,
    RunService,
    Scope,
    ServiceFault,
    Submission,
)
from airflow_provider_testerarmy.runs.text import name_runs

T = TypeVar("T")

#: Seconds before each look for a run that may have been started: a gateway that answered 504 may still be
#: at work behind it, and a replica shows a new run late. Only after the last look "none" means none.
LOOKS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: The looks of a task that is being stopped: Airflow gives it about five seconds.
BRIEF_LOOKS: Final = (0.2, 0.8, 1.5)
#: Without the service's own time, an intent is dated this much earlier than by the worker's clock: what cannot be
#: told apart then ends as unclear, instead of being missed and submitted a second time.
SKEW_WITHOUT_DATE: Final = timedelta(hours=1)
#: ``Date`` headers have whole seconds, and the service's machines may differ by a moment.
CLOCK_SLACK: Final = timedelta(seconds=2)
#: POSTs of one submission at the most, however often the service loses them.
MAX_SENDS: Final = 5
_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


class Journal(Protocol):
    """Where the lifecycle writes down what it is about to do, before it does it."""

    def intent(self, since: datetime) -> None:
        """A submission is about to be sent.

        :param since: the service's time; whatever it starts was created no earlier.
        """

    def submitted(self, submission: Submission) -> None:
        """The service accepted it."""

    def nothing_started(self) -> None:
        """The service refused it, or never got it: there is nothing to look for."""


class SubmitEnd(StrEnum):
    """How a submission ended."""

    SUBMITTED = "submitted"
    REFUSED = "refused"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Submitted:
    """The end of a submission.

    :param submission: what was accepted, or None.
    :param message: what went wrong, empty when it was accepted.
    :param candidates: runs that may stem from it, where that cannot be settled.
    :param look_again: it could not be settled only because the service did not answer the look.
    :param title: the name of what was started, where the look before the submission told it.
    """

    end: SubmitEnd
    submission: Submission | None = None
    message: str = ""
    candidates: tuple[RunId, ...] = ()
    look_again: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every part of a submission needs.

    :param max_outage: seconds for which transient faults are borne.
    :param clock: seconds since the epoch.
    :param report: takes one line on what happens.
    :param known: ids of runs that are known to stem from something else.
    """

    service: RunService
    request: RunRequest
    journal: Journal
    max_outage: float
    clock: Callable[[], float]
    report: Callable[[str], None]
    known: frozenset[RunId] = field(default_factory=frozenset)


def submit(setting: Setting, intent: datetime | None = None) -> Flow[Submitted]:
    """Start the request exactly once.

    :param intent: the service's time of an earlier intent of which nobody knows what became of it: what it
        started is looked for first.
    """
    scope_or_end = yield from _prepare(setting)
    if isinstance(scope_or_end, Submitted):
        return scope_or_end
    scope, server_time = scope_or_end
    if intent is not None:
        setting.report("An earlier try was about to submit this and was lost; looking for what it started.")
        # However old the intent is: an outage may lie between it and its request, which may be a moment old.
        found = yield from look_up(setting, scope, intent, LOOKS)
        if found is not None:
            return replace(_noted(setting, found), title=scope.title)
    return replace((yield from _send(setting, scope, server_time)), title=scope.title)


def _prepare(setting: Setting) -> Flow[Submitted | tuple[Scope, datetime]]:
    """A look at the target: a wrong id or key shows here, before anything is sent."""
    question = setting.service.prepare(setting.request)
    if question is None:
        return Scope(), _by_own_clock(setting)
    reply = yield from _patiently(setting, lambda: ask(question))
    if isinstance(reply, ServiceFault):
        return _not_started(reply)
    return reply.value, reply.server_time or _by_own_clock(setting)


def _by_own_clock(setting: Setting) -> datetime:
    return datetime.fromtimestamp(setting.clock(), UTC) - SKEW_WITHOUT_DATE


def _send(setting: Setting, scope: Scope, since: datetime) -> Flow[Submitted]:
    setting.journal.intent(since)
    for _ in range(MAX_SENDS):
        # Only faults that provably had no effect are repeated in here.
        reply = yield from _patiently(setting, lambda: ask(setting.service.submit(setting.request)))
        if not isinstance(reply, ServiceFault):
            return _noted(setting, Submitted(SubmitEnd.SUBMITTED, reply.value))
        if not reply.may_have_effect:
            setting.journal.nothing_started()
            return _not_started(reply)
        setting.report(f"No clear answer to the submission ({reply.message}); looking for what it started.")
        found = yield from look_up(setting, scope, since, LOOKS)
        if found is not None:
            return _noted(setting, found)
        setting.report("It started nothing; submitting again.")
    setting.journal.nothing_started()
    message = f"{MAX_SENDS} submissions in a row were lost, and none of them started anything"
    return Submitted(SubmitEnd.UNAVAILABLE, message=message)


def _noted(setting: Setting, ended: Submitted) -> Submitted:
    if ended.submission is not None:
        setting.journal.submitted(ended.submission)
    return ended


def _not_started(fault: ServiceFault) -> Submitted:
    if fault.kind is FaultKind.DENIED:
        return Submitted(SubmitEnd.DENIED, message=fault.message)
    transient = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
    return Submitted(SubmitEnd.UNAVAILABLE if transient else SubmitEnd.REFUSED, message=fault.message)


def _patiently(setting: Setting, put: Callable[[], Flow[T]]) -> Flow[T | ServiceFault]:
    """Put a question until it is answered or refused, or ``max_outage`` is over; a fault is returned.

    A fault after which the service may have acted is returned at once.
    """
    gives_up = setting.clock() + setting.max_outage
    tries = 0
    while True:
        try:
            return (yield from put())
        except ServiceFault as fault:
            transient = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
            if not transient or fault.may_have_effect or setting.clock() >= gives_up:
                return fault
            asked = min(fault.retry_after or 0.0, setting.max_outage)
            seconds = max(_BACKOFF[min(tries, len(_BACKOFF) - 1)], asked)
            setting.report(f"{setting.service.vendor}: {fault.message}; trying again in {seconds:g} s.")
        tries += 1
        yield from pause(seconds)


def find(setting: Setting, since: datetime) -> Flow[Submitted | None]:
    """Look, briefly, for what a submission started of which nobody got the answer; as :func:`look_up`."""
    scope_or_end = yield from _prepare(setting)
    if isinstance(scope_or_end, Submitted):
        return _unclear(scope_or_end.message)
    return (yield from look_up(setting, scope_or_end[0], since, BRIEF_LOOKS))


def look_up(
    setting: Setting, scope: Scope, since: datetime, looks: Iterable[float]
) -> Flow[Submitted | None]:
    """Look for what a request started since a time.

    :param since: the service's time.
    :param looks: seconds before each look.
    :return: None when it started nothing, the adopted submission, or an unclear end.
    """
    if not setting.service.active_statuses:
        return _unclear(f"{setting.service.vendor} offers no way to look up what was started")
    expected = yield from _expected_tests(setting, scope)
    if isinstance(expected, ServiceFault):
        return _no_look(expected)
    found: list[RunResult] = []
    for seconds in looks:
        yield from pause(seconds)
        seen = yield from _patiently(setting, lambda: _runs_since(setting, scope, since))
        if isinstance(seen, ServiceFault):
            return _no_look(seen)
        ours = None if expected is None else expected | scope.companions
        found = [run for run in seen if ours is None or run.test_id in ours]
        if settled := reconcile(found, expected, scope.companions):
            return settled
    # A companion that has not shown up by now did not run along.
    return reconcile(found, expected) or (
        _unclear("some, though not all, of its runs were found", found) if found else None
    )


def reconcile(
    found: list[RunResult], expected: frozenset[str] | None, companions: frozenset[str] = frozenset()
) -> Submitted | None:
    """What the runs found so far say: adopt them, give up, or (None) look again.

    :param expected: the tests that a group run starts, None for a request that starts one run. A part of a
        group is never taken for the whole: the rest would count as tested.
    :param companions: tests that may run along, and are worth another look.
    """
    tests = [run.test_id for run in found]
    if len(found) > 1 and (expected is None or len(set(tests)) < len(tests)):
        return _unclear("more runs than one submission starts were found", found)
    if not found or not (expected or frozenset()) | companions <= {*tests}:
        return None
    rejected = tuple(run.run_id for run in found if run.status == "cancelled")
    submission = Submission(tuple(run.run_id for run in found), rejected, adopted=True)
    return Submitted(SubmitEnd.SUBMITTED, submission)


def _unclear(why: str, found: Iterable[RunResult] = ()) -> Submitted:
    ids = tuple(run.run_id for run in found)
    listed = f": {name_runs(ids, 10)}" if ids else ""
    return Submitted(SubmitEnd.UNCLEAR, message=f"{why}{listed}", candidates=ids)


def _no_look(fault: ServiceFault) -> Submitted:
    transient = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
    message = f"what was started could not be looked up: {fault.message}"
    return Submitted(SubmitEnd.UNCLEAR, message=message, look_again=transient)


def _expected_tests(setting: Setting, scope: Scope) -> Flow[frozenset[str] | ServiceFault | None]:
    runnable: frozenset[str] = frozenset()
    cursor = ""
    seen = {cursor}
    while True:
        question = setting.service.list_tests(setting.request, scope, cursor)
        if question is None:
            return None
        reply = yield from _patiently(setting, lambda question=question: ask(question))  # type: ignore[misc]
        if isinstance(reply, ServiceFault):
            return reply
        runnable |= reply.value.runnable
        cursor = reply.value.next_cursor
        if not cursor:
            return runnable
        if cursor in seen:
            return _endless(setting)
        seen.add(cursor)


def _runs_since(setting: Setting, scope: Scope, since: datetime) -> Flow[list[RunResult]]:
    """The matching runs created since then: the list is newest first, so it is read until it gets too old."""
    found: dict[RunId, RunResult] = {}
    cursor = ""
    seen = {cursor}
    while True:
        reply = yield from ask(setting.service.list_candidates(setting.request, scope, cursor))
        for sighting in reply.value.sightings:
            created = sighting.run.created_at
            if created is not None and created < since - CLOCK_SLACK:
                return list(found.values())
            if sighting.matches and sighting.run.run_id not in setting.known:
                found[sighting.run.run_id] = sighting.run
        cursor = reply.value.next_cursor
        if not cursor:
            return list(found.values())
        if cursor in seen:
            raise _endless(setting)
        seen.add(cursor)


def _endless(setting: Setting) -> ServiceFault:
    # Ending the list here could hide a run, and a run that is not seen is started a second time.
    return ServiceFault(FaultKind.TRANSIENT, f"{setting.service.vendor} repeats a cursor of its list")
