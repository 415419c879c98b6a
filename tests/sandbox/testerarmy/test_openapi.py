from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog

jsonschema = pytest.importorskip("jsonschema")

DOCUMENT = Path(__file__).resolve().parents[3].parent / "shared" / "api" / "testerarmy-openapi.json"
formats = jsonschema.FormatChecker()


@formats.checks("date-time", raises=ValueError)
def is_date_time(value):
    """Whether a text is a time with a zone."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@formats.checks("uri")
def is_uri(value):
    """Whether a text has a scheme."""
    return not isinstance(value, str) or re.match(r"[a-z]+:\S", value) is not None


def to_json_schema(node, *, closed=True):
    """Turn an OpenAPI 3.0 schema into JSON Schema; closed objects have no undeclared fields."""
    if isinstance(node, list):
        return [to_json_schema(item, closed=closed) for item in node]
    if not isinstance(node, dict):
        return node
    if node == {"nullable": True}:
        return {"type": "null"}
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"]}
    keep = {key: value for key, value in node.items() if key not in {"nullable", "exclusiveMinimum"}}
    open_inside = "allOf" in node
    schema = {key: to_json_schema(value, closed=closed and not open_inside) for key, value in keep.items()}
    if node.get("exclusiveMinimum") is True:
        schema["exclusiveMinimum"] = schema.pop("minimum")
    if node.get("additionalProperties") == {"nullable": True}:
        schema["additionalProperties"] = True
    elif closed and "properties" in node and node.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    if node.get("nullable") and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


@pytest.fixture(scope="session")
def openapi():
    """The vendor's OpenAPI document."""
    path = Path(os.environ.get("TESTERARMY_OPENAPI") or DOCUMENT)
    if not path.is_file():
        pytest.skip(f"no OpenAPI document at {path}; name one in TESTERARMY_OPENAPI")
    return json.loads(path.read_text())


@pytest.fixture(scope="session")
def components(openapi):
    """The document's named schemas; those that others extend allow further fields."""
    extended = {"TestDefinition"}
    schemas = openapi["components"]["schemas"]
    return {"schemas": {name: to_json_schema(s, closed=name not in extended) for name, s in schemas.items()}}


@pytest.fixture
def check(openapi, components, api):
    """Call the API and validate the response against the document."""

    def call(method, template, expected, *, path="", **options):
        answer = api.request(method, path or template, **options)
        assert answer.status_code == expected, answer.text
        documented = openapi["paths"][f"/v1{template}"][method.lower()]["responses"].get(str(expected))
        if documented is None:
            # 403, 404 and 405 are not listed everywhere; the envelope is the same.
            schema = {"$ref": "#/components/schemas/ErrorResponse"}
        else:
            schema = to_json_schema(documented["content"]["application/json"]["schema"])
        validator = jsonschema.Draft202012Validator(
            {**schema, "components": components}, format_checker=formats
        )
        validator.validate(answer.json())
        return answer.json()

    return call


CONFORMING_TESTS = [
    catalog.TEST_PASSES,
    catalog.TEST_PASSES_WITH_WARNING,
    catalog.TEST_FAILS,
    catalog.TEST_PASSES_WITH_SEVERE_ISSUE,
    catalog.TEST_BREAKS,
    catalog.TEST_SKIPPED,
    catalog.TEST_CANCELLED,
    catalog.TEST_ENDLESS,
    catalog.TEST_REJECTED,
    catalog.TEST_HOSTILE,
    catalog.TEST_MOBILE,
    catalog.TEST_AUTO_RETRIED,
    catalog.TEST_SPARSE,
    catalog.TEST_NO_OUTPUT,
    catalog.TEST_CUT_EMOJI,
]


@pytest.mark.parametrize("test_id", CONFORMING_TESTS)
def test_runs_conform_at_every_moment(check, sandbox, test_id):
    """A run matches the document while queued, running and finished, alone and in a list."""
    body = {"mode": "fast", "platform": "web"}
    started = check("POST", "/tests/{testId}/runs", 202, path=f"/tests/{test_id}/runs", json=body)
    for seconds in (0, 2, 60):
        sandbox.clock.advance(seconds)
        check("GET", "/runs/{id}", 200, path=f"/runs/{started['runId']}")
        check("GET", "/runs", 200)


def test_prompt_runs_conform(check, api, sandbox):
    """Runs of a prompt have a test plan."""
    run_id = api.post("/runs", json={"prompt": "Look", "webhookUrl": "https://x.example/"}).json()["id"]
    for seconds in (0, 2, 60):
        sandbox.clock.advance(seconds)
        check("GET", "/runs/{id}", 200, path=f"/runs/{run_id}")


@pytest.mark.parametrize("test_id", [catalog.TEST_UNKNOWN_VALUES, catalog.TEST_UNKNOWN_RESULT])
def test_some_runs_break_the_document_on_purpose(check, sandbox, test_id):
    """Scripts with unknown values are excluded, because the document does not allow them."""
    started = check("POST", "/tests/{testId}/runs", 202, path=f"/tests/{test_id}/runs")
    sandbox.clock.advance(60)
    with pytest.raises(jsonschema.ValidationError):
        check("GET", "/runs/{id}", 200, path=f"/runs/{started['runId']}")


