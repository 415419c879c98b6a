"""The OpenAPI document for both tools: the vendor's where there is one, else the one that the facts make."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.contract import document
from tests.contract.notation import schema_of

#: Ids that the sandbox knows, by the name of the parameter or the field.
KNOWN = {
    "projectId": [catalog.PROJECT_SHOP, catalog.PROJECT_APP],
    "testId": [catalog.TEST_PASSES, catalog.TEST_MOBILE],
    "groupId": [catalog.GROUP_NIGHTLY],
    "prepTestId": [catalog.TEST_PREPARATION],
    "environmentId": [catalog.ENVIRONMENT_STAGING],
    "projectEnvironmentId": [catalog.ENVIRONMENT_STAGING],
    "appId": [catalog.MOBILE_APP],
}
#: The addresses of webhooks: with anything else they answer 401.
WEBHOOKS = {"/v1/webhook/": catalog.PROJECT_WEBHOOK, "/v1/groups/webhook/": catalog.GROUP_WEBHOOK}


def specification() -> dict[str, Any]:
    """The vendor's document, named by ``TESTERARMY_OPENAPI``, or the one that the facts make."""
    path = os.environ.get("TESTERARMY_OPENAPI")
    found: dict[str, Any] = json.loads(Path(path).read_text()) if path else document.openapi()
    return found


def operations(specification: dict[str, Any]) -> set[str]:
    """The names of the operations in a document, as the facts name them."""
    return {
        name
        for name, call in document.calls().items()
        if call.method.lower() in specification["paths"].get(document.PREFIX + call.path, {})
    }


def for_the_sandbox(specification: dict[str, Any]) -> dict[str, Any]:
    """The document with ids that the sandbox knows, and with what the vendor's document lacks.

    * Ids are known ones or random ones. A deletion gets random ones, so that the account is not empty at once.
    * Any operation may answer an error of the usual form: the vendor's document omits 404 of most changes, 403
      of a key without the right, and 413.
    """
    changed = copy.deepcopy(specification)
    error = {
        "description": "",
        "content": {"application/json": {"schema": schema_of({"error": "text", "message": "text"})}},
    }
    for path, methods in changed["paths"].items():
        for method, operation in methods.items():
            operation["responses"].setdefault("default", error)
            if method == "delete":
                continue
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _with_known(parameter["name"], parameter["schema"], path)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                _add_known(content["schema"])
    return changed


def _add_known(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _add_known(each)
    elif isinstance(schema, dict):
        for name, each in schema.get("properties", {}).items():
            schema["properties"][name] = _with_known(name, each)
        for each in schema.values():
            _add_known(each)


def _with_known(name: str, schema: dict[str, Any], path: str = "") -> dict[str, Any]:
    for start, webhook in WEBHOOKS.items():
        if path.startswith(start):
            only = {"webhookId": webhook, "secret": catalog.WEBHOOK_SECRET}
            return {"type": "string", "enum": [only[name]]}
    if name not in KNOWN or "anyOf" in schema:
        return schema
    return {"anyOf": [{"type": "string", "enum": KNOWN[name]}, schema]}
