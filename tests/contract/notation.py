"""The notation of ``resources/*.yaml``, and what it says as OpenAPI 3.0 schemas.

=====================  ==========================================================================
notation               meaning
=====================  ==========================================================================
``text``               any text; ``text 1..255`` has 1 to 255 characters; ``text ^a$`` matches
``uuid, uri, time``    text of that format; a ``file`` is bytes
``integer 1..``        an integer of at least 1; ``number`` and ``boolean`` likewise
``object``             an object with any fields; ``null``
``web | mobile``       one of these words; ``text | null`` is text or null
``Run``                a shape: a capital letter begins its name
``[Run, 1..50]``       a list of 1 to 50 runs
``name?: text``        a field that may be absent; without the question mark it is required
``$closed: true``      the object has no other fields
``$extends: Test``     the fields of a shape, and these
``any of``, ``one of`` alternatives
=====================  ==========================================================================
"""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]

_FORMATS = {"uuid": "uuid", "uri": "uri", "time": "date-time", "file": "binary"}
_PLAIN = frozenset({"text", "integer", "number", "boolean", "object", "null", *_FORMATS})
_CHOICES = {"any of": "anyOf", "one of": "oneOf"}
_RANGE = re.compile(r"(\d*)\.\.(\d*)")


def schema_of(node: Any) -> Schema:
    """The schema of one node of a resource file.

    :raises ValueError: for a node that the notation does not have.
    """
    if isinstance(node, int):
        return {"type": "boolean" if isinstance(node, bool) else "number", "enum": [node]}
    if node is None:
        return {"nullable": True}
    if isinstance(node, str):
        return _of_text(node)
    if isinstance(node, list):
        bounds = _bounds(node[1], "Items") if len(node) > 1 else {}
        return {"type": "array", "items": schema_of(node[0]), **bounds}
    if isinstance(node, dict):
        return _of_mapping(node)
    raise ValueError(f"unknown notation: {node!r}")


def _of_mapping(node: dict[str, Any]) -> Schema:
    for word, key in _CHOICES.items():
        if word in node:
            return {key: [schema_of(each) for each in node[word]]}
    fields = {name: value for name, value in node.items() if not name.startswith("$")}
    schema: Schema = {
        "type": "object",
        "properties": {name.removesuffix("?"): schema_of(value) for name, value in fields.items()},
    }
    if required := [name for name in fields if not name.endswith("?")]:
        schema["required"] = required
    if node.get("$closed"):
        schema["additionalProperties"] = False
    return {"allOf": [schema_of(node["$extends"]), schema]} if "$extends" in node else schema


def _of_text(text: str) -> Schema:
    # A pattern may contain a bar, so it is not split.
    kind, _, detail = text.partition(" ")
    if kind == "text" and detail.startswith("^"):
        return {"type": "string", "pattern": detail}
    parts = [part.strip() for part in text.split("|")]
    nullable: Schema = {"nullable": True} if "null" in parts[1:] else {}
    words = [part for part in parts if part != "null"]
    if len(words) == 1 and (plain := _plain(words[0])) is not None:
        return plain | nullable
    return {"type": "string", "enum": [*words, None] if nullable else words} | nullable


def _plain(text: str) -> Schema | None:
    """The schema of a type or a shape; None for a word of an enumeration."""
    kind, _, detail = text.partition(" ")
    if text[0].isupper():
        return {"$ref": f"#/components/schemas/{text}"}
    if kind not in _PLAIN:
        return None
    if kind in _FORMATS:
        return {"type": "string", "format": _FORMATS[kind]}
    if kind == "object":
        return {"type": "object", "additionalProperties": {"nullable": True}}
    if kind == "text":
        return {"type": "string", **_bounds(detail, "Length")}
    return {"type": kind, **_bounds(detail, "imum")}


def _bounds(text: str, unit: str) -> Schema:
    if not text:
        return {}
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"not a range: {text!r}")
    ends = {f"min{unit}": found[1], f"max{unit}": found[2]}
    return {name: int(value) for name, value in ends.items() if value}
