"""Values as users and templates give them: nothing in words, lists as text, lists in lists."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

#: What a template renders a missing or null value to.
NOTHING: Final = frozenset({"", "none", "null", "undefined"})

#: How Python writes the empty set and the types whose text is not a literal.
_WRAPPERS: Final = re.compile(r"\b(?:frozenset|set|UUID)\(([^()]*)\)")


def is_nothing(value: object) -> bool:
    """Whether a value is None, or the text that a template makes of it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)


def given(value: Any) -> Any:
    """The value, or None when :func:`is_nothing` is true of it."""
    return None if is_nothing(value) else value


def listed(value: object) -> list[Any]:
    """The items of a value: one id, a collection however nested or lazy, or text that was made of either.

    Text may be JSON, Python's way to write a collection, or items with commas. What stands for nothing is left
    out. A mapping is one item: it is for the caller to say what it means.
    """
    return list(_items(value))


def _items(value: object) -> Iterator[Any]:
    if isinstance(value, str):
        yield from _from_text(value.strip())
    elif isinstance(value, Iterable) and not isinstance(value, Mapping | bytes | bytearray):
        for item in value:
            yield from _items(item)
    elif value is not None:
        yield value


def _from_text(text: str) -> Iterator[Any]:
    plain = text
    while (unwrapped := _WRAPPERS.sub(r"\1", plain)) != plain:
        plain = unwrapped
    if plain[:1] in ("[", "(", "{"):
        found = literal(plain)
        if found is not None:
            yield from _items(found)
            return
        plain = plain.strip("[](){}")
    for part in plain.split(","):
        item = part.strip().strip("'\"").strip()
        if not is_nothing(item):
            yield item


def literal(text: str) -> Any:
    """What JSON or Python reads in text, None where neither reads anything."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return read(text)
    return None
