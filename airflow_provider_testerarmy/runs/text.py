"""Remote text made fit for one line of a log, a reason or an XCom."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_SPACE: Final = re.compile(r"\s+")


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line: control and direction characters out, at most ``limit`` characters.

    A test's title or an agent's description is written by others, and may hold anything.
    """
    flat = _SPACE.sub(" ", text[: 4 * limit])
    shown = "".join(
        char for char in flat if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co"}
    ).strip()
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def plural(count: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def name_runs(run_ids: Iterable[object], limit: int = 5) -> str:
    """``2 runs (a, b)``, with at most ``limit`` of the ids."""
    ids = [str(run_id) for run_id in run_ids]
    return f"{plural(len(ids), 'run')} ({', '.join(ids[:limit])}{', ...' if len(ids) > limit else ''})"
