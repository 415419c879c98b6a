"""Edits of a real response: one field is missing, null, or written differently.

A path names a value by its keys, e.g. `runs.*.input.prompt`; `*` stands for every item of a list or an object.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = Any
ANY = "*"
_SHIFT = re.compile(r"shift:([+-]?\d+(?:\.\d+)?)")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _other_zone(text: str) -> str:
    moved = _moment(text) + timedelta(hours=5, minutes=30)
    return moved.replace(tzinfo=None).isoformat(timespec="milliseconds") + "+05:30"


#: The named changes; each takes a value and returns the new one.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "no_zone": lambda text: _moment(text).replace(tzinfo=None).isoformat(timespec="milliseconds"),
    "other_zone": _other_zone,
    "whole_seconds": lambda text: _moment(text).isoformat(timespec="seconds").replace("+00:00", "Z"),
    "upper": lambda text: text.upper(),
    "lower": lambda text: text.lower(),
    "strip": lambda text: text.strip(),
    "pad": lambda text: f"  {text}\n",
    "squeeze": lambda text: " ".join(text.split()),
    "text": str,
    "repeat_first": lambda items: [*items, *items[:1]],
    "drop_first": lambda items: items[1:],
    "reverse": lambda items: items[::-1],
}


def change_named(name: str) -> Callable[[Any], Any]:
    """Return the change with this name; `shift:-4` moves a time by that many seconds.

    :raises ValueError: no change has that name.
    """
    if name in CHANGES:
        return CHANGES[name]
    shift = _SHIFT.fullmatch(name)
    if shift is None:
        raise ValueError(f"unknown change {name!r}; use one of {', '.join(CHANGES)}, shift:SECONDS")
    seconds = timedelta(seconds=float(shift[1]))
    return lambda text: _written(_moment(text) + seconds)


def put(document: Json, path: str, value: Json) -> None:
    """Set every place that the path names to a value; the last key may be new."""
    for holder, key in _places(document, path, new=True):
        holder[key] = value


def drop(document: Json, path: str) -> None:
    """Remove every value that the path names."""
    for holder, key in reversed(list(_places(document, path))):
        del holder[key]


def change(document: Json, path: str, name: str) -> None:
    """Change every value that the path names and that is not null."""
    apply = change_named(name)
    for holder, key in _places(document, path):
        if holder[key] is not None:
            holder[key] = apply(holder[key])


def _places(document: Json, path: str, *, new: bool = False) -> Iterator[tuple[Any, Any]]:
    """Return the containers and keys that a path names; branches without the path are skipped."""
    first, _, rest = path.partition(".")
    for key in _keys(document, first, new=new and not rest):
        if rest:
            yield from _places(document[key], rest, new=new)
        else:
            yield document, key


def _keys(holder: Json, key: str, *, new: bool) -> list[Any]:
    if isinstance(holder, list):
        indexes = range(len(holder)) if key == ANY else [int(key)] if key.isdecimal() else []
        return [index for index in indexes if index < len(holder)]
    if not isinstance(holder, dict):
        return []
    if key == ANY:
        return list(holder)
    return [key] if new or key in holder else []
