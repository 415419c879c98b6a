"""Hints that a run may have ended. A hint makes the run's next poll due now, and changes nothing else.

Hints may be lost, repeated, forged, late or out of order. The result of a run always comes from a poll. False hints
are limited in two ways: each run accepts one per interval, and all runs together a few, plus one in two seconds.
"""

from __future__ import annotations

import hashlib
import math
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable
from typing import Final

from airflow_provider_testerarmy.runs.awaiting.schedule import Schedule, Watched
from airflow_provider_testerarmy.runs.results import RunId

#: The polls that hints may cause at once, and those added per second. A poll that finds an end is free.
CREDIT: Final = (16.0, 0.5)
#: While every end comes with a hint, the poll interval grows up to this factor.
MOST_STRETCH: Final = 6.0
#: The number of consecutive ends with a hint after which the factor is reached.
PROOFS: Final = 20
#: Seconds that a hint may take: a service repeats a failed delivery after 1, 2 and 4 seconds.
GRACE: Final = 20.0
#: The maximum number of ends whose hint is awaited.
MOST_AWAITED: Final = 5000
#: The length of a key in characters, at six bits each.
KEY_LENGTH: Final = 12


def hint_key(scope: str, run_id: RunId) -> str:
    """A short digest of a run's id, by which hints are stored and matched.

    :param scope: the connection that the run belongs to.
    """
    digest = hashlib.sha256(f"{scope}\0{run_id}".encode()).digest()
    return urlsafe_b64encode(digest)[:KEY_LENGTH].decode()


class Hints:
    """The hints of one watchlist, and whether they are reliable enough to poll less often.

    :param schedule: the awaited runs.
    """

    def __init__(self, schedule: Schedule) -> None:
        #: The connection, as in :func:`hint_key`.
        self.scope = ""
        self._schedule = schedule
        self._credit, self._counted = CREDIT[0], -math.inf
        self._pending: dict[RunId, None] = {}
        self._unhinted: dict[str, float] = {}
        self._run_of: dict[str, RunId] = {}
        self._groups: dict[str, tuple[RunId, ...]] = {}
        self._indexed: set[RunId] = set()
        self._proofs = 0

    def group(self, batch_id: str, run_ids: Iterable[RunId]) -> None:
        """Name runs that a hint may announce together, by the id of their batch."""
        if batch_id:
            self._groups[batch_id] = tuple(run_ids)

    def receive(self, keys: Collection[str], now: float) -> None:
        """Take hints; those about runs that nobody waits for have no effect."""
        self._index()
        given = set(keys)
        for batch_id, run_ids in self._groups.items():
            if hint_key(self.scope, batch_id) in given:
                given.update(hint_key(self.scope, run_id) for run_id in run_ids)
        for key in given:
            run_id = self._run_of.get(key)
            if self._unhinted.pop(key, None) is not None:
                self._prove()
            elif run_id is not None and (watched := self._schedule.runs.get(run_id)) is not None:
                self._take(watched, now)

    def stop(self) -> None:
        """Poll at the usual interval again, because no hints can be received or one was missing."""
        self._proofs = 0
        self._unhinted.clear()
        self._schedule.set_stretch(1.0)

    def release(self, now: float, troubled: Collection[RunId]) -> None:
        """Make the polls due that the limit allows, and notice missing hints.

        :param troubled: the runs with faults. Their polls are counted, so a hint must not add one.
        """
        if self._unhinted and next(iter(self._unhinted.values())) < now:
            self.stop()
        if self._pending:
            self._earn(now)
        while self._pending and self._credit >= 1:
            run_id = next(iter(self._pending))
            del self._pending[run_id]
            watched = self._schedule.runs.get(run_id)
            if watched is None or run_id in troubled:
                continue
            watched.hinted, watched.ignores_until = now, now + watched.interval
            self._credit -= 1
            self._schedule.hasten(watched, now)

    def next_release(self, now: float) -> float:
        """When the next poll becomes due; infinite without a pending hint."""
        if not self._pending:
            return math.inf
        return now + max(0.0, 1 - self._credit) / CREDIT[1]

    def saw(self, watched: Watched, asked: float, now: float, *, finished: bool, first: bool) -> None:
        """Record a poll.

        :param asked: when the request was sent.
        :param first: whether this is the run's first poll, so that a hint may have come before the wait.
        """
        hinted, pending = watched.hinted, watched.run_id in self._pending
        if not finished:
            # A hint that was wrong, or too early for the service, proves nothing. The run is polled as usual.
            if asked >= hinted > -math.inf:
                watched.hinted, watched.plain = -math.inf, True
            return
        self._pending.pop(watched.run_id, None)
        if hinted > -math.inf:
            self._credit = min(CREDIT[0], self._credit + 1)
        if hinted > -math.inf or pending:
            self._prove()
        elif not first and self.scope:
            if len(self._unhinted) >= MOST_AWAITED:
                self.stop()
            self._unhinted[hint_key(self.scope, watched.run_id)] = now + GRACE

    def _take(self, watched: Watched, now: float) -> None:
        if now >= watched.ignores_until and watched.hinted == -math.inf:
            self._pending[watched.run_id] = None

    def _prove(self) -> None:
        self._proofs = min(PROOFS, self._proofs + 1)
        self._schedule.set_stretch(1 + (MOST_STRETCH - 1) * self._proofs / PROOFS)

    def _earn(self, now: float) -> None:
        most, per_second = CREDIT
        if now > self._counted > -math.inf:
            self._credit = min(most, self._credit + (now - self._counted) * per_second)
        self._counted = max(now, self._counted)

    def _index(self) -> None:
        runs = self._schedule.runs
        if len(self._run_of) > 2 * len(runs) + 64:
            self._run_of, self._indexed = {}, set()
            alive = {
                key: run_ids for key, run_ids in self._groups.items() if not runs.keys().isdisjoint(run_ids)
            }
            self._groups = alive
        new: Iterable[RunId] = runs.keys() - self._indexed
        for run_id in new:
            self._indexed.add(run_id)
            self._run_of[hint_key(self.scope, run_id)] = run_id
