"""One poller for all who wait through one connection in one event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.pace import Pace, Rate
from airflow_provider_testerarmy.runs.awaiting.progress import Teller
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, Question, Subscription, Watchlist
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, Reply, RunService, ServiceFault

#: Seconds between two lines of progress for a waiter, and between two checks for outages.
TELL_EVERY: Final = 1.0
#: Seconds that the poller sleeps at the least and at the most.
NAP: Final = (0.005, 60.0)
#: Waiters that are informed before the event loop has its turn: each of them may write to a log.
AT_A_TIME: Final = 50


class WatcherClosed(RuntimeError):
    """The watcher has ended, as its last waiter left or its poller was cancelled; another one is needed."""


@dataclass(slots=True)
class _Seat:
    """One who waits."""

    future: asyncio.Future[Waited]
    teller: Teller
    #: In which its lines are told: Airflow's triggerer knows by the context whose log a line belongs to.
    context: Context


class Watcher:
    """Waits for runs on behalf of everybody who asks, with one client, as long as somebody waits.

    It belongs to the event loop it is first used in.

    :param service: what is asked.
    :param put: puts a question to it; raises ``ServiceFault``.
    :param close: called once, when the last waiter has left.
    :param per_second: requests per second at the most, None for no cap.
    :param clock: seconds since the epoch, used for deadlines alone.
    :param monotonic: seconds of a clock that is never set, used for everything else.
    :param held_until: until when a ``Retry-After`` of before forbids to ask, in monotonic seconds.
    """

    def __init__(
        self,
        service: RunService,
        put: Callable[[Ask[Any]], Awaitable[Reply[Any]]],
        close: Callable[[], Awaitable[None]],
        *,
        per_second: float | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        held_until: float = -math.inf,
    ) -> None:
        self._service = service
        self._put = put
        self._close = close
        self._clock = clock
        self._monotonic = monotonic
        self._watch = Watchlist(service, rate=Rate(per_second), held_until=held_until)
        self._seats: dict[Subscription, _Seat] = {}
        self._untold: dict[Subscription, None] = {}
        self._swept_at = -math.inf
        self._wake = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        #: Whether it has ended, and nobody can wait here any more.
        self.closed = False

    @property
    def held_until(self) -> float:
        """Until when the service asked not to be asked, in monotonic seconds; it outlives the watcher."""
        return self._watch.held_until

    async def wait(self, run_ids: Iterable[RunId], pace: Pace, report: Callable[[str], None]) -> Waited:
        """Wait until every run is finished, or until waiting has no point any more.

        :param report: takes one line per change of progress.
        :return: the end, with results that tell each run's outcome and no more.
        :raises WatcherClosed: when the watcher has ended, before or meanwhile.
        :raises Exception: whatever the poller died of, or ``report`` raised.
        """
        if self.closed:
            raise WatcherClosed
        mine = self._watch.subscribe(run_ids, pace, self._monotonic())
        future: asyncio.Future[Waited] = asyncio.get_running_loop().create_future()
        teller = Teller(self._service.vendor, self._watch, mine, report)
        self._seats[mine] = _Seat(future, teller, copy_context())
        self._wake.set()
        if self._poller is None:
            # It works for everybody, so what it logs by itself belongs in nobody's log.
            self._poller = asyncio.create_task(self._poll(), context=Context())
            # A task that is cancelled before its first step runs none of its own code.
            self._poller.add_done_callback(self._settle_all)
        try:
            return await future
        finally:
            self._watch.drop(mine)
            del self._seats[mine]
            self._untold.pop(mine, None)
            if not self._seats:
                await self._end()

    async def _end(self) -> None:
        if self.closed and self._poller is None:
            return
        self.closed = True
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.cancel()
            # Who leaves may be cancelled meanwhile; the poller's own end has been told to every waiter.
            with suppress(asyncio.CancelledError):
                await asyncio.wait([poller])
        await self._close()

    def _settle_all(self, poller: asyncio.Task[None]) -> None:
        """Whatever ended the poller, nobody is left waiting for it, and nobody new joins it."""
        self.closed = True
        error = None if poller.cancelled() else poller.exception()
        for seat in self._seats.values():
            if seat.future.done():
                continue
            if isinstance(error, Exception):
                seat.future.set_exception(error)
            else:
                seat.future.set_exception(WatcherClosed("The poller was cancelled; another one is needed."))

    async def _poll(self) -> None:
        asking: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._watch.set_wall_ahead(self._clock() - self._monotonic())
                for question in self._watch.questions(WIDTH - len(asking), self._monotonic()):
                    asking.add(asyncio.create_task(self._ask(question)))
                await self._settle()
                await self._nap(room=len(asking) < WIDTH)
                over = {task for task in asking if task.done()}
                asking -= over
                for task in over:
                    task.result()
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, question: Question) -> None:
        try:
            reply = await self._put(question.ask)
        except ServiceFault as fault:
            self._watch.failed(question, fault, self._monotonic())
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            # An answer so odd that reading it broke is no answer; it must not end the waits of all others.
            odd = ServiceFault(FaultKind.TRANSIENT, f"the answer cannot be read ({type(error).__name__})")
            self._watch.failed(question, odd, self._monotonic())
        else:
            self._watch.answered(question, reply.value, self._monotonic())
        finally:
            self._wake.set()

    async def _nap(self, *, room: bool) -> None:
        """Sleep until something is due, an answer has come or somebody new waits."""
        shortest, longest = NAP
        seconds = self._watch.pause(self._monotonic()) if room else longest
        if self._untold or self._watch.troubled:
            longest = TELL_EVERY
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(seconds, shortest), longest)):
                await self._wake.wait()
        self._wake.clear()

    async def _settle(self) -> None:
        """Tell everybody concerned what is new, and let go whose wait is over."""
        now = self._monotonic()
        self._untold.update(dict.fromkeys(self._watch.news()))
        if self._watch.troubled and now - self._swept_at >= TELL_EVERY:
            self._swept_at = now
            self._untold.update((one, None) for one in self._seats if self._watch.may_be_over(one, now))
        for number, subscription in enumerate(list(self._untold), 1):
            self._settle_one(subscription, now)
            if not number % AT_A_TIME:
                await asyncio.sleep(0)

    def _settle_one(self, subscription: Subscription, now: float) -> None:
        seat = self._seats.get(subscription)
        if seat is None or seat.future.done():
            self._untold.pop(subscription, None)
            return
        over = self._watch.over(subscription, now)
        if over is None and now - seat.teller.told_at < TELL_EVERY and seat.teller.told:
            return
        self._untold.pop(subscription, None)
        try:
            seat.context.run(seat.teller.tell, now)
            if over is None:
                seat.context.run(seat.teller.tell_of_fault)
        except Exception as error:
            # A log that cannot be written to concerns its own task.
            seat.future.set_exception(error)
            return
        if over is not None:
            seat.future.set_result(over)
