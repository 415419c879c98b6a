"""Tracks faults of the connection and of each run, and when the next request may be sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault

#: After this many consecutive faults, the connection backs off: the service is down, and requests are pointless.
FAULTS_IN_A_ROW: Final = 3
#: The first and the longest back-off in seconds; it doubles each time.
BACKOFF: Final = (1.0, 15.0)
#: ``Retry-After`` is obeyed up to this many seconds, or up to the longest ``max_outage`` of the waiters.
MAX_RETRY_AFTER: Final = 600.0
#: Seconds until a rejected key is tried again. A proxy or firewall may send a single 401 or 403 as well.
RECHECK_KEY_AFTER: Final = 5.0
#: A run counts as unknown after this many 404s over at least this many seconds. A replica of the service's database
#: may lag, so that a new run is missing at first.
NOT_FOUND: Final = (3, 60.0)
#: The maximum of seconds between two polls of a run that got a 404.
NOT_FOUND_INTERVAL: Final = 20.0


@dataclass(slots=True)
class RunTrouble:
    """The faults of one run since its last successful request; times are in monotonic seconds.

    :param since: the time of the first fault.
    :param fault: the latest fault.
    :param count: the number of faults.
    :param missing: the number of 404s among them.
    :param missing_since: the time of the first 404; infinite without one.
    :param missing_at: the time of the latest 404.
    :param denied: the time of the first 401 or 403; infinite without one.
    :param refused: whether access was denied again after a pause.
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
        """Whether there were enough 404s over a long enough time; see :data:`NOT_FOUND`."""
        times, seconds = NOT_FOUND
        return self.missing >= times and self.missing_at - self.missing_since >= seconds


class Health:
    """The faults of a connection, and the back-off that they cause for all of its waiters.

    :param held_until: the time until which an earlier ``Retry-After`` holds, in monotonic seconds.
    """

    def __init__(self, held_until: float = -math.inf) -> None:
        #: The time until which ``Retry-After`` forbids requests.
        self.held_until = held_until
        #: The time of the first fault since the last successful request; None without one.
        self.trouble: float | None = None
        #: The latest of these faults.
        self.fault: ServiceFault | None = None
        #: The fault that shows that the key is rejected, None while it is not.
        self.denied: ServiceFault | None = None
        self.runs: dict[RunId, RunTrouble] = {}
        self._suspect: tuple[float, RunId | None] | None = None
        self._faults = 0
        self._backoffs = 0
        self._backed_off_at = -math.inf
        self._backs_off_until = -math.inf

    def on_hold_until(self) -> float:
        """The time from which the next request may be sent."""
        suspected = self._suspect[0] + RECHECK_KEY_AFTER if self._suspect else -math.inf
        return max(self.held_until, self._backs_off_until, suspected)

    @property
    def suspected(self) -> bool:
        """Whether the key was rejected once, and a second request has not confirmed it yet."""
        return self._suspect is not None and self.denied is None

    def end_backoff(self) -> None:
        """End the back-off; a ``Retry-After`` still holds."""
        self._backs_off_until = -math.inf

    def record_success(self) -> None:
        """Record a successful request."""
        self.trouble = self.fault = self._suspect = None
        self._faults = self._backoffs = 0

    def recovered(self, run_id: RunId) -> bool:
        """Record a successful request for a run; return whether it had faults before."""
        return self.runs.pop(run_id, None) is not None

    def record_fault(
        self, fault: ServiceFault, run_id: RunId | None, asked: float, now: float, max_outage: float
    ) -> bool:
        """Record a failed request.

        :param run_id: the run that the request was about; None for a list.
        :param asked: when the request was sent.
        :param max_outage: the longest ``max_outage`` of the waiters, in seconds.
        :return: whether this is the run's first fault since its last successful request.
        """
        if fault.kind is FaultKind.DENIED:
            self._suspect_key(fault, run_id, asked, now)
        if fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.DENIED):
            self.trouble = now if self.trouble is None else self.trouble
            self.fault = fault
        if fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED):
            self._slow_down(fault, asked, now, max_outage)
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
            trouble.refused |= asked >= trouble.denied + RECHECK_KEY_AFTER
            trouble.denied = min(trouble.denied, now)
        return before is None

    def _suspect_key(self, fault: ServiceFault, run_id: RunId | None, asked: float, now: float) -> None:
        """Take the key as rejected only if another request, sent after a pause, is rejected as well.

        A single 401, or a 403 page of a firewall, must not end every wait of the connection.
        """
        if self._suspect is None:
            self._suspect = (now, run_id)
        elif asked >= self._suspect[0] + RECHECK_KEY_AFTER and run_id != self._suspect[1]:
            self.denied = fault

    def _slow_down(self, fault: ServiceFault, asked: float, now: float, max_outage: float) -> None:
        if fault.retry_after:
            self.held_until = max(
                self.held_until, now + min(fault.retry_after, max(MAX_RETRY_AFTER, max_outage))
            )
        if asked < self._backed_off_at:
            # Requests that were in flight when the back-off began fail together. Count them once.
            return
        self._faults += 1
        if fault.kind is FaultKind.RATE_LIMITED or self._faults >= FAULTS_IN_A_ROW:
            first, most = BACKOFF
            self._backed_off_at = now
            self._backs_off_until = now + min(most, first * 2.0**self._backoffs)
            self._backoffs = min(self._backoffs + 1, 10)
            self._faults = 0
