"""Remote text and addresses made fit for a document, and the words that all documents share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from airflow_provider_testerarmy.runs.results import Outcome, RunResult

#: Terminal colours and the like, whose tail would stay as "[31m" without their first character.
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_BREAKS: Final = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
#: What is not for reading: controls, formats (direction marks, zero widths), halves of surrogate pairs, private
#: use, and what Unicode and XML call no character at all.
_UNFIT: Final = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\ud800-\uf8ff\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(1, 0xF))
    + r"\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_BLANK_LINES: Final = re.compile(r"\n\s*\n\s*\n+")
#: Plain ASCII that needs no quoting anywhere; a name before an @ would hide where the link leads.
_HTTPS: Final = re.compile(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:[/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]*)?"
)
#: Characters of the longest address that becomes a link; signed ones are long.
MAX_LINK: Final = 2048
DEFAULT_NAME: Final = "Test runs"


def line(text: object, limit: int = 200) -> str:
    """The text on one line, printable, at most ``limit`` characters."""
    return _cut(" ".join(_printable(str(text)[: 2 * limit]).split()), limit, len(str(text)) > 2 * limit)


def block(text: str, limit: int) -> str:
    """The text with its lines, printable, at most ``limit`` characters; what is cut ends in an ellipsis."""
    shown = _printable(text[: 2 * limit]).strip()
    return _cut(_BLANK_LINES.sub("\n\n", shown), limit, len(text) > 2 * limit)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return _UNFIT.sub("", _BREAKS.sub("\n", _ESCAPES.sub("", text)))


def _cut(text: str, limit: int, more: bool) -> str:
    return text if len(text) <= limit and not more else text[: limit - 1].rstrip() + "…"


def https(url: object) -> str:
    """The address if it can be a link, else nothing: https, no user name, no odd characters."""
    return url if isinstance(url, str) and len(url) <= MAX_LINK and _HTTPS.fullmatch(url) else ""


def took(seconds: float | None) -> str:
    """A duration in words: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``1 h 02 min``; nothing where it is not known."""
    if not known(seconds):
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left:02} min" if hours else f"{minutes} min {rest:02} s"


def known(seconds: float | None) -> TypeGuard[float]:
    """Whether a time is one that a run can have: not negative, not endless, less than a year."""
    return seconds is not None and math.isfinite(seconds) and 0 <= seconds < 365 * 86400


def outcome_of(run: RunResult) -> Outcome:
    """What became of a run; one that is not finished is unknown."""
    return run.outcome if run.finished and run.outcome else Outcome.UNKNOWN


def verdict_of(summary: Mapping[str, Any]) -> str:
    """The verdict as a word."""
    return line(summary.get("verdict") or "not judged", 20)
