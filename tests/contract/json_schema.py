"""OpenAPI 3.0 schemas as JSON Schema, which ``jsonschema`` validates."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import jsonschema

formats = jsonschema.FormatChecker()


@formats.checks("date-time", raises=ValueError)
def is_date_time(value: Any) -> bool:
    """Whether a text is a time with a zone."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@formats.checks("uri")
def is_uri(value: Any) -> bool:
    """Whether a text has a scheme."""
    return not isinstance(value, str) or re.match(r"[a-z]+:\S", value) is not None


def to_json_schema(node: Any, *, closed: bool = True) -> Any:
    """Turn an OpenAPI 3.0 schema into JSON Schema; closed objects have no undeclared fields."""
    if isinstance(node, list):
        return [to_json_schema(item, closed=closed) for item in node]
    if not isinstance(node, dict):
        return node
    if node == {"nullable": True}:
        return {"type": "null"}
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"]}
    open_inside = "allOf" in node
    schema = {
        key: to_json_schema(value, closed=closed and not open_inside)
        for key, value in node.items()
        if key != "nullable"
    }
    if node.get("additionalProperties") == {"nullable": True}:
        schema["additionalProperties"] = True
    elif closed and "properties" in node and node.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    if node.get("nullable") and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


def validator(schema: dict[str, Any], shapes: dict[str, dict[str, Any]]) -> jsonschema.Draft202012Validator:
    """A validator of one schema; shapes that others extend allow further fields."""
    text = str(shapes)
    extended = {name for name in shapes if f"{{'allOf': [{{'$ref': '#/components/schemas/{name}'}}" in text}
    components = {name: to_json_schema(each, closed=name not in extended) for name, each in shapes.items()}
    document = {**to_json_schema(schema), "components": {"schemas": components}}
    return jsonschema.Draft202012Validator(document, format_checker=formats)
