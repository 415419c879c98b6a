"""Normalizes parameter values from users and templates: "None" as text, lists as text, nested lists."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

#: The texts to which a template renders a missing or null value.
NOTHING: Final = frozenset({"", "none", "null", "undefined"})

#: Types whose text is not a Python literal, e.g. ``UUID('...')``; the empty set is ``set()``.
_WRAPPERS: Final = re.compile(r"\b(?:frozenset|set|UUID)\(([^()]*)\)")


def is_nothing(value: object) -> bool:
    """Whether a value is None, or a text to which a template renders a missing value."""
    return value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)


def given(value: Any) -> Any:
    """The value, or None if :func:`is_nothing`."""
    return None if is_nothing(value) else value


def listed(value: object) -> list[Any]:
    """The items of a value: a single id, a nested or lazy collection, or the text of either.

    Text may be JSON, a Python literal or comma-separated. Empty items are dropped. A mapping counts as one item;
    the caller decides what it means.
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
    """The value of a JSON text or a Python literal; None if the text is neither."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return read(text)
    return None
