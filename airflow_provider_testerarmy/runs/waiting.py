"""Waiting for runs: what to ask, when to ask again, and when to stop waiting."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.results import RunId, RunResult, progress_line
from airflow_provider_testerarmy.runs.service import FaultKind, RunService, ServiceFault
from airflow_provider_testerarmy.runs.text import name_runs

#: Below this many active runs, asking for each is cheaper than listing by status.
LIST_FROM: Final = 4
#: After this many faults in a row a round ends early: the service is down, and asking on only takes time.
FAULTS_PER_ROUND: Final = 3
#: Seconds past the deadline that the last look at the runs may take.
LAST_LOOK: Final = 30.0
#: The first pauses are this share of the time waited so far, until ``poll_interval`` is reached.
EAGERNESS: Final = 0.1


class WaitEnd(StrEnum):
    """Why a wait is over."""

    FINISHED = "finished"
    DEADLINE = "deadline"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Waited:
    """The end of a wait.

    :param results: what was last seen of each run, finished or not.
    :param message: what went wrong, empty when everything finished.
    """

    end: WaitEnd
    results: Mapping[RunId, RunResult]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a wait is paced.

    :param poll_interval: seconds between two looks once the runs are no longer young.
    :param max_outage: seconds without one good answer about a run after which the wait ends.
    :param deadline: the absolute time (seconds since the epoch) at which the wait ends, None for never.
    """

    poll_interval: float = 10.0
    max_outage: float = 600.0
    deadline: float | None = None

    def next_pause(
        self, waited: float, now: float, *, retry_after: float = 0.0, jitter: float | None = None
    ) -> float:
        """Seconds until the next look: short at first, with jitter, never past the deadline.

        :param waited: seconds since the wait began.
        :param retry_after: seconds that the service asked for; they are a minimum, up to ``max_outage``.
        :param jitter: -1 to 1, drawn at random when None.
        """
        spread = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311
        eager = max(min(1.0, self.poll_interval), min(self.poll_interval, EAGERNESS * waited))
        seconds = max(eager * (1 + 0.1 * spread), min(retry_after, self.max_outage))
        return seconds if self.deadline is None else max(0.0, min(seconds, self.deadline - now))


@dataclass(slots=True)
class _Watch:
    """What is known of the awaited runs."""

    service: RunService
    pace: Pace
    active: dict[RunId, None]
    last_good: dict[RunId, float]
    results: dict[RunId, RunResult] = field(default_factory=dict)
    fault: ServiceFault | None = None

    def begin_round(self) -> None:
        self.fault = None

    def saw(self, run: RunResult, now: float) -> None:
        self.results[run.run_id] = run
        self.last_good[run.run_id] = now
        if run.finished:
            self.active.pop(run.run_id, None)

    def silent(self, now: float) -> list[RunId]:
        """The active runs of which nothing was heard for longer than an outage may last."""
        return [run_id for run_id in self.active if now - self.last_good[run_id] > self.pace.max_outage]


def await_runs(
    service: RunService,
    run_ids: Iterable[RunId],
    pace: Pace,
    clock: Callable[[], float],
    report: Callable[[str], None],
) -> Flow[Waited]:
    """Wait until every run is finished, or until waiting has no point any more.

    A transient fault never ends the wait by itself. A denied key ends it at once.

    :param clock: seconds since the epoch.
    :param report: takes one line per change of progress.
    """
    began = clock()
    ids = dict.fromkeys(run_ids)
    watch = _Watch(service, pace, dict(ids), dict.fromkeys(ids, began))
    shown = ""
    while True:
        watch.begin_round()
        yield from _round(watch, clock)
        line = progress_line(watch.results.values(), len(ids))
        if line != shown:
            report(line)
            shown = line
        if over := _over(watch, clock()):
            return over
        if watch.fault:
            report(f"{service.vendor} did not answer ({watch.fault.message}); the wait goes on.")
        asked = (watch.fault.retry_after if watch.fault else None) or 0.0
        yield from pause(pace.next_pause(clock() - began, clock(), retry_after=asked))


def _over(watch: _Watch, now: float) -> Waited | None:
    if not watch.active:
        return Waited(WaitEnd.FINISHED, watch.results)
    if watch.fault and watch.fault.kind is FaultKind.DENIED:
        return Waited(WaitEnd.DENIED, watch.results, watch.fault.message)
    if watch.pace.deadline is not None and now >= watch.pace.deadline:
        return Waited(WaitEnd.DEADLINE, watch.results, f"{name_runs(watch.active)} not finished in time")
    if silent := watch.silent(now):
        why = f": {watch.fault.message}" if watch.fault else ""
        message = f"no good answer about {name_runs(silent)} for {watch.pace.max_outage:g} s{why}"
        return Waited(WaitEnd.UNAVAILABLE, watch.results, message)
    return None


def _round(watch: _Watch, clock: Callable[[], float]) -> Flow[None]:
    """One look at every active run. A list is a hint; a run that left it is asked for itself."""
    listed: set[RunId] = set()
    if watch.service.active_statuses and len(watch.active) >= LIST_FROM:
        listed = yield from _look_through_lists(watch, clock)
    faults = 0
    for run_id in [run_id for run_id in watch.active if run_id not in listed]:
        if watch.fault and watch.fault.kind in (FaultKind.DENIED, FaultKind.RATE_LIMITED):
            return
        if watch.pace.deadline is not None and clock() >= watch.pace.deadline + LAST_LOOK:
            return
        try:
            reply = yield from ask(watch.service.fetch(run_id))
        except ServiceFault as fault:
            watch.fault = fault
            faults += 1
            if faults >= FAULTS_PER_ROUND:
                return
        else:
            watch.saw(reply.value, clock())
            faults = 0


def _look_through_lists(watch: _Watch, clock: Callable[[], float]) -> Flow[set[RunId]]:
    """The awaited runs among the account's active ones, in no more requests than runs are awaited."""
    seen: set[RunId] = set()
    budget = len(watch.active) - 1
    for status in watch.service.active_statuses:
        cursor = ""
        while budget > 0 and len(seen) < len(watch.active):
            budget -= 1
            try:
                reply = yield from ask(watch.service.list_active(status, cursor))
            except ServiceFault as fault:
                watch.fault = fault
                return seen
            for sighting in reply.value.sightings:
                if sighting.run.run_id in watch.active and not sighting.run.finished:
                    watch.saw(sighting.run, clock())
                    seen.add(sighting.run.run_id)
            cursor = reply.value.next_cursor
            if not cursor:
                break
    return seen


def look(
    service: RunService,
    run_ids: Iterable[RunId],
    pace: Pace,
    clock: Callable[[], float],
    report: Callable[[str], None],
) -> Flow[Waited | None]:
    """Look once at every run; None while something is still to be waited for."""
    ids = dict.fromkeys(run_ids)
    watch = _Watch(service, pace, dict(ids), dict.fromkeys(ids, clock()))
    yield from _round(watch, clock)
    report(progress_line(watch.results.values(), len(ids)))
    if watch.fault:
        report(f"{service.vendor} did not answer ({watch.fault.message}).")
    return _over(watch, clock())
