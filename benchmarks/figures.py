"""Arithmetic for the benchmark."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile by the nearest-rank method: the smallest value that `percent` % of the values do not exceed.

    :raises ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def ratio(ours: float, theirs: float) -> float:
    """How many times as much theirs is as ours; infinite if only ours is zero."""
    if ours == 0:
        return math.inf if theirs else 1.0
    return theirs / ours
