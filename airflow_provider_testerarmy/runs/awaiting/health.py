"""How the service does: faults of the connection and of each run, and when it may be asked again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault

#: After this many faults in a row nothing is asked for a while: the service is down, and asking only takes time.
FAULTS_IN_A_ROW: Final = 3
#: Seconds of that while, doubled each time up to the second number.
REST: Final = (1.0, 15.0)
#: A ``Retry-After`` is obeyed up to this many seconds, or up to the longest ``max_outage`` of those who wait.
HOLD: Final = 600.0
#: Seconds after which a rejected key is tried again; proxies answer 401 and 403 for a moment, too.
SECOND_TRY: Final = 5.0
#: A run is unknown to the service after this many answers that say so, over this many seconds: a replica may
#: show a new run late.
NOT_FOUND: Final = (3, 60.0)
#: Seconds between two polls of a run that the service says it does not know, at the most.
SEEK_EVERY: Final = 20.0


@dataclass(slots=True)
class RunTrouble:
    """What goes wrong with one run.

    :param since: the time of the first fault since its last good answer.
    :param fault: the latest fault.
    :param count: faults since the last good answer.
    :param missing: how many of them said that there is no such run, and since when.
    :param denied: since when access to it is denied, infinite while it is not.
    :param refused: whether it was denied again after a pause.
    """

    since: float
    fault: ServiceFault
    count: int = 0
    missing: int = 0
    missing_since: float = math.inf
    missing_at: float = -math.inf
    denied: float = math.inf
    refused: bool = False

    @property
    def not_found(self) -> bool:
        """Whether the service said often and long enough that there is no such run."""
        times, seconds = NOT_FOUND
        return self.missing >= times and self.missing_at - self.missing_since >= seconds


class Health:
    """Faults, and what follows from them for everybody who waits through the connection.

    :param held_until: until when a ``Retry-After`` of before forbids to ask.
    """

    def __init__(self, held_until: float = -math.inf) -> None:
        #: Until when the service asked not to be asked.
        self.held_until = held_until
        #: Since when there was no good answer at all, None while there are; and the latest fault.
        self.trouble: float | None = None
        self.fault: ServiceFault | None = None
        #: Why the key counts as rejected, None while it does not.
        self.denied: ServiceFault | None = None
        self.runs: dict[RunId, RunTrouble] = {}
        self._suspect: tuple[float, RunId | None] | None = None
        self._faults = 0
        self._rests = 0
        self._rested_at = -math.inf
        self._rests_until = -math.inf

    def on_hold_until(self) -> float:
        """When the service may be asked again."""
        suspected = self._suspect[0] + SECOND_TRY if self._suspect else -math.inf
        return max(self.held_until, self._rests_until, suspected)

    @property
    def suspected(self) -> bool:
        """Whether the key was rejected once, and it is not known yet whether that was a hiccup."""
        return self._suspect is not None and self.denied is None

    def end_rest(self) -> None:
        """Ask again though the service seems down; a ``Retry-After`` still holds."""
        self._rests_until = -math.inf

    def good(self) -> None:
        """A question was answered."""
        self.trouble = self.fault = self._suspect = None
        self._faults = self._rests = 0

    def heard_of(self, run_id: RunId) -> bool:
        """A good answer about this run; return whether it was in trouble."""
        return self.runs.pop(run_id, None) is not None

    def bad(
        self, fault: ServiceFault, run_id: RunId | None, asked: float, now: float, patience: float
    ) -> bool:
        """A question was answered with a fault.

        :param asked: when the question was put.
        :param patience: the longest ``max_outage`` of those who wait.
        :return: whether the run is in trouble from now on, and was not before.
        """
        if fault.kind is FaultKind.DENIED:
            self._suspect_key(fault, run_id, asked, now)
        if fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.DENIED):
            self.trouble = now if self.trouble is None else self.trouble
            self.fault = fault
        if fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED):
            self._slow_down(fault, asked, now, patience)
        return run_id is not None and self._note(fault, run_id, asked, now)

    def _note(self, fault: ServiceFault, run_id: RunId, asked: float, now: float) -> bool:
        before = self.runs.get(run_id)
        trouble = before or RunTrouble(now, fault)
        self.runs[run_id] = trouble
        trouble.fault, trouble.count = fault, trouble.count + 1
        if fault.kind is FaultKind.NOT_FOUND:
            trouble.missing += 1
            trouble.missing_since, trouble.missing_at = min(trouble.missing_since, now), now
        if fault.kind is FaultKind.DENIED:
            trouble.refused |= asked >= trouble.denied + SECOND_TRY
            trouble.denied = min(trouble.denied, now)
        return before is None

    def _suspect_key(self, fault: ServiceFault, run_id: RunId | None, asked: float, now: float) -> None:
        """The key is rejected when the service says so again, after a pause, to another question."""
        if self._suspect is None:
            self._suspect = (now, run_id)
        elif asked >= self._suspect[0] + SECOND_TRY and run_id != self._suspect[1]:
            self.denied = fault

    def _slow_down(self, fault: ServiceFault, asked: float, now: float, patience: float) -> None:
        if fault.retry_after:
            self.held_until = max(self.held_until, now + min(fault.retry_after, max(HOLD, patience)))
        if asked < self._rested_at:
            # It was under way when the rest began: together they are one sign that the service is down.
            return
        self._faults += 1
        if fault.kind is FaultKind.RATE_LIMITED or self._faults >= FAULTS_IN_A_ROW:
            first, most = REST
            self._rested_at = now
            self._rests_until = now + min(most, first * 2.0**self._rests)
            self._rests = min(self._rests + 1, 10)
            self._faults = 0
