"""Threads for reads that may never return: a hung mount or object store holds these, and no other request's."""

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

#: Threads of one process, those of them that one place may hold, and seconds that one read may take.
THREADS: Final = 8
PER_PLACE: Final = 3
SECONDS: Final = 10.0


class Readers:
    """A bounded pool of daemon threads; a process that ends does not wait for them.

    A thread cannot be stopped. So a place with a read that has timed out is not read again until that read returns.
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
        """What the work returns; `otherwise` where it takes too long, or its place or the pool is stuck.

        :param place: what hangs as one, such as a mount or a bucket.
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
            # As many as there are reads that could use one, up to the bound.
            if self._started < self._threads:
                self._started += 1
                threading.Thread(target=self._work, name="test-run-files", daemon=True).start()
        job: Future[T] = Future()
        self._waiting.put((job, work))
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            self._left(place, job)
            raise

    def _left(self, place: str, job: Future[Any]) -> None:
        if job.cancel() or job.done():
            return
        with self._lock:
            self._stuck[place] += 1

        def came_back(_: Future[Any]) -> None:
            with self._lock:
                self._stuck[place] -= 1
                self._stuck += Counter()

        job.add_done_callback(came_back)

    def _work(self) -> None:
        while True:
            job, work = self._waiting.get()
            if not job.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            # Whatever it is, it belongs to whoever waits for the result, and the thread serves the next.
            except BaseException as error:
                job.set_exception(error)
            else:
                job.set_result(result)
