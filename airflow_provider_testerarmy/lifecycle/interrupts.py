"""Signal handling: which work a signal may interrupt and which it must let finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupted(BaseException):
    """The task must stop. Not an ``Exception``, so that no ``except Exception`` on the way catches it."""


class Interrupts:
    """Lets ``on_kill`` interrupt a wait at once, and all other work only after it is complete.

    Airflow calls ``on_kill`` from its SIGTERM handler, and the task continues afterwards (measured; see also
    https://github.com/apache/airflow/pull/73395). An interrupted submission would lose its answer. An interrupted
    message to Airflow's supervisor would corrupt the next one, because both share one socket.
    """

    def __init__(self) -> None:
        self._stop_requested = False
        self._waiting = False

    def kill(self) -> None:
        """Request that the task stops.

        :raises Interrupted: at once if the task is waiting; otherwise the next :meth:`check` raises it.
        """
        self._stop_requested = True
        if self._waiting:
            # A second signal must not interrupt the cleanup that this one starts.
            self._waiting = False
            raise Interrupted

    @property
    def can_cut_off(self) -> bool:
        """Whether a kill interrupts the current work at once."""
        return self._waiting

    def check(self) -> None:
        """Stop here if a stop was requested.

        :raises Interrupted: if it was.
        """
        if self._stop_requested:
            raise Interrupted

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that a signal may interrupt anywhere."""
        self.check()
        outer, self._waiting = self._waiting, True
        try:
            yield
        finally:
            # After a kill the flag stays off, also for the blocks around this one.
            self._waiting = outer and self._waiting

    def sleep(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait for this many seconds, or until a stop is requested."""
        with self.waiting():
            sleep(seconds)
