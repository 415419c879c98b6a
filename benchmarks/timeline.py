"""When the awaited runs of a measurement start and end; the server and the evaluation compute the same times."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

#: The share of the runs that end within the window. Real tests take minutes, so fewer of them would end in 25 s.
ENDING = 0.2
#: The minimum number of runs that end, so that there is a delay to measure.
ENDING_AT_LEAST = 5
#: Every tenth run is still in the vendor's queue when the window begins, and leaves it within the window.
QUEUED_EVERY = 10

_SEED = 20_260_711


@dataclass
class Timeline:
    """Starts and ends of the awaited runs 0..count-1, on the monotonic clock that all processes of a machine share.

    No run ends before :meth:`schedule` is called.
    """

    count: int
    starts: list[float] = field(init=False)
    ends: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.starts = [math.inf if number % QUEUED_EVERY == 0 else -math.inf for number in range(self.count)]
        self.ends = [math.inf] * self.count

    def schedule(self, begin: float, end: float, ending: float = ENDING) -> list[int]:
        """Let a share of the runs end within a period, and all queued runs start; return the runs that end.

        The times are random, but the same in every process that makes the same calls.
        """
        draw = random.Random(_SEED + self.count)  # noqa: S311
        active = [number for number in range(self.count) if math.isinf(self.ends[number])]
        wanted = max(math.ceil(ending * self.count), ENDING_AT_LEAST)
        leaving = sorted(draw.sample(active, min(wanted, len(active))))
        for number in leaving:
            self.ends[number] = draw.uniform(begin, end)
        for number in range(0, self.count, QUEUED_EVERY):
            if self.starts[number] == math.inf:
                self.starts[number] = draw.uniform(begin, min(end, self.ends[number]))
        return leaving

    def started(self, number: int, now: float) -> bool:
        """Whether a run has left the queue."""
        return self.starts[number] <= now

    def ended(self, number: int, now: float) -> bool:
        """Whether a run has ended."""
        return self.ends[number] <= now
