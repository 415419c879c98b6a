"""Flows for a worker that waits: one polls until all runs have ended, the other polls once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.progress import ProgressReporter
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited
from airflow_provider_testerarmy.runs.awaiting.watchlist import LAST_POLL_WITHIN, Subscription, Watchlist
from airflow_provider_testerarmy.runs.flow import Flow, ask_together, pause
from airflow_provider_testerarmy.runs.results import RunId, progress_line
from airflow_provider_testerarmy.runs.service import RunService, ServiceFault

#: Seconds between two progress lines while the due polls are not complete.
REPORT_EVERY: Final = 5.0
#: A poll interval in seconds that is longer than any wait, so that each run is polled once.
NEVER: Final = 10.0**9
#: Seconds past ``max_outage`` in which a poll still counts; the longest back-off is 15 s plus jitter.
OUTAGE_MARGIN: Final = 16.0


class Clock:
    """The two clocks of a wait.

    :param wall: seconds since the epoch, used only for deadlines.
    :param monotonic: a monotonic clock in seconds; if None, the counterpart of ``wall``.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float] | None = None) -> None:
        self._wall = wall
        self._monotonic = monotonic or (time.monotonic if wall is time.time else wall)

    def now(self, watch: Watchlist) -> float:
        """Monotonic seconds; also tells the watchlist the offset of the wall clock."""
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
    """Wait until every run is finished, or until the wait fails; see :class:`WaitEnd`.

    A single transient fault does not end the wait. A rejected key ends it after it was rejected twice.

    :param clock: the wall clock, in seconds since the epoch.
    :param report: receives one line per change of progress.
    :param width: the maximum number of requests to send together.
    :param monotonic: a monotonic clock in seconds; if None, the system's, or ``clock`` if that is not the system's.
    :return: why the wait ended, with results that have all of their details.
    """
    watch, time_is = Watchlist(service, whole=True), Clock(clock, monotonic)
    mine = watch.subscribe(run_ids, pace, time_is.now(watch))
    reporter = ProgressReporter(service.vendor, watch, mine, report)
    while True:
        yield from _round(watch, mine, time_is, width, reporter)
        now = time_is.now(watch)
        reporter.report_progress(now)
        if over := watch.over(mine, now):
            return over
        reporter.report_fault()
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
    """Poll every run once; returns None if the wait has to continue. Has the parameters of :func:`await_runs`.

    If the key is rejected, it polls again after a few seconds, because a proxy may have sent the response.
    """
    watch, time_is = Watchlist(service, whole=True), Clock(clock, monotonic)
    mine = watch.subscribe(run_ids, replace(pace, poll_interval=NEVER), time_is.now(watch))
    yield from _round(watch, mine, time_is, width, None)
    if watch.suspected:
        yield from pause(watch.pause(time_is.now(watch)))
        yield from _round(watch, mine, time_is, width, None)
    report(progress_line(mine.results.values(), mine.total))
    if fault := watch.fault_of(mine):
        report(f"A request to {service.vendor} failed ({fault.message}).")
    return watch.over(mine, time_is.now(watch))


def _pause(watch: Watchlist, mine: Subscription, now: float) -> float:
    # A Retry-After may end much later than the outage that ends this wait.
    return min(watch.pause(now), max(0.0, watch.outage_ends(mine) + OUTAGE_MARGIN - now))


def _round(
    watch: Watchlist, mine: Subscription, time_is: Clock, width: int, reporter: ProgressReporter | None
) -> Flow[None]:
    """Send requests until none is due, or the time for the last poll has passed."""
    now = time_is.now(watch)
    while now < mine.overdue_since + LAST_POLL_WITHIN and (questions := watch.questions(width, now)):
        replies = yield from ask_together([question.ask for question in questions])
        now = time_is.now(watch)
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, ServiceFault):
                watch.failed(question, reply, now)
            else:
                watch.answered(question, reply.value, now)
        if reporter and now - reporter.reported_at >= REPORT_EVERY:
            reporter.report_progress(now)
