"""The poller that all waiters of one connection in one event loop share."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.pace import Pace, Rate
from airflow_provider_testerarmy.runs.awaiting.progress import ProgressReporter
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, Question, Subscription, Watchlist
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, Reply, RunService, ServiceFault

#: Seconds between two progress lines of a waiter, and between two checks for outages.
REPORT_EVERY: Final = 1.0
#: The minimum and maximum of seconds that the poller sleeps.
SLEEP: Final = (0.005, 60.0)
#: The number of waiters to inform before yielding to the event loop. Each may write a log line; informing 2,000 at
#: once blocked the loop for 115 ms.
WAITERS_PER_TURN: Final = 50


class WatcherClosed(RuntimeError):
    """The watcher has ended, because its last waiter left or its poller was cancelled. Create another one."""


@dataclass(slots=True)
class _Waiter:
    """A waiter in this event loop."""

    future: asyncio.Future[Waited]
    reporter: ProgressReporter
    #: The waiter's context. Airflow's triggerer keeps in a context variable which task's log a line belongs to.
    context: Context


class Watcher:
    """Polls runs for any number of waiters with one client, until the last waiter or guest leaves.

    It belongs to the event loop in which it is first used.

    :param service: the adapter of the service.
    :param put: sends a request; raises ``ServiceFault``.
    :param close: closes the client; called once, after the last waiter has left.
    :param per_second: the maximum of requests per second; None for no cap.
    :param grows: whether it goes faster while the service says that it has room.
    :param clock: the wall clock in seconds since the epoch, used only for deadlines.
    :param monotonic: a monotonic clock in seconds, used for everything else.
    :param held_until: the time until which an earlier ``Retry-After`` holds, in monotonic seconds.
    """

    def __init__(
        self,
        service: RunService,
        put: Callable[[Ask[Any]], Awaitable[Reply[Any]]],
        close: Callable[[], Awaitable[None]],
        *,
        per_second: float | None = None,
        grows: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        held_until: float = -math.inf,
        lag: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._service = service
        self._put = put
        self._close = close
        self._clock = clock
        self._monotonic = monotonic
        self._lag = lag
        self._rate = Rate(per_second, grows=grows)
        self._watch = Watchlist(service, rate=self._rate, held_until=held_until)
        self._waiters: dict[Subscription, _Waiter] = {}
        self._guests = 0
        self._unreported: dict[Subscription, None] = {}
        self._swept_at = -math.inf
        self._wake = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        #: Whether the watcher has ended and accepts no more waiters.
        self.closed = False

    @property
    def held_until(self) -> float:
        """The time until which ``Retry-After`` forbids requests, in monotonic seconds; also for later watchers."""
        return self._watch.held_until

    def hear(self, keys: Collection[str], scope: str) -> None:
        """Take hints that runs have ended; see :func:`.hints.hint_key`.

        :param scope: the connection; from the first call on, ends without a hint count as missing ones.
        """
        self._watch.hints.scope = scope
        if keys:
            self._watch.hints.receive(keys, self._monotonic())
            self._wake.set()

    def stop_hearing(self) -> None:
        """Poll at the usual interval, because hints cannot be received."""
        self._watch.hints.stop()
        self._wake.set()

    async def wait(
        self, run_ids: Sequence[RunId], pace: Pace, report: Callable[[str], None], batch_id: str = ""
    ) -> Waited:
        """Wait until every run is finished, or until the wait fails; see :class:`WaitEnd`.

        :param report: receives one line per change of progress.
        :param batch_id: the batch of the runs; a hint may name it instead of them.
        :return: why the wait ended; its results have the outcomes, but no details.
        :raises WatcherClosed: if the watcher has ended, before or during the wait.
        :raises Exception: any error of the poller or of ``report``.
        """
        if self.closed:
            raise WatcherClosed
        mine = self._watch.subscribe(run_ids, pace, self._monotonic())
        self._watch.hints.group(batch_id, mine.active)
        future: asyncio.Future[Waited] = asyncio.get_running_loop().create_future()
        reporter = ProgressReporter(self._service.vendor, self._watch, mine, report)
        self._waiters[mine] = _Waiter(future, reporter, copy_context())
        self._wake.set()
        if self._poller is None:
            # The poller works for all waiters. In an empty context, its own log lines go to no task's log.
            self._poller = asyncio.create_task(self._poll(), context=Context())
            # A callback, not a `finally` in _poll: a task that is cancelled before its first step never runs.
            self._poller.add_done_callback(self._settle_all)
        try:
            return await future
        finally:
            self._watch.drop(mine)
            del self._waiters[mine]
            self._unreported.pop(mine, None)
            await self._end_unless_used()

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[Callable[[Ask[Any]], Awaitable[Reply[Any]]]]:
        """Send other requests with this client, and within its rate limit and back-off.

        :return: a function that sends a request; raises ``ServiceFault``, or ``WatcherClosed`` after the end.
        :raises WatcherClosed: if the watcher has ended.
        """
        if self.closed:
            raise WatcherClosed
        self._guests += 1
        try:
            yield self._put_for_guest
        finally:
            self._guests -= 1
            await self._end_unless_used()

    async def _put_for_guest(self, question: Ask[Any]) -> Reply[Any]:
        while not self.closed and (seconds := self._watch.admit(self._monotonic())):  # noqa: ASYNC110
            await asyncio.sleep(min(seconds, SLEEP[1]))
        if self.closed:
            raise WatcherClosed
        asked = self._monotonic()
        try:
            reply = await self._send(question)
        except ServiceFault as fault:
            self._watch.guest_failed(fault, asked, self._monotonic())
            raise
        self._watch.guest_answered()
        return reply

    async def _end_unless_used(self) -> None:
        if not self._waiters and not self._guests:
            await self._end()

    async def _end(self) -> None:
        if self.closed and self._poller is None:
            return
        self.closed = True
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.cancel()
            # The leaving waiter may be cancelled during this wait. The client must be closed nevertheless.
            with suppress(asyncio.CancelledError):
                await asyncio.wait([poller])
        await self._close()

    def _settle_all(self, poller: asyncio.Task[None]) -> None:
        """End all waits after the poller has ended for any reason, and accept no more waiters."""
        self.closed = True
        error = None if poller.cancelled() else poller.exception()
        for waiter in self._waiters.values():
            if waiter.future.done():
                continue
            if isinstance(error, Exception):
                waiter.future.set_exception(error)
            else:
                waiter.future.set_exception(
                    WatcherClosed("The poller was cancelled. Create another watcher.")
                )

    async def _poll(self) -> None:
        asking: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._watch.set_wall_ahead(self._clock() - self._monotonic())
                for question in self._watch.questions(WIDTH - len(asking), self._monotonic()):
                    asking.add(asyncio.create_task(self._ask(question)))
                await self._settle()
                await self._sleep(room=len(asking) < WIDTH)
                over = {task for task in asking if task.done()}
                asking -= over
                for task in over:
                    task.result()
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, question: Question) -> None:
        if question.late is not None:
            self._lag(question.late)
        try:
            reply = await self._send(question.ask)
        except ServiceFault as fault:
            self._watch.failed(question, fault, self._monotonic())
        else:
            self._watch.answered(question, reply.value, self._monotonic())
        finally:
            self._wake.set()

    async def _send(self, ask: Ask[Any]) -> Reply[Any]:
        try:
            reply = await self._put(ask)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            # A response that breaks the parser in an unexpected way must not end the waits of all other tasks.
            raise ServiceFault(
                FaultKind.TRANSIENT, f"the response cannot be read ({type(error).__name__})"
            ) from error
        self._rate.allowed(reply.requests_per_second)
        return reply

    async def _sleep(self, *, room: bool) -> None:
        """Sleep until a request is due, a response has arrived, or a waiter joins."""
        shortest, longest = SLEEP
        seconds = self._watch.pause(self._monotonic()) if room else longest
        if self._unreported or self._watch.troubled:
            longest = REPORT_EVERY
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(seconds, shortest), longest)):
                await self._wake.wait()
        self._wake.clear()

    async def _settle(self) -> None:
        """Report progress to the waiters with changes, and end the waits that have finished."""
        now = self._monotonic()
        self._unreported.update(dict.fromkeys(self._watch.take_changed()))
        if self._watch.troubled and now - self._swept_at >= REPORT_EVERY:
            self._swept_at = now
            self._unreported.update((one, None) for one in self._waiters if self._watch.may_be_over(one, now))
        for number, subscription in enumerate(list(self._unreported), 1):
            self._settle_one(subscription, now)
            if not number % WAITERS_PER_TURN:
                await asyncio.sleep(0)

    def _settle_one(self, subscription: Subscription, now: float) -> None:
        waiter = self._waiters.get(subscription)
        if waiter is None or waiter.future.done():
            self._unreported.pop(subscription, None)
            return
        over = self._watch.over(subscription, now)
        if over is None and now - waiter.reporter.reported_at < REPORT_EVERY and waiter.reporter.has_reported:
            return
        self._unreported.pop(subscription, None)
        try:
            waiter.context.run(waiter.reporter.report_progress, now)
            if over is None:
                waiter.context.run(waiter.reporter.report_fault)
        except Exception as error:
            # If a task's log cannot be written, only that task fails.
            waiter.future.set_exception(error)
            return
        if over is not None:
            waiter.future.set_result(over)
