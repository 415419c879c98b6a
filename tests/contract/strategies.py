"""Random values of the contract's schemas."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from tests.contract import document
from tests.contract.notation import Schema

#: Text that JSON can carry.
TEXT = st.characters(codec="utf-8")


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """The values that a schema allows."""
    if "$ref" in schema:
        return values(document.shapes()[schema["$ref"].rpartition("/")[2]])
    if "allOf" in schema:
        return st.tuples(*map(values, schema["allOf"])).map(lambda parts: parts[0] | parts[1])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return st.one_of(*map(values, schema[word]))
    found = _plain(schema)
    return st.none() | found if schema.get("nullable") else found


def _plain(schema: Schema) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "string":
            return _text(schema)
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 10**9))
        case "number":
            return st.floats(0, 1e9)
        case "boolean":
            return st.booleans()
        case "array":
            most = min(schema.get("maxItems", 3), 3)
            return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=most)
        case "object":
            return _object(schema)
    return st.none()


def _text(schema: Schema) -> st.SearchStrategy[str]:
    match schema.get("format"):
        case "uuid":
            return st.uuids(version=4).map(str)
        case "uri":
            return st.uuids().map(lambda each: f"https://example.com/{each}")
        case "date-time":
            return st.datetimes(timezones=st.just(UTC)).map(lambda each: each.isoformat())
        case "binary":
            return st.just("PK")
    most = min(schema.get("maxLength", 30), 30)
    return st.text(TEXT, min_size=schema.get("minLength", 0), max_size=most)


def _object(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" not in schema:
        return st.dictionaries(st.text(TEXT, max_size=5), st.text(TEXT, max_size=5), max_size=2)
    required = set(schema.get("required", ()))
    fields = {name: values(each) for name, each in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name in required},
        optional={name: each for name, each in fields.items() if name not in required},
    )


#: The fields of a run that are objects with any fields.
FREE = ("input", "externalRef")


def grown(value: Any, word: str = uuid.UUID(int=7).hex) -> Any:
    """The value as a later version of the API may send it: every object has one field more.

    The fields of :data:`FREE` are kept as they are: they have any fields.
    """
    if isinstance(value, dict):
        more = {f"new{word}": [{"a": word}]}
        return {name: each if name in FREE else grown(each, word) for name, each in value.items()} | more
    return [grown(each, word) for each in value] if isinstance(value, list) else value
