"""Being told to stop: what a signal may cut off at this moment, and what it must let finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupted(BaseException):
    """The task was told to stop. Not an ``Exception``, so that nothing on the way takes it for a fault."""


class Interrupts:
    """Lets ``on_kill`` break a wait at once, and anything else only once it is done.

    Airflow calls ``on_kill`` from the handler of SIGTERM and then lets the task go on. Cutting off a submission
    would lose its answer, cutting off a message to Airflow would garble the next one.
    """

    def __init__(self) -> None:
        self._stop_requested = False
        self._waiting = False

    def kill(self) -> None:
        """Tell the task to stop.

        :raises Interrupted: when it is waiting, into what it waits for.
        """
        self._stop_requested = True
        if self._waiting:
            self._waiting = False
            raise Interrupted

    def check(self) -> None:
        """Stop here if the task was told to.

        :raises Interrupted: when it was.
        """
        if self._stop_requested:
            raise Interrupted

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A stretch that may be cut off anywhere."""
        self.check()
        outer, self._waiting = self._waiting, True
        try:
            yield
        finally:
            self._waiting = outer and self._waiting

    def sleep(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait that many seconds, or until told to stop."""
        with self.waiting():
            sleep(seconds)
