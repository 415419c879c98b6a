"""Timestamps as the TesterArmy API writes them: UTC, with milliseconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def iso(moment: float) -> str:
    """Format epoch seconds as the API does: UTC, with milliseconds."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def to_millis(moment: float) -> float:
    """Truncate epoch seconds to whole milliseconds, the precision of the API."""
    return math.floor(round(moment * 1_000_000) / 1000) / 1000
