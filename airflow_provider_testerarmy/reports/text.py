"""Cleans remote texts and URLs for documents, and holds the words that all documents share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from airflow_provider_testerarmy.runs.results import Outcome, RunResult

#: Terminal escape sequences, matched as a whole: without their first character, "[31m" would remain.
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_BREAKS: Final = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
#: Characters that are not for reading: controls, formats (direction marks, zero widths), surrogates, private use,
#: and noncharacters. XML 1.0 forbids some of them even as escapes (https://www.w3.org/TR/xml/#charsets).
_UNFIT: Final = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\ud800-\uf8ff\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(1, 0xF))
    + r"\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_BLANK_LINES: Final = re.compile(r"\n\s*\n\s*\n+")
#: Plain ASCII that needs no quoting anywhere. No user name: in https://bank.example@evil.example it hides the host.
_HTTPS: Final = re.compile(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:[/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]*)?"
)
#: The longest URL, in characters, that becomes a link; signed URLs are long.
MAX_LINK: Final = 2048
DEFAULT_NAME: Final = "Test runs"


def line(text: object, limit: int = 200) -> str:
    """The text on one line, printable, at most ``limit`` characters."""
    return _cut(" ".join(_printable(str(text)[: 2 * limit]).split()), limit, len(str(text)) > 2 * limit)


def block(text: str, limit: int) -> str:
    """The text with its line breaks, printable, at most ``limit`` characters; an ellipsis marks truncation."""
    shown = _printable(text[: 2 * limit]).strip()
    return _cut(_BLANK_LINES.sub("\n\n", shown), limit, len(text) > 2 * limit)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return _UNFIT.sub("", _BREAKS.sub("\n", _ESCAPES.sub("", text)))


def _cut(text: str, limit: int, more: bool) -> str:
    return text if len(text) <= limit and not more else text[: limit - 1].rstrip() + "…"


def https(url: object) -> str:
    """The URL if it is safe to link to (https, no user name, no unusual characters), else an empty string."""
    return url if isinstance(url, str) and len(url) <= MAX_LINK and _HTTPS.fullmatch(url) else ""


def format_duration(seconds: float | None) -> str:
    """A duration as text: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``1 h 02 min``; empty if it is unknown."""
    if not is_valid_time(seconds):
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left:02} min" if hours else f"{minutes} min {rest:02} s"


def is_valid_time(seconds: float | None) -> TypeGuard[float]:
    """Whether a run can have this duration in seconds: finite, not negative, less than a year."""
    return seconds is not None and 0 <= seconds < 365 * 86400


def outcome_of(run: RunResult) -> Outcome:
    """The outcome of a run; unknown if the run is not finished."""
    return run.outcome if run.finished and run.outcome else Outcome.UNKNOWN


def verdict_of(summary: Mapping[str, Any]) -> str:
    """The verdict, or "not judged"."""
    return line(summary.get("verdict") or "not judged", 20)


def issue_label(confirmed: bool, severity: int | None) -> str:
    """The label of an issue, e.g. ``Issue (severity 5)`` or ``Warning (severity 2)``.

    The gate's reasons use the same words; static/dom.js has the same rule for the tab.
    """
    level = "no severity given" if severity is None else f"severity {severity}"
    return f"{'Issue' if confirmed else 'Warning'} ({level})"
