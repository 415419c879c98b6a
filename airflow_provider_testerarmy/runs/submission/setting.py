"""What the modules of a submission share: its parameters, its journal, its result, and retries of reads."""

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

#: Without a ``Date`` header, an intent is dated by the worker's clock minus this. If that clock is wrong, the
#: lookup finds too many runs and ends as unclear. With a later date, it could miss a run and submit it again.
SKEW_WITHOUT_DATE: Final = timedelta(hours=1)
#: Seconds before a retry after a rejected key. A key is often revoked a moment before its successor is stored.
DENIED_AGAIN_AFTER: Final = 5.0
#: Seconds before each retry of a read, or of a submission that had no effect; the last one repeats.
_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


class Journal(Protocol):
    """Stores the progress of a submission before each step, so that a later try can continue from it."""

    def intent(self, intent: Intent) -> None:
        """Store the intent; called before every request, including repeated ones.

        :raises Exception: if another try has taken over, or the intent cannot be stored. Nothing is sent then.
        """

    def not_sent(self) -> None:
        """Store that the request had no effect. The same request follows."""

    def submitted(self, submission: Submission) -> None:
        """Store that the service started these runs."""

    def nothing_started(self, reason: str = "") -> None:
        """Store that the request started nothing, so that no lookup is needed."""

    def unclear(self, reason: str, candidates: tuple[RunId, ...]) -> None:
        """Store that a lookup could not determine what the request started."""


class Claims(Protocol):
    """The claims of this Airflow: which task owns which run.

    :ivar slowest: seconds that the slowest call to Airflow has taken.
    """

    slowest: float

    def of_others(self, run_ids: tuple[RunId, ...], *, most: int = 50) -> frozenset[RunId] | None:
        """Those of the runs that another task has claimed; None if the claims cannot be read now.

        :param most: the most claims to read. Each is one call to Airflow.
        """

    def claim(self, run_ids: tuple[RunId, ...]) -> bool:
        """Claim the runs for this task; False if Airflow does not store claims now."""


class Allowance(Protocol):
    """Permits a request before it is sent, e.g. because a budget has room for its runs."""

    def reserve(self, runs: int) -> Flow[None]:
        """Reserve runs for the request. Another call for the same submission has no effect.

        :raises Exception: if they are not permitted. Nothing is sent then.
        """


class SubmitEnd(StrEnum):
    """The result of a submission; ``UNCLEAR``: it is unknown whether it started runs."""

    SUBMITTED = "submitted"
    REFUSED = "refused"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Submitted:
    """The result of a submission, with details.

    :param submission: the started runs, or None.
    :param message: what went wrong; empty if it was accepted.
    :param candidates: runs that it may have started, if that is unclear.
    :param look_again: whether it is unclear only because the lookup failed, so that a later lookup may succeed.
    :param gone: whether it was refused because the target does not exist.
    :param retry_after: the seconds for which the service wants no request; None if it did not say.
    """

    end: SubmitEnd
    submission: Submission | None = None
    message: str = ""
    candidates: tuple[RunId, ...] = ()
    look_again: bool = False
    gone: bool = False
    retry_after: float | None = None


def _ignore(_title: str) -> None:
    """For submissions whose title nobody shows."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The parameters of a submission.

    :param journal: stores the progress; None for a lookup, which sends nothing.
    :param max_outage: seconds for which reads are retried after transient faults.
    :param clock: seconds since the epoch.
    :param report: receives one line about each event.
    :param known: ids of runs that are known to have another origin.
    :param claims: the claims of all tasks; None if this process cannot read them.
    :param allowance: permits the request; None if every request is permitted.
    :param titled: receives the title of the target before the request is sent; empty if the service has none.
    """

    service: RunService
    request: RunRequest
    journal: Journal | None
    max_outage: float
    clock: Callable[[], float]
    report: Callable[[str], None]
    known: frozenset[RunId] = field(default_factory=frozenset)
    claims: Claims | None = None
    allowance: Allowance | None = None
    titled: Callable[[str], None] = _ignore


def prepare(setting: Setting) -> Flow[Submitted | tuple[Scope, datetime]]:
    """Read the target, so that a wrong id or key is found before the submission; also tells the service's time."""
    question = setting.service.prepare(setting.request)
    if question is None:
        return Scope(), _by_own_clock(setting)
    reply = yield from with_retries(setting, lambda: ask(question))
    if isinstance(reply, ServiceFault):
        return not_started(reply)
    return reply.value, reply.server_time or _by_own_clock(setting)


def _by_own_clock(setting: Setting) -> datetime:
    return datetime.fromtimestamp(setting.clock(), UTC) - SKEW_WITHOUT_DATE


def not_started(fault: ServiceFault) -> Submitted:
    """The result of a submission that started nothing because of a fault."""
    if fault.kind is FaultKind.DENIED:
        return Submitted(SubmitEnd.DENIED, message=fault.message)
    transient = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
    end = SubmitEnd.UNAVAILABLE if transient else SubmitEnd.REFUSED
    gone = fault.kind is FaultKind.NOT_FOUND
    return Submitted(end, message=fault.message, gone=gone, retry_after=fault.retry_after)


def _is_final(fault: ServiceFault) -> bool:
    """Whether a retry would not help, or could start runs twice."""
    # A transient fault is final if the request may have had an effect: only a lookup may follow then.
    transient = fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
    return not transient or fault.may_have_effect


def _pause_after(setting: Setting, fault: ServiceFault, tries: int) -> float:
    """Report a fault, and return the seconds until the retry."""
    asked = min(fault.retry_after or 0.0, setting.max_outage)
    usual = _BACKOFF[min(tries, len(_BACKOFF) - 1)]
    seconds = max(DENIED_AGAIN_AFTER if fault.kind is FaultKind.DENIED else usual, asked)
    setting.report(f"{setting.service.vendor}: {fault.message}; retrying in {seconds:g} s.")
    return seconds


def with_retries(setting: Setting, put: Callable[[], Flow[T]]) -> Flow[T | ServiceFault]:
    """Send a request, with retries while it cannot have had an effect, for up to ``max_outage``.

    A rejected key is tried once more.

    :return: the reply, or the fault as a value.
    """
    gives_up = setting.clock() + setting.max_outage
    tries, denied = 0, False
    while True:
        try:
            return (yield from put())
        except ServiceFault as fault:
            first_denial = fault.kind is FaultKind.DENIED and not (denied or fault.may_have_effect)
            if (_is_final(fault) and not first_denial) or setting.clock() >= gives_up:
                return fault
            denied |= first_denial
            seconds = _pause_after(setting, fault, tries)
        tries += 1
        yield from pause(seconds)
