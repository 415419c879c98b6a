"""The poll interval and the request rate; callers pass the time."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

#: The first intervals are this share of the time waited so far, until ``poll_interval`` is reached.
FIRST_INTERVALS: Final = 0.2
#: After a 429, the rate is this share of the rate that the service accepted recently.
SLOW_DOWN: Final = 0.8
#: The minimum rate in requests per second.
SLOWEST: Final = 0.5
#: Each successful request raises the rate by this share of the full rate.
RECOVERY: Final = 0.01
#: The rate in requests per second that takes the place of the full rate if there is no cap.
UNCAPPED: Final = 20.0
#: The rate in requests per second to which a service with much room raises a rate that grows.
MOST: Final = 100.0
#: Within this factor of the rate at which the last 429 came, the raise is multiplied by the second number.
CAREFUL: Final = (0.75, 0.03)
#: This much of a request counts as a whole one. Timers round, and waking up again for the rest would be wasteful.
NEARLY: Final = 0.999


@dataclass(frozen=True, slots=True)
class Pace:
    """The timing of a wait.

    :param poll_interval: seconds between two polls of a run (shorter at first).
    :param max_outage: seconds without a successful request for a run after which the wait ends.
    :param deadline: the absolute time (seconds since the epoch) at which the wait ends; None for never.
    :param stop_at: the number of failed runs at which the wait ends, although others are active; None for never.
    """

    poll_interval: float = 10.0
    max_outage: float = 600.0
    deadline: float | None = None
    stop_at: int | None = None

    def next_pause(
        self, waited: float, now: float, *, retry_after: float = 0.0, jitter: float | None = None
    ) -> float:
        """Seconds until the next poll: short at first, with jitter, never past the deadline.

        :param waited: seconds since the wait began.
        :param now: seconds since the epoch.
        :param retry_after: the minimum in seconds that the service asked for; capped at ``max_outage``.
        :param jitter: -1 to 1; random if None.
        """
        seconds = max(
            next_pause(self.poll_interval, waited, jitter=jitter), min(retry_after, self.max_outage)
        )
        return seconds if self.deadline is None else max(0.0, min(seconds, self.deadline - now))


def next_pause(poll_interval: float, waited: float, *, jitter: float | None = None) -> float:
    """Seconds until the next poll: short at first, then ``poll_interval``, with a jitter of up to 10 %.

    :param waited: seconds since the wait began.
    :param jitter: -1 to 1; random if None.
    """
    spread = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311
    eager = max(min(1.0, poll_interval), min(poll_interval, FIRST_INTERVALS * waited))
    return eager * (1 + 0.1 * spread)


class Rate:
    """A token bucket for requests per second, which adapts to the service's rate limit.

    A 429 sets the rate below what the service accepted; successful requests raise it again. The full rate allows
    bursts of one second's worth of requests. A lower rate allows none, because bursts after a pause cause 429s.

    :param per_second: the full rate; None for no cap until the first 429.
    :param grows: whether the full rate is raised while the service says that it has room.
    """

    def __init__(self, per_second: float | None = None, *, grows: bool = False) -> None:
        self._least = self._full = math.inf if per_second is None else per_second
        self._grows = grows
        self._current = self._full
        self._ceiling = 0.0
        self._saved = self._most()
        self._counted = -math.inf
        self._refused_at = -math.inf
        self._second = -math.inf
        self._sent = self._good = (0, 0)

    def take(self, now: float, wanted: int) -> int:
        """The number of requests that may be sent now, at most ``wanted``; they count as sent."""
        self._save(now)
        granted = wanted if math.isinf(self._saved) else min(wanted, int(self._saved / NEARLY))
        self._saved = max(0.0, self._saved - granted)
        if now - self._second >= 1:
            recent = now - self._second < 2
            self._second = now
            self._sent = (0, self._sent[0] if recent else 0)
            self._good = (0, self._good[0] if recent else 0)
        self._sent = (self._sent[0] + granted, self._sent[1])
        return granted

    def ready_at(self, now: float) -> float:
        """The time from which the next request may be sent."""
        self._save(now)
        return now if self._saved >= NEARLY else now + (1 - self._saved) / self._current

    def refused(self, asked: float | None = None) -> None:
        """Record a 429.

        :param asked: when the request was sent. Several 429s for requests in flight together count once.
        """
        if asked is not None and asked <= self._refused_at:
            return
        recent = max(*self._good, 0) or max(self._sent) / 2
        self._ceiling = min(self._current, max(recent, 2 * SLOWEST))
        self._current = max(SLOWEST, SLOW_DOWN * self._ceiling)
        self._saved = 0.0
        self._refused_at = self._counted

    def allowed(self, per_second: float | None) -> None:
        """Record the rate that the service still allows, None if the response did not say.

        A high rate raises the full rate, up to :data:`MOST`. A low one does not reduce it: a 429 does that.
        """
        if not self._grows:
            return
        full = max(self._least, min(MOST, SLOW_DOWN * (per_second or 0.0)))
        if self._current == self._full or self._current > full:
            self._current = full
        self._full = full

    def accepted(self) -> None:
        """Record a successful request."""
        self._good = (self._good[0] + 1, self._good[1])
        if self._current < self._full:
            near, share = CAREFUL
            careful = near * self._ceiling <= self._current <= self._ceiling / near
            gain = RECOVERY * min(self._full, UNCAPPED) * (share if careful else 1)
            self._current = min(self._full, self._current + gain)

    def _most(self) -> float:
        return max(1.0, self._current) if self._current == self._full else 1.0

    def _save(self, now: float) -> None:
        if now > self._counted and not math.isinf(self._current):
            gained = (now - self._counted) * self._current if math.isfinite(self._counted) else math.inf
            self._saved = min(self._most(), self._saved + gained)
        self._counted = max(now, self._counted)