@pytest.mark.parametrize(
    "group_id", [catalog.GROUP_NIGHTLY, catalog.GROUP_SOME_REJECTED, catalog.GROUP_ALL_REJECTED]
)
def test_group_runs_conform(check, sandbox, group_id):
    """Trigger, cancel, cancel again and rerun of a batch."""
    path = f"/groups/{group_id}/runs"
    batch = check("POST", "/groups/{groupId}/runs", 202, path=path, json={"commitSha": "abc"})["batchId"]
    cancel, rerun = f"/batches/{batch}/cancel", f"/batches/{batch}/rerun"
    if group_id != catalog.GROUP_ALL_REJECTED:
        check("POST", "/batches/{batchId}/rerun", 409, path=rerun)
    check("POST", "/batches/{batchId}/cancel", 200, path=cancel)
    check("POST", "/batches/{batchId}/cancel", 200, path=cancel)
    check("POST", "/batches/{batchId}/rerun", 202, path=rerun)


def test_refused_cancels_conform(check, api):
    """A batch and a run that refuse to be cancelled."""
    batch = api.post(f"/groups/{catalog.GROUP_REFUSES_CANCEL}/runs").json()
    check("POST", "/batches/{batchId}/cancel", 409, path=f"/batches/{batch['batchId']}/cancel")
    check("POST", "/runs/{id}/cancel", 409, path=f"/runs/{batch['runIds'][1]}/cancel")


def test_a_cancelled_run_conforms(check, api):
    """Cancel a batch that is partly finished."""
    run_id = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    check("POST", "/runs/{id}/cancel", 200, path=f"/runs/{run_id}/cancel")
    check("GET", "/runs/{id}", 200, path=f"/runs/{run_id}")


def test_the_catalog_conforms(check):
    """Projects, groups and tests."""
    check("GET", "/projects", 200)
    for project_id in (catalog.PROJECT_SHOP, catalog.PROJECT_APP, catalog.PROJECT_LOAD):
        check("GET", "/projects/{projectId}", 200, path=f"/projects/{project_id}")
        check("GET", "/groups", 200, params={"projectId": project_id})
        check("GET", "/tests", 200, params={"projectId": project_id})
    for test in catalog.SCENARIO_TESTS:
        check("GET", "/tests/{testId}", 200, path=f"/tests/{test.id}")
    for group in catalog.GROUPS:
        check("GET", "/groups/{groupId}", 200, path=f"/groups/{group.id}")


def test_changes_of_groups_conform(check):
    """A group is created, gets a test twice, and is deleted; the default group and a full project refuse."""
    body = {"projectId": catalog.PROJECT_SHOP, "name": "Mine", "runMode": "sequential"}
    group_id = check("POST", "/groups", 201, json=body)["group"]["id"]
    member, path = {"testId": catalog.TEST_PASSES}, f"/groups/{group_id}/tests"
    check("POST", "/groups/{groupId}/tests", 201, path=path, json=member)
    check("POST", "/groups/{groupId}/tests", 200, path=path, json=member)
    check("GET", "/groups/{groupId}", 200, path=f"/groups/{group_id}")
    check("DELETE", "/groups/{groupId}", 200, path=f"/groups/{group_id}")
    check("DELETE", "/groups/{groupId}", 400, path=f"/groups/{catalog.GROUP_ALL}")
    check("POST", "/groups", 400, json={})
    check("POST", "/groups", 404, json=body | {"projectId": "nobody"})


ROUTES = [
    ("DELETE", "/groups/{groupId}"),
    ("GET", "/runs/{id}"),
    ("POST", "/runs/{id}/cancel"),
    ("POST", "/batches/{batchId}/cancel"),
    ("POST", "/batches/{batchId}/rerun"),
    ("POST", "/tests/{testId}/runs"),
    ("POST", "/groups/{groupId}/runs"),
    ("GET", "/tests/{testId}"),
    ("GET", "/groups/{groupId}"),
]


@pytest.mark.parametrize(("method", "template"), ROUTES)
def test_errors_conform(check, sandbox, method, template):
    """Errors 400, 401, 403 and 404 of every route with an id match the document."""

    def path(text):
        return re.sub(r"\{\w+\}", text, template)

    known = path(catalog.UNKNOWN_ID)
    check(method, template, 404, path=known)
    check(method, template, 400, path=path("not-a-uuid"))
    check(method, template, 401, path=known, headers={"Authorization": "Bearer wrong"})
    check(method, template, 403, path=known, headers={"Authorization": "Bearer sk_forbidden"})
    sandbox.faults.add("status", status=429, retry_after=1)
    check(method, template, 429, path=known)


@pytest.mark.parametrize(
    ("template", "query"),
    [
        ("/runs", {"limit": "0"}),
        ("/tests", {}),
        ("/groups", {}),
        ("/tests", {"projectId": "x", "limit": "x"}),
    ],
)
def test_bad_queries_conform(check, template, query):
    """Errors 400 of the routes with query parameters match the document."""
    check("GET", template, 400, params=query)
