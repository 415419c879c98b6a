"""The limits of one HTTP exchange: its total time, and the size of the response head.

A context variable holds the current exchange of a thread or asyncio task. The network layer applies its limits at
every step, because httpx has no total timeout: its read timeout restarts with every chunk, and none of its timeouts
covers name resolution (https://github.com/encode/httpx/issues/1450).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

#: The limit in bytes for status lines and headers, including those of interim responses (1xx). A server may send
#: any number of those (RFC 9110, 15.2). Typical heads have a few KB.
MAX_HEAD_BYTES: Final = 32 * 1024
#: The size of one read while the head arrives. httpcore parses interim responses at 5 µs per byte without yielding
#: to the event loop. A read of this size blocks it for 20 ms.
_HEAD_PIECE: Final = 4 * 1024
#: Seconds after which reading a body yields to the event loop.
_TURN: Final = 0.01


class Exchange:
    """The remaining time and head size of one exchange.

    :param total: seconds from name resolution to the last byte.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        #: Whether a byte of the request may have been sent. Until then, the service cannot have started anything.
        self.sent = False
        self._clock = clock
        self._deadline = clock() + total
        self._turn = clock()
        self._head_left: int | None = MAX_HEAD_BYTES

    def left(self) -> float:
        """The remaining seconds; 0 after the deadline."""
        return max(0.0, self._deadline - self._clock())

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.left() <= 0

    def within(self, timeout: float | None) -> float:
        """The timeout of one step in seconds, at most the remaining time."""
        return self.left() if timeout is None else min(timeout, self.left())

    def piece(self, size: int) -> int:
        """The maximum number of bytes for the next read."""
        return size if self._head_left is None else min(size, _HEAD_PIECE)

    def received(self, count: int) -> bool:
        """Count received bytes, and return whether the head is still within its limit."""
        if self._head_left is not None:
            self._head_left -= count
        return self._head_left is None or self._head_left >= 0

    def head_complete(self) -> None:
        """Stop counting: the body follows, which has its own limit."""
        self._head_left = None

    async def yield_to_loop(self) -> None:
        """Yield to the event loop if the last time is more than 10 ms ago; reading buffered chunks never does."""
        if self._clock() - self._turn > _TURN:
            await asyncio.sleep(0)
            self._turn = self._clock()

    @contextmanager
    def current(self) -> Iterator[Exchange]:
        """Make this the current exchange of the running thread or task."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)


_CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def current_exchange() -> Exchange | None:
    """The current exchange of this thread or task, or None."""
    return _CURRENT.get()


class _NoRequestLines(logging.Filter):
    """Drops the log line that httpx writes for each request, for requests of this package only.

    It contains the full URL with its query: https://github.com/encode/httpx/issues/2760
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or current_exchange() is None


# httpx has no option for it. Setting the logger's level would affect other code in the same process.
logging.getLogger("httpx").addFilter(_NoRequestLines())
