"""The clock that everything in the sandbox lives by: faster than real time, or moved by hand."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class SandboxClock:
    """Tell the sandbox's time; it never goes backwards.

    :param speed: sandbox seconds per real second.
    :param manual: stand still unless `advance` is called.
    :param skew: seconds by which this clock is ahead of the machine's (negative: behind).
    :param start: epoch seconds of the first reading, before the skew; default the machine's time.
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
        """Whether time stands still unless `advance` is called."""
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
        """Go on from now at another speed."""
        checked = _checked_speed(speed)
        with self._lock:
            self._rebase(self._read())
            self._speed = checked

    def set_manual(self, manual: bool) -> None:
        """Stop the clock where it stands, or let it go on."""
        with self._lock:
            self._rebase(self._read())
            self._manual = manual

    def _read(self) -> float:
        if self._manual:
            return self._base
        return self._base + (time.monotonic() - self._anchor) * self._speed

    def _rebase(self, at: float) -> None:
        self._base, self._anchor = at, time.monotonic()


def _checked_speed(speed: float) -> float:
    if not 0 < speed < 1_000_000:
        raise ValueError(f"the speed must be above 0 and below a million, not {speed}")
    return speed
