"""The latest hints of all connections as one bounded text, which API servers write and triggerers read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.hints import KEY_LENGTH

#: The maximum number of hints. With their times, they are about 40 KiB of JSON.
MOST: Final = 1500
#: Seconds for which a hint is kept.
KEPT: Final = 120.0
#: Seconds within which the same hint counts as one.
SAME: Final = 1.0

_KEY: Final = re.compile(rf"[A-Za-z0-9_-]{{{KEY_LENGTH}}}")


def parse_ring(text: str | None) -> dict[str, float]:
    """The hints and when they came, oldest first. A text that is not a ring counts as empty."""
    try:
        found: Any = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, Mapping):
        return {}
    kept = {key: at for key, at in list(found.items())[-MOST:] if _KEY.fullmatch(key) and _is_time(at)}
    return dict(sorted(kept.items(), key=lambda item: item[1]))


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def add_to_ring(text: str | None, keys: Iterable[str], now: float) -> str:
    """The ring with more hints, and without old ones.

    :param now: seconds since the epoch.
    """
    ring = {key: at for key, at in parse_ring(text).items() if abs(now - at) <= KEPT}
    for key in keys:
        # The clocks of two API servers may differ.
        if abs(now - ring.get(key, -math.inf)) >= SAME:
            ring.pop(key, None)
            ring[key] = round(now, 1)
    return json.dumps(dict(list(ring.items())[-MOST:]), separators=(",", ":"))


def new_hints(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """The hints that came, or came again, between two readings."""
    return [key for key, at in after.items() if before.get(key) != at]
