"""Groups issues by what they say: two that differ only in numbers, ids, times or quoted values are one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

#: Stands for a part that differs between two reports of one fault.
PLACEHOLDER: Final = "\u2026"

_PARTS: Final = (
    # Quoted values, in English, German and French quotation marks. An apostrophe inside a word is none.
    r"\"[^\"]*\"",
    r"[\u201c\u201e][^\u201c\u201d]*[\u201c\u201d]",
    r"\u00ab[^\u00bb]*\u00bb",
    r"`[^`]*`",
    r"(?<!\w)['\u2018][^'\u2019]*['\u2019](?!\w)",
    r"\bhttps?://\S+",
    # Dates with or without a time.
    r"\b\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:z|[+-]\d{2}:?\d{2})?)?",
    # Ids: a UUID, seven or more hexadecimal digits, or words and numbers that dashes join.
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"\b(?=[a-f]*\d)[0-9a-f]{7,}\b",
    r"\b(?=[\w-]*\d)\w+(?:-\w+)+\b",
    # Numbers with their sign, separators and unit.
    r"#?[+-]?(?:[$\u20ac\u00a3\u00a5]\s?)?\d+(?:[.,:/'\u00a0\u202f]\d+)*(?:\s?(?:%|ms|s|min|h|px|\u20ac))?(?!\w)",
    r"\d+",
)
_VARIABLE: Final = re.compile("|".join(_PARTS))


@lru_cache(maxsize=20_000)
def normalized(text: str) -> str:
    """The text in lower case, with its numbers, ids, times, addresses and quoted values as placeholders.

    >>> normalized("Order #4711 took 12.5 s on 2026-11-26") == normalized("order #9 took 3 s on 2026-01-02")
    True
    """
    return " ".join(_VARIABLE.sub(PLACEHOLDER, text.casefold()).split()).rstrip(".!")
