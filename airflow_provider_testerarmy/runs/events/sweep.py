"""A sweep: reads the service's recent runs, as deep as the watchers need."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from airflow_provider_testerarmy.runs.cleaning import usable_id
from airflow_provider_testerarmy.runs.events.model import EventService, ListedEnd
from airflow_provider_testerarmy.runs.flow import Flow, ask
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault

#: Seconds before the newest run that every sweep reads again. A run may appear in the list late, and the service's
#: clocks may differ.
OVERLAP: Final = 600.0
#: The maximum number of pages that a sweep reads of one list, in case a list never ends. A page has 100 runs.
PAGES: Final = 500
#: The number of open runs from which the lists of active runs are read, instead of each run.
MANY: Final = 20
#: Seconds by which a run may have been created after the service's own time. A later one does not move the floor.
AHEAD: Final = 300.0


@dataclass(frozen=True, slots=True)
class Need:
    """What the watchers of a connection need of a sweep.

    :param floor: the earliest creation time to read, in seconds since the epoch.
    :param fresh: whether a watcher has no cursor yet, and needs all active runs.
    :param open_ids: runs that have been seen active or not been delivered; read one by one if no list shows them.
    """

    floor: float
    fresh: bool = False
    open_ids: frozenset[RunId] = frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """A run of a sweep.

    :param created: its creation time; for a run without one, that of its neighbour in the list.
    """

    run: ListedEnd
    created: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """All runs that a sweep found.

    :param floor: every run created from this time on was read, as far as the list shows it.
    :param newest: the creation time of the newest run; the service's time if there is none.
    :param fresh: whether all active runs were read.
    :param cut: whether a list did not end, so that older runs are missing.
    """

    seen: dict[RunId, Seen]
    floor: float
    newest: float
    fresh: bool = False
    cut: bool = False


@dataclass(slots=True)
class _Reading:
    seen: dict[RunId, Seen] = field(default_factory=dict)
    now: float = -math.inf
    cut: bool = False

    def took(self, runs: Iterable[ListedEnd], last: float) -> float:
        """Add the runs of a page; return the creation time of the oldest."""
        for run in runs:
            last = last if run.created is None else run.created
            # A request for it could not be built, so it would end every later sweep.
            if not usable_id(run.result.run_id):
                continue
            before = self.seen.get(run.result.run_id)
            # An end is final. A later page of another list may show an older state.
            if before is None or not before.run.result.finished:
                self.seen[run.result.run_id] = Seen(run, last)
        return last

    def newest(self) -> float:
        times = [each.created for each in self.seen.values() if each.created <= self.now + AHEAD]
        return max(times, default=self.now)


def sweep(service: EventService, need: Need, now: float) -> Flow[Sweep]:
    """Read the recent runs, and each open run that they do not include.

    A fault ends the sweep, because a gap in it could hide a run. The next one starts anew.

    :param now: the local time in seconds since the epoch, used if the service does not tell its own.
    :raises ServiceFault: if a request fails.
    """
    reading = _Reading()
    floor = need.floor
    if service.active_statuses:
        floor = yield from _read_recent(service, need, now, reading)
        if need.fresh or len(need.open_ids - reading.seen.keys()) > MANY:
            for status in service.active_statuses:
                yield from _read_list(service, status, -math.inf, reading)
    reading.now = now if math.isinf(reading.now) else reading.now
    for run_id in sorted(need.open_ids - reading.seen.keys(), key=str):
        yield from _read_one(service, run_id, reading)
    return Sweep(reading.seen, floor, reading.newest(), need.fresh, reading.cut)


def _read_recent(service: EventService, need: Need, now: float, reading: _Reading) -> Flow[float]:
    """Read the list of all runs down to the floor; a fresh watcher needs the overlap only."""
    reply = yield from ask(service.list_recent("", ""))
    page = reply.value
    reading.now = _timestamp(reply.server_time, now)
    last = reading.took(page.runs, reading.now)
    floor = min(need.floor, reading.newest() - OVERLAP) if need.fresh else need.floor
    if page.next_cursor and last >= floor:
        yield from _read_list(service, "", floor, reading, page.next_cursor, last)
    return floor


def _read_list(
    service: EventService,
    status: str,
    floor: float,
    reading: _Reading,
    cursor: str = "",
    last: float = math.nan,
) -> Flow[None]:
    last = reading.newest() if math.isnan(last) else last
    used: set[str] = set()
    for _ in range(PAGES):
        reply = yield from ask(service.list_recent(status, cursor))
        page = reply.value
        last = reading.took(page.runs, last)
        used.add(cursor)
        cursor = page.next_cursor
        if not cursor or cursor in used or last < floor:
            return
    reading.cut = True


def _read_one(service: EventService, run_id: RunId, reading: _Reading) -> Flow[None]:
    try:
        reply = yield from ask(service.fetch_listed(run_id))
    except ServiceFault as fault:
        # A deleted run, or a replica that lags. The cursor keeps the run until it is too old.
        if fault.kind not in (FaultKind.NOT_FOUND, FaultKind.REFUSED):
            raise
        return
    run: ListedEnd = reply.value
    reading.seen[run_id] = Seen(run, run.created or 0.0)


def _timestamp(server_time: datetime | None, now: float) -> float:
    return server_time.timestamp() if server_time else now
