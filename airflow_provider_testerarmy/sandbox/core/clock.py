"""The sandbox's clock: it can run faster than real time, or be advanced by hand."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class SandboxClock:
    """A thread-safe clock that never goes backwards.

    :param speed: sandbox seconds per real second.
    :param manual: stop the clock; only `advance` moves it.
    :param skew: seconds by which this clock is ahead of the machine's (negative: behind).
    :param start: the first reading in epoch seconds, before the skew; None for the machine's time.
    """

    def __init__(
        self, speed: float = 1.0, *, manual: bool = False, skew: float = 0.0, start: float | None = None
    ) -> None:
        self._lock = threading.Lock()
        self._base = (time.time() if start is None else start) + skew
        self._anchor = time.monotonic()
        self._speed = _checked_speed(speed)
        self._manual = manual
        self.skew = skew

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second."""
        return self._speed

    @property
    def manual(self) -> bool:
        """Whether only `advance` moves the clock."""
        return self._manual

    def time(self) -> float:
        """Return the sandbox's time in epoch seconds, to the microsecond."""
        with self._lock:
            return round(self._read(), 6)

    def now(self) -> datetime:
        """Return the sandbox's time as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds` of sandbox time."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        with self._lock:
            self._rebase(self._read() + seconds)

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on."""
        checked = _checked_speed(speed)
        with self._lock:
            self._rebase(self._read())
            self._speed = checked

    def set_manual(self, manual: bool) -> None:
        """Stop the clock, or let it run on from where it stopped."""
        with self._lock:
            self._rebase(self._read())
            self._manual = manual

    def _read(self) -> float:
        if self._manual:
            return self._base
        # Monotonic time, so that an adjustment of the system clock does not move the sandbox's time.
        return self._base + (time.monotonic() - self._anchor) * self._speed

    def _rebase(self, at: float) -> None:
        self._base, self._anchor = at, time.monotonic()


def _checked_speed(speed: float) -> float:
    if not 0 < speed < 1_000_000:
        raise ValueError(f"the speed must be above 0 and below a million, not {speed}")
    return speed
