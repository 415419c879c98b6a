"""Waiting for runs in one place: a flow that looks until all have ended, and one that looks once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.watchlist import LAST_LOOK, Subscription, Waited, Watchlist
from airflow_provider_testerarmy.runs.flow import Flow, ask_together, pause
from airflow_provider_testerarmy.runs.results import RunId, progress_line
from airflow_provider_testerarmy.runs.service import RunService, ServiceFault

#: Seconds between two lines of progress while a round of questions is not through.
TELL_EVERY: Final = 5.0
#: Seconds that no wait takes; a run that is to be looked at once is due again after them.
NEVER: Final = 10.0**9


def await_runs(
    service: RunService,
    run_ids: Iterable[RunId],
    pace: Pace,
    clock: Callable[[], float],
    report: Callable[[str], None],
    *,
    width: int = 1,
) -> Flow[Waited]:
    """Wait until every run is finished, or until waiting has no point any more.

    A transient fault never ends the wait by itself. A denied key ends it at once.

    :param clock: seconds since the epoch.
    :param report: takes one line per change of progress.
    :param width: questions that are put together at the most.
    :return: the end, with whole results.
    """
    watch = Watchlist(service, whole=True)
    mine = watch.subscribe(run_ids, pace, clock())
    teller = Teller(service.vendor, watch, mine, report)
    while True:
        yield from _round(watch, mine, clock, width, teller)
        teller.tell(clock())
        if over := watch.over(mine, clock()):
            return over
        teller.tell_of_fault()
        if seconds := watch.pause(clock()):
            yield from pause(seconds)


def look(
    service: RunService,
    run_ids: Iterable[RunId],
    pace: Pace,
    clock: Callable[[], float],
    report: Callable[[str], None],
    *,
    width: int = 1,
) -> Flow[Waited | None]:
    """Look once at every run; None while something is still to be waited for. Parameters as :func:`await_runs`."""
    watch = Watchlist(service, whole=True)
    mine = watch.subscribe(run_ids, replace(pace, poll_interval=NEVER), clock())
    yield from _round(watch, mine, clock, width, None)
    report(progress_line(mine.results.values(), mine.total))
    if fault := watch.fault_of(mine):
        report(f"{service.vendor} did not answer ({fault.message}).")
    return watch.over(mine, clock())


def _round(
    watch: Watchlist, mine: Subscription, clock: Callable[[], float], width: int, teller: Teller | None
) -> Flow[None]:
    """Ask until nothing is due."""
    last = (mine.pace.deadline or NEVER**2) + LAST_LOOK
    while clock() < last and (questions := watch.questions(width, clock())):
        replies = yield from ask_together([question.ask for question in questions])
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, ServiceFault):
                watch.failed(question, reply, clock())
            else:
                watch.answered(question, reply.value, clock())
        if teller and clock() - teller.told_at >= TELL_EVERY:
            teller.tell(clock())


class Teller:
    """Tells somebody who waits how far it is, a line per change, and of an outage once.

    :param report: takes the lines.
    """

    def __init__(
        self, vendor: str, watch: Watchlist, mine: Subscription, report: Callable[[str], None]
    ) -> None:
        self._vendor = vendor
        self._watch = watch
        self._mine = mine
        self._report = report
        self._line = ""
        self._fault = ""
        self.told_at = mine.began

    @property
    def told(self) -> bool:
        """Whether anything has been told yet."""
        return bool(self._line)

    def tell(self, now: float) -> None:
        """Report the progress if it has changed."""
        line = progress_line(self._mine.results.values(), self._mine.total)
        if line != self._line:
            self._report(line)
            self._line, self.told_at = line, now

    def tell_of_fault(self) -> None:
        """Report what keeps the service from answering, if it is something new."""
        fault = self._watch.fault_of(self._mine)
        message = fault.message if fault else ""
        if message and message != self._fault:
            self._report(f"{self._vendor} did not answer ({message}); the wait goes on.")
        self._fault = message
