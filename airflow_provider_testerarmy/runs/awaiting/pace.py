"""When to look at runs again, and how many requests per second that may cost; the clock is passed in."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

#: The first pauses are this share of the time waited so far, until ``poll_interval`` is reached.
EAGERNESS: Final = 0.2
#: After a refusal a rate is this share of what the service accepted of late, and at least so many per second.
GIVE_WAY: Final = 0.8
SLOWEST: Final = 0.5
#: A good answer gives back this share of the full rate, or of so many requests per second where there is none.
RECOVERY: Final = 0.01
UNTOLD: Final = 20.0
#: Near the rate at which the service refused last, a good answer gives back this share of that only.
CAREFUL: Final = (0.75, 0.03)
#: This much of a request counts as a whole one: clocks round, and nobody should wake up for the rest of it.
NEARLY: Final = 0.999


@dataclass(frozen=True, slots=True)
class Pace:
    """How a wait is paced.

    :param poll_interval: seconds between two looks once the runs are no longer young.
    :param max_outage: seconds without one good answer about a run after which the wait ends.
    :param deadline: the absolute time (seconds since the epoch) at which the wait ends, None for never.
    """

    poll_interval: float = 10.0
    max_outage: float = 600.0
    deadline: float | None = None

    def next_pause(
        self, waited: float, now: float, *, retry_after: float = 0.0, jitter: float | None = None
    ) -> float:
        """Seconds until the next look: short at first, with jitter, never past the deadline.

        :param waited: seconds since the wait began.
        :param retry_after: seconds that the service asked for; they are a minimum, up to ``max_outage``.
        :param jitter: -1 to 1, drawn at random when None.
        """
        seconds = max(
            next_pause(self.poll_interval, waited, jitter=jitter), min(retry_after, self.max_outage)
        )
        return seconds if self.deadline is None else max(0.0, min(seconds, self.deadline - now))


def next_pause(poll_interval: float, waited: float, *, jitter: float | None = None) -> float:
    """Seconds until the next poll: short at first, then ``poll_interval``, and up to a tenth more or less.

    :param waited: seconds since the wait began.
    :param jitter: -1 to 1, drawn at random when None.
    """
    spread = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311
    eager = max(min(1.0, poll_interval), min(poll_interval, EAGERNESS * waited))
    return eager * (1 + 0.1 * spread)


class Rate:
    """A cap on requests per second that gives way when the service asks for less.

    At the full rate it saves up to one second's worth of requests; below it none, because a burst after a pause
    is what gets refused. A refusal (429) sets it below what the service accepted, good answers restore it.

    :param per_second: the full rate, None for no cap until the service refuses for the first time.
    """

    def __init__(self, per_second: float | None = None) -> None:
        self._full = math.inf if per_second is None else per_second
        self._current = self._full
        self._ceiling = 0.0
        self._saved = self._most()
        self._counted = -math.inf
        self._refused_at = -math.inf
        self._second = -math.inf
        self._sent = self._good = (0, 0)

    def take(self, now: float, wanted: int) -> int:
        """How many of the wanted requests may be sent now; they count as sent."""
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
        """When the next request may be sent."""
        self._save(now)
        return now if self._saved >= NEARLY else now + (1 - self._saved) / self._current

    def refused(self, asked: float | None = None) -> None:
        """The service answered that there were too many requests.

        :param asked: when the refused request was sent. Those that were under way together are one refusal.
        """
        if asked is not None and asked <= self._refused_at:
            return
        recent = max(*self._good, 0) or max(self._sent) / 2
        self._ceiling = min(self._current, max(recent, 2 * SLOWEST))
        self._current = max(SLOWEST, GIVE_WAY * self._ceiling)
        self._saved = 0.0
        self._refused_at = self._counted

    def accepted(self) -> None:
        """The service answered."""
        self._good = (self._good[0] + 1, self._good[1])
        if self._current < self._full:
            near, share = CAREFUL
            careful = near * self._ceiling <= self._current <= self._ceiling / near
            gain = RECOVERY * min(self._full, UNTOLD) * (share if careful else 1)
            self._current = min(self._full, self._current + gain)

    def _most(self) -> float:
        return max(1.0, self._current) if self._current == self._full else 1.0

    def _save(self, now: float) -> None:
        if now > self._counted and not math.isinf(self._current):
            gained = (now - self._counted) * self._current if math.isfinite(self._counted) else math.inf
            self._saved = min(self._most(), self._saved + gained)
        self._counted = max(now, self._counted)
