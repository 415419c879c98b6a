"""How the sandbox writes moments: to the millisecond, in UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def iso(moment: float) -> str:
    """Return epoch seconds as the API writes times: UTC, with milliseconds."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def to_millis(moment: float) -> float:
    """Return the moment cut to whole milliseconds, all that the API can tell."""
    return math.floor(round(moment * 1_000_000) / 1000) / 1000
