"""The arithmetic of the benchmark."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent of them do not exceed (nearest rank).

    :raises ValueError: for no values.
    """
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def ratio(ours: float, theirs: float) -> float:
    """How many times as much the other one needs; infinite where ours is nothing and theirs is not."""
    if ours == 0:
        return math.inf if theirs else 1.0
    return theirs / ours
