"""Threads for file reads that may never return, so that a hung mount or object store blocks no other request."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

#: Threads per process, reads at a time per place (a mount or a bucket), and the time-out of one read in seconds.
THREADS: Final = 8
PER_PLACE: Final = 3
SECONDS: Final = 10.0


class Readers:
    """A bounded pool of daemon threads; a process that exits does not wait for them.

    Python cannot stop a thread. So after a read has timed out, its place is not read again until that read returns.
    """

    def __init__(self, threads: int = THREADS, per_place: int = PER_PLACE, seconds: float = SECONDS) -> None:
        self._threads = threads
        self._per_place = per_place
        self._seconds = seconds
        self._started = 0
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._stuck: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def read(self, place: str, work: Callable[[], T], otherwise: T) -> T:
        """Return `work()`, or `otherwise` if it times out or if its place or the whole pool is stuck.

        :param place: the unit that hangs as a whole, such as a mount or a bucket.
        """
        turns = self._turns.setdefault(place, asyncio.Semaphore(self._per_place))
        try:
            async with asyncio.timeout(self._seconds):
                async with turns:
                    return await self._one(place, work, otherwise)
        except TimeoutError:
            return otherwise

    async def _one(self, place: str, work: Callable[[], T], otherwise: T) -> T:
        with self._lock:
            if self._stuck[place] or self._stuck.total() >= self._threads:
                return otherwise
            # Threads are started on demand, up to the limit.
            if self._started < self._threads:
                self._started += 1
                threading.Thread(target=self._work, name="test-run-files", daemon=True).start()
        job: Future[T] = Future()
        self._waiting.put((job, work))
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            self._mark_stuck(place, job)
            raise

    def _mark_stuck(self, place: str, job: Future[Any]) -> None:
        if job.cancel() or job.done():
            return
        with self._lock:
            self._stuck[place] += 1

        def release(_: Future[Any]) -> None:
            with self._lock:
                self._stuck[place] -= 1
                self._stuck += Counter()

        job.add_done_callback(release)

    def _work(self) -> None:
        while True:
            job, work = self._waiting.get()
            if not job.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            # The caller gets the exception, whatever it is; this thread goes on to the next read.
            except BaseException as error:
                job.set_exception(error)
            else:
                job.set_result(result)
