"""Recent answers to questions that take a while, each asked once for all who wait for it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """The last few answers to a question that takes a while, each asked once for all who wait for it."""

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._kept: OrderedDict[object, tuple[float, asyncio.Task[T]]] = OrderedDict()

    async def get(self, key: object, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, a recent one if there is one."""
        expires, task = self._kept.get(key, (0.0, None))
        if task is None or expires < time.monotonic() or (task.done() and task.exception() is not None):

            async def asked() -> T:
                return await ask()

            task = asyncio.ensure_future(asked())
            self._kept[key] = (time.monotonic() + self._seconds, task)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        # Whoever leaves does not take the answer from the others.
        return await asyncio.shield(task)
