"""The facts of ``resources/*.yaml`` as operations, and as one OpenAPI 3.0 document."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.contract.notation import Schema, schema_of

RESOURCES = Path(__file__).parent / "resources"
#: What the paths of the vendor's document begin with.
PREFIX = "/v1"
_JSON = "application/json"


@dataclass(frozen=True)
class Call:
    """One operation of the API.

    :param resource: the file that describes it.
    :param key: whether it needs an API key.
    :param published: whether the vendor's OpenAPI document has it; its reference pages have the others.
    :param answers: the schema of each success, and of errors with more fields than code and text.
    :param errors: the statuses of errors that have only code and text.
    """

    name: str
    resource: str
    method: str
    path: str
    key: bool = True
    published: bool = True
    path_parameters: dict[str, Schema] = field(default_factory=dict)
    query: dict[str, Schema] = field(default_factory=dict)
    required_query: tuple[str, ...] = ()
    body: Schema | None = None
    form: Schema | None = None
    answers: dict[int, Schema] = field(default_factory=dict)
    errors: tuple[int, ...] = ()


@cache
def calls() -> dict[str, Call]:
    """All operations by name."""
    found = {}
    for path in sorted(RESOURCES.glob("*.yaml")):
        for name, facts in yaml.safe_load(path.read_text())["operations"].items():
            found[name] = _call(name, path.stem, facts)
    return found


def _call(name: str, resource: str, facts: dict[str, Any]) -> Call:
    method, path = facts["call"].split(" ")
    query = facts.get("query", {})
    return Call(
        name,
        resource,
        method,
        path,
        key=facts.get("key", True),
        published=facts.get("published", True),
        path_parameters={each: schema_of(kind) for each, kind in facts.get("path", {}).items()},
        query={each.removesuffix("?"): schema_of(kind) for each, kind in query.items()},
        required_query=tuple(each for each in query if not each.endswith("?")),
        body=schema_of(facts["body"]) if "body" in facts else None,
        form=schema_of(facts["form"]) if "form" in facts else None,
        answers={status: schema_of(kind) for status, kind in facts["answers"].items()},
        errors=tuple(facts["errors"]),
    )


@cache
def shapes() -> dict[str, Schema]:
    """All named schemas."""
    found: dict[str, Schema] = {}
    for path in sorted(RESOURCES.glob("*.yaml")):
        for name, node in yaml.safe_load(path.read_text()).get("shapes", {}).items():
            if name in found:
                raise ValueError(f"two files describe {name}")
            found[name] = schema_of(node)
    return found


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.0 document that these facts make."""
    paths: dict[str, Any] = {}
    for call in calls().values():
        paths.setdefault(PREFIX + call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.0.3",
        "info": {"title": "TesterArmy", "version": "facts"},
        "servers": [{"url": "https://tester.army/api"}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": shapes(),
        },
        "paths": paths,
    }


def _operation(call: Call) -> dict[str, Any]:
    places = [("path", name, True, schema) for name, schema in call.path_parameters.items()]
    places += [("query", name, name in call.required_query, schema) for name, schema in call.query.items()]
    operation: dict[str, Any] = {
        "operationId": call.name,
        "security": [{"key": []}] if call.key else [],
        "parameters": [
            {"in": place, "name": name, "required": required, "schema": schema}
            for place, name, required, schema in places
        ],
        "responses": {
            str(status): {"description": "", "content": {_JSON: {"schema": schema}}}
            for status, schema in sorted({**_errors(call), **call.answers}.items())
        },
    }
    if call.body is not None:
        operation["requestBody"] = {"content": {_JSON: {"schema": call.body}}}
    if call.form is not None:
        operation["requestBody"] = {"content": {"multipart/form-data": {"schema": call.form}}}
    return operation


def _errors(call: Call) -> dict[int, Schema]:
    return dict.fromkeys(call.errors, schema_of({"error": "text", "message": "text"}))
