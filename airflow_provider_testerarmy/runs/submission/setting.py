"""What the parts of a submission share: its setting, its journal, its end, and patience with the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import (
    FaultKind,
    RunRequest,
    RunService,
    Scope,
    ServiceFault,
    Submission,
)
from airflow_provider_testerarmy.runs.submission.record import Intent

T = TypeVar("T")

#: Without the service's own time, an intent is dated this much earlier than by the worker's clock: what cannot be
#: told apart then ends as unclear, instead of being missed and submitted a second time.
SKEW_WITHOUT_DATE: Final = timedelta(hours=1)
#: Seconds before a rejected key is tried again: it is often revoked a moment before its successor is stored.
DENIED_AGAIN_AFTER: Final = 5.0
_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


class Journal(Protocol):
    """Where the lifecycle writes down what it is about to do, before it does it."""

    def intent(self, intent: Intent) -> None:
        """A request is about to be sent: called before each one, the first and every repeated one.

        :raises Exception: when another try has taken over, or the intent cannot be stored. Nothing is sent then.
        """

    def submitted(self, submission: Submission) -> None:
        """The service accepted it."""

    def nothing_started(self, reason: str = "") -> None:
        """The service refused it, or never got it: there is nothing to look for."""

    def unclear(self, reason: str, candidates: tuple[RunId, ...]) -> None:
        """Somebody looked, and it cannot be settled."""


class Claims(Protocol):
    """Which tasks of this Airflow have recorded which runs."""

    def of_others(self, run_ids: tuple[RunId, ...]) -> frozenset[RunId] | None:
        """Those of the runs that another task has recorded; None when that cannot be found out now."""

    def claim(self, run_ids: tuple[RunId, ...]) -> None:
        """Record the runs as this task's."""


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
    :param look_again: it could not be settled only because the service did not answer.
    :param title: the name of what was started, where the look before the submission told it.
    :param gone: it was refused because the service does not have the target.
    """

    end: SubmitEnd
    submission: Submission | None = None
    message: str = ""
    candidates: tuple[RunId, ...] = ()
    look_again: bool = False
    title: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """What every part of a submission needs.

    :param journal: takes note of what is sent; None where nothing is, only looked for.
    :param max_outage: seconds for which transient faults are borne.
    :param clock: seconds since the epoch.
    :param report: takes one line on what happens.
    :param known: ids of runs that are known to stem from something else.
    :param claims: who has recorded which runs; None where no other task can be asked.
    """

    service: RunService
    request: RunRequest
    journal: Journal | None
    max_outage: float
    clock: Callable[[], float]
    report: Callable[[str], None]
    known: frozenset[RunId] = field(default_factory=frozenset)
    claims: Claims | None = None


def prepare(setting: Setting) -> Flow[Submitted | tuple[Scope, datetime]]:
    """A look at the target: a wrong id or key shows here, before anything is sent."""
    question = setting.service.prepare(setting.request)
    if question is None:
        return Scope(), _by_own_clock(setting)
    reply = yield from patiently(setting, lambda: ask(question))
    if isinstance(reply, ServiceFault):
        return not_started(reply)
    return reply.value, reply.server_time or _by_own_clock(setting)


def _by_own_clock(setting: Setting) -> datetime:
    return datetime.fromtimestamp(setting.clock(), UTC) - SKEW_WITHOUT_DATE


def not_started(fault: ServiceFault) -> Submitted:
    """The end of a submission that a fault kept from starting anything."""
    if fault.kind is FaultKind.DENIED:
        return Submitted(SubmitEnd.DENIED, message=fault.message)
    transient = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
    end = SubmitEnd.UNAVAILABLE if transient else SubmitEnd.REFUSED
    return Submitted(end, message=fault.message, gone=fault.kind is FaultKind.NOT_FOUND)


def is_final(fault: ServiceFault) -> bool:
    """Whether asking again would not help, or might do something twice."""
    transient = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
    return not transient or fault.may_have_effect


def is_denial(fault: ServiceFault) -> bool:
    """Whether the key was rejected, so that the request had no effect: once is no reason to give up."""
    return fault.kind is FaultKind.DENIED and not fault.may_have_effect


def pause_after(setting: Setting, fault: ServiceFault, tries: int) -> float:
    """Seconds until the next try after a transient fault, which is reported."""
    asked = min(fault.retry_after or 0.0, setting.max_outage)
    seconds = max(_BACKOFF[min(tries, len(_BACKOFF) - 1)], asked)
    setting.report(f"{setting.service.vendor}: {fault.message}; trying again in {seconds:g} s.")
    return seconds


def patiently(setting: Setting, put: Callable[[], Flow[T]]) -> Flow[T | ServiceFault]:
    """Ask something that has no effect until it is answered or refused, or ``max_outage`` is over.

    :return: the answer, or the fault as a value.
    """
    gives_up = setting.clock() + setting.max_outage
    tries, denied = 0, False
    while True:
        try:
            return (yield from put())
        except ServiceFault as fault:
            again = not denied and is_denial(fault)
            if (is_final(fault) and not again) or setting.clock() >= gives_up:
                return fault
            denied |= again
            seconds = DENIED_AGAIN_AFTER if again else pause_after(setting, fault, tries)
        tries += 1
        yield from pause(seconds)
