"""OpenAPI documents in a normal form, so that two of them compare as equal if they say the same."""

from __future__ import annotations

from typing import Any

#: What says nothing of the values that a schema allows.
_PROSE = frozenset({"title", "description", "example", "examples", "default", "deprecated", "discriminator"})


def operations(document: dict[str, Any]) -> dict[str, Any]:
    """The facts of each operation: parameters, body and answers, with all references replaced."""
    schemas = document["components"]["schemas"]
    return {
        f"{method.upper()} {path}": _operation(operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _operation(operation: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": bool(operation.get("security")),
        "parameters": {
            f"{each['in']} {each['name']}": (each.get("required", False), normal(each["schema"], schemas))
            for each in operation.get("parameters", ())
        },
        "body": _content(operation.get("requestBody", {}), schemas),
        "answers": {status: _content(answer, schemas) for status, answer in operation["responses"].items()},
    }


def _content(holder: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return {kind: normal(each["schema"], schemas) for kind, each in holder.get("content", {}).items()}


def normal(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """One schema in normal form."""
    if "$ref" in schema:
        return normal(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "allOf" in schema:
        return _merged([normal(each, schemas) for each in schema["allOf"]])
    found = {name: value for name, value in schema.items() if name not in _PROSE}
    for word in ("anyOf", "oneOf"):
        if word in found:
            return _choice(word, found, schemas)
    if found.get("exclusiveMinimum") is True:
        # Only integers have it, for which "more than 0" is "at least 1".
        found["minimum"] += 1
        del found["exclusiveMinimum"]
    if "enum" in found:
        found["enum"] = sorted({each for each in found["enum"] if each is not None}, key=str)
    if found.get("properties") == {}:
        del found["properties"]
    if "properties" in found:
        found["properties"] = {name: normal(each, schemas) for name, each in found["properties"].items()}
    if "required" in found:
        found["required"] = sorted(found["required"])
    if "items" in found:
        found["items"] = normal(found["items"], schemas)
    return found


def _choice(word: str, schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found = [normal(each, schemas) for each in schema[word]]
    alternatives = [each for each in found if each != {"nullable": True}]
    nullable = len(alternatives) < len(found) or schema.get("nullable", False)
    if len(alternatives) == 1:
        return alternatives[0] | ({"nullable": True} if nullable else {})
    return {word: alternatives, "nullable": nullable}


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in parts:
        merged["properties"] |= part["properties"]
        merged["required"] += part.get("required", [])
    return {**merged, "required": sorted(merged["required"])}
