"""The bounds of one exchange with a service: the time for all of it, and the size of its head.

An exchange is the current one of its thread or task. The network layer asks for its bounds at each step, because
httpx's own time-outs start anew with every byte and do not cover name resolution.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

#: Bytes of status lines and headers, interim answers (1xx) included. Servers send a few KB, nginx allows 32 KB.
MAX_HEAD_BYTES: Final = 32 * 1024
#: httpcore parses interim answers at 5 µs per byte, without a turn of the loop: 20 ms for a piece of this size.
_HEAD_PIECE: Final = 4 * 1024
#: Seconds after which an event loop gets a turn, between two pieces of a body.
_TURN: Final = 0.01


class Exchange:
    """The time and the head that one exchange may use.

    :param total: seconds from name resolution to the last byte.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        #: Whether a byte of a request may have left: before that, nothing can have started.
        self.sent = False
        self._clock = clock
        self._deadline = clock() + total
        self._turn = clock()
        self._head_left: int | None = MAX_HEAD_BYTES

    def left(self) -> float:
        """Seconds left, 0 when the time is up."""
        return max(0.0, self._deadline - self._clock())

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return self.left() <= 0

    def within(self, timeout: float | None) -> float:
        """The time-out of one step in seconds, cut to what is left of the exchange."""
        return self.left() if timeout is None else min(timeout, self.left())

    def piece(self, size: int) -> int:
        """How many bytes the next read may take at once."""
        return size if self._head_left is None else min(size, _HEAD_PIECE)

    def received(self, count: int) -> bool:
        """Whether the head, with so many bytes more, is still within its limit."""
        if self._head_left is not None:
            self._head_left -= count
        return self._head_left is None or self._head_left >= 0

    def head_complete(self) -> None:
        """Whatever follows is body, which has a limit of its own."""
        self._head_left = None

    async def breathe(self) -> None:
        """Give the event loop a turn, if the last one is a while ago: buffered pieces come without one."""
        if self._clock() - self._turn > _TURN:
            await asyncio.sleep(0)
            self._turn = self._clock()

    @contextmanager
    def current(self) -> Iterator[Exchange]:
        """Make this the exchange of the running thread or task."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)


_CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def current_exchange() -> Exchange | None:
    """The exchange that is going on in this thread or task."""
    return _CURRENT.get()


class _NoRequestLines(logging.Filter):
    """Drops httpx's line per request, which has the whole URL in it, for requests of this package alone."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or current_exchange() is None


# httpx has no switch for it, and a level of that logger would silence other code of the same process too.
logging.getLogger("httpx").addFilter(_NoRequestLines())
