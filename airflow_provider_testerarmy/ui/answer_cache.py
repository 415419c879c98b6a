"""A small in-memory cache for slow reads; concurrent requests for one key are coalesced."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CoalescingCache(Generic[T]):
    """A size-bounded cache with a time to live; concurrent requests for one key share one read.

    :param size: how many values to keep; the oldest is evicted first.
    :param seconds: how long a value stays valid.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._kept: OrderedDict[object, tuple[float, asyncio.Task[T]]] = OrderedDict()

    async def get(self, key: object, read: Callable[[], Awaitable[T]]) -> T:
        """Return the cached value, or await `read()` and cache its result.

        A read that failed is not cached.
        """
        expires, task = self._kept.get(key, (0.0, None))
        if task is None or expires < time.monotonic() or (task.done() and task.exception() is not None):

            async def run() -> T:
                return await read()

            task = asyncio.ensure_future(run())
            self._kept[key] = (time.monotonic() + self._seconds, task)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        # Shielded: a caller that is cancelled does not cancel the read that others wait for.
        return await asyncio.shield(task)
