"""The log of API calls and their effects, by which tests check what a client really did."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Effect = Literal["submitted", "cancelled"]

# A load test polls for hours; without a limit the log would exhaust memory.
MAX_ENTRIES = 200_000


@dataclass(slots=True)
class LogEntry:
    """One API call.

    :param sequence: its number, from 1.
    :param at: when it arrived, in real epoch seconds.
    :param sandbox_at: when it arrived, in the sandbox's epoch seconds.
    :param answered: the status that was sent, or `reset`, `timeout`, `truncated`; None while in flight.
    :param effect: what the call changed, whatever response was sent.
    :param run_ids: the runs that the call submitted or cancelled.
    """

    sequence: int
    at: float
    sandbox_at: float
    method: str
    path: str
    query: str
    operation: str | None
    answered: int | str | None = None
    fault: str | None = None
    effect: Effect | None = None
    run_ids: list[str | int] = field(default_factory=list)
    batch_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as the control API shows it."""
        return asdict(self)


class RequestLog:
    """All API calls in order. Calls with an effect are kept without a limit, the others up to `MAX_ENTRIES`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Delete all entries."""
        with self._lock:
            self._sequence = 0
            self._entries: deque[LogEntry] = deque(maxlen=MAX_ENTRIES)
            self._effects: list[LogEntry] = []

    def begin(self, method: str, path: str, query: str, operation: str | None, sandbox_at: float) -> LogEntry:
        """Record a call that has arrived."""
        with self._lock:
            self._sequence += 1
            entry = LogEntry(self._sequence, time.time(), sandbox_at, method, path, query, operation)
            self._entries.append(entry)
            return entry

    def record_effect(
        self, entry: LogEntry, effect: Effect, run_ids: Sequence[str | int], batch_id: str | None = None
    ) -> None:
        """Record what a call changed."""
        with self._lock:
            entry.effect, entry.run_ids, entry.batch_id = effect, list(run_ids), batch_id
            self._effects.append(entry)

    def entries(self, operation: str | None = None, since: int = 0) -> list[LogEntry]:
        """Return the calls after number `since`, of one operation or of all."""
        with self._lock:
            return [
                entry
                for entry in self._entries
                if entry.sequence > since and operation in (None, entry.operation)
            ]

    def submissions(self) -> list[LogEntry]:
        """Return the calls that started runs, whatever response was sent."""
        with self._lock:
            return [entry for entry in self._effects if entry.effect == "submitted"]

    def cancellations(self) -> list[LogEntry]:
        """Return the calls that cancelled runs, whatever response was sent."""
        with self._lock:
            return [entry for entry in self._effects if entry.effect == "cancelled"]

    def submitted_run_ids(self) -> list[str | int]:
        """Return the ids of all runs that were ever started, oldest first."""
        return [run_id for entry in self.submissions() for run_id in entry.run_ids]

    def cancelled_run_ids(self) -> list[str | int]:
        """Return the ids of all runs that API calls cancelled."""
        return [run_id for entry in self.cancellations() for run_id in entry.run_ids]

    def counts(self) -> dict[str, int]:
        """Return the number of calls per operation."""
        with self._lock:
            return dict(Counter(entry.operation or "unknown" for entry in self._entries))

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)
