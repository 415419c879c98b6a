"""Waiting for runs in one place: a flow that looks until all have ended, and one that looks once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.progress import Teller
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited
from airflow_provider_testerarmy.runs.awaiting.watchlist import LAST_LOOK, Subscription, Watchlist
from airflow_provider_testerarmy.runs.flow import Flow, ask_together, pause
from airflow_provider_testerarmy.runs.results import RunId, progress_line
from airflow_provider_testerarmy.runs.service import RunService, ServiceFault

#: Seconds between two lines of progress while a round of questions is not through.
TELL_EVERY: Final = 5.0
#: Seconds that no wait takes; a run that is to be looked at once is due again after them.
NEVER: Final = 10.0**9
#: Seconds past ``max_outage`` in which the next poll still counts: the longest rest while a service seems down.
PAST: Final = 16.0


class Clock:
    """The two clocks of a wait.

    :param wall: seconds since the epoch, used for deadlines alone.
    :param monotonic: seconds of a clock that is never set; when None, the counterpart of ``wall``.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float] | None = None) -> None:
        self._wall = wall
        self._monotonic = monotonic or (time.monotonic if wall is time.time else wall)

    def now(self, watch: Watchlist) -> float:
        """Monotonic seconds; the watchlist learns how far the wall clock is ahead of them."""
        now = self._monotonic()
        watch.set_wall_ahead(self._wall() - now)
        return now


def await_runs(
    service: RunService,
    run_ids: Iterable[RunId],
    pace: Pace,
    clock: Callable[[], float],
    report: Callable[[str], None],
    *,
    width: int = 1,
    monotonic: Callable[[], float] | None = None,
) -> Flow[Waited]:
    """Wait until every run is finished, or until waiting has no point any more.

    A transient fault never ends the wait by itself. A rejected key ends it when the service says so twice.

    :param clock: seconds since the epoch.
    :param report: takes one line per change of progress.
    :param width: questions that are put together at the most.
    :param monotonic: seconds of a clock that is never set; when None, that of the system, or ``clock`` where that
        is not the system's.
    :return: the end, with whole results.
    """
    watch, time_is = Watchlist(service, whole=True), Clock(clock, monotonic)
    mine = watch.subscribe(run_ids, pace, time_is.now(watch))
    teller = Teller(service.vendor, watch, mine, report)
    while True:
        yield from _round(watch, mine, time_is, width, teller)
        now = time_is.now(watch)
        teller.tell(now)
        if over := watch.over(mine, now):
            return over
        teller.tell_of_fault()
        if seconds := _pause(watch, mine, now):
            yield from pause(seconds)


def look(
    service: RunService,
    run_ids: Iterable[RunId],
    pace: Pace,
    clock: Callable[[], float],
    report: Callable[[str], None],
    *,
    width: int = 1,
    monotonic: Callable[[], float] | None = None,
) -> Flow[Waited | None]:
    """Look once at every run; None while something is still to be waited for. Parameters as :func:`await_runs`.

    When the key is rejected it looks again after some seconds, because a hiccup looks the same.
    """
    watch, time_is = Watchlist(service, whole=True), Clock(clock, monotonic)
    mine = watch.subscribe(run_ids, replace(pace, poll_interval=NEVER), time_is.now(watch))
    yield from _round(watch, mine, time_is, width, None)
    if watch.suspected:
        yield from pause(watch.pause(time_is.now(watch)))
        yield from _round(watch, mine, time_is, width, None)
    report(progress_line(mine.results.values(), mine.total))
    if fault := watch.fault_of(mine):
        report(f"{service.vendor} did not answer ({fault.message}).")
    return watch.over(mine, time_is.now(watch))


def _pause(watch: Watchlist, mine: Subscription, now: float) -> float:
    # A Retry-After may be much longer than the wait.
    return min(watch.pause(now), max(0.0, watch.outage_ends(mine) + PAST - now))


def _round(
    watch: Watchlist, mine: Subscription, time_is: Clock, width: int, teller: Teller | None
) -> Flow[None]:
    """Ask until nothing is due, or the wait is over."""
    now = time_is.now(watch)
    while now < mine.overdue_since + LAST_LOOK and (questions := watch.questions(width, now)):
        replies = yield from ask_together([question.ask for question in questions])
        now = time_is.now(watch)
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, ServiceFault):
                watch.failed(question, reply, now)
            else:
                watch.answered(question, reply.value, now)
        if teller and now - teller.told_at >= TELL_EVERY:
            teller.tell(now)
