"""Sanitizes remote text for log lines, reasons and XComs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_SPACE: Final = re.compile(r"\s+")
#: Control and bidirectional formatting characters except line breaks and tabs, lone surrogates, private-use ones.
#: Bidirectional characters can make text read differently from what it says: https://trojansource.codes
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\uf8ff\ufeff]"
)


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line, without control and formatting characters, truncated to ``limit`` characters.

    Titles and descriptions come from other people and agents. A line break in one could forge a log line.
    """
    flat = _SPACE.sub(" ", text[: 4 * limit])
    if not (flat.isascii() and flat.isprintable()):
        # Looking at each character takes most of the time that a poll of many runs takes; ids and words need none.
        flat = "".join(char for char in flat if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co"})
    shown = flat.strip()
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def prose(text: str, limit: int = 10_000) -> str:
    """The text with line breaks but without other control characters, truncated to ``limit`` characters."""
    shown = _UNSEEN.sub("", text[: limit + 1].replace("\r\n", "\n").replace("\r", "\n"))
    return shown if len(text) <= limit else shown[: limit - 1].rstrip() + "…"


def plural(count: int, noun: str) -> str:
    """For example ``1 run`` or ``2 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def name_runs(run_ids: Iterable[object], limit: int = 5) -> str:
    """For example ``2 runs (a, b)``; shows at most ``limit`` ids."""
    ids = list(run_ids)
    shown = [_id(run_id) for run_id in ids[:limit]]
    return f"{plural(len(ids), 'run')} ({', '.join(shown)}{', ...' if len(ids) > limit else ''})"


def _id(run_id: object) -> str:
    # str() raises an error for an integer of more than 4,300 digits.
    if isinstance(run_id, int) and abs(run_id) >= 10**80:
        return "a number of more than 80 digits"
    return one_line(str(run_id), 80)
