from __future__ import annotations

import json
import os
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import models
from airflow_provider_testerarmy.client.testerarmy import operations as api

DOCUMENT = Path(__file__).resolve().parents[3].parent / "shared" / "api" / "testerarmy-openapi.json"
UUID = "3f0e8a52-0000-4000-8000-000000000001"

ANSWERS = [
    models.Run,
    models.Issue,
    models.Step,
    models.Output,
    models.RunError,
    models.TestRunQueued,
    models.GroupRunQueued,
    models.PromptRunQueued,
    models.RunCancelled,
    models.BatchCancelled,
    models.Project,
    models.TestDefinition,
    models.Group,
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def vital(kind):
    """Return the least that an answer needs."""
    kind.model_rebuild()  # Before pydantic 2.11 a model whose build is deferred has no aliases.
    fields = {info.alias for info in kind.model_fields.values() if info.is_required()}
    return {name: [] if name in {"runIds"} else "x" for name in fields}


def optional(kind):
    """Return what an answer may leave out."""
    return [info.alias for info in kind.model_fields.values() if not info.is_required()]


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_nulls_everywhere(kind):
    """Null, or nothing at all, wherever nothing depends on it."""
    bare = kind.model_validate(vital(kind))
    assert kind.model_validate(vital(kind) | dict.fromkeys(optional(kind))) == bare


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_wrong_types_everywhere(kind, data):
    """No value of a field that is not vital breaks an answer."""
    fields = {name: data.draw(JSON, name) for name in optional(kind)}
    parsed = kind.model_validate(vital(kind) | fields | {"unknown": fields})
    assert isinstance(parsed, kind)


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_what_is_vital_must_be_there(kind):
    """Without it, the response is refused with a reason."""
    for name in vital(kind):
        with pytest.raises(ValidationError, match=name):
            kind.model_validate({key: value for key, value in vital(kind).items() if key != name})


def test_unknown_words_are_kept():
    """Enumerations grow: an unknown status, type or result stays as it is."""
    run = models.Run.model_validate(
        {"id": "a", "status": "paused", "type": "voice", "output": {"result": "PERHAPS", "kind": "new"}}
    )
    assert (run.status, run.type, run.output.result, run.output.kind) == ("paused", "voice", "PERHAPS", "new")


def test_a_malformed_issue_costs_only_itself():
    """And a malformed field of an issue costs only the field."""
    issues = [{"name": "a", "severity": "grave"}, "b", None, {"name": "c", "severity": 5}]
    output = models.Output.model_validate({"issues": issues})
    assert [(issue.name, issue.severity) for issue in output.issues] == [("a", None), ("c", 5)]


def test_a_page_with_a_run_without_an_id_is_not_read_in_part():
    """A run that is overlooked could be taken for one that was never started."""
    with pytest.raises(ValidationError):
        models.RunPage.model_validate({"runs": [{"id": "a", "status": "queued"}, {"status": "queued"}]})


@pytest.mark.parametrize("ids", ["abc", [None], [1], {"a": 1}])
def test_ids_of_started_runs_are_not_read_in_part(ids):
    """Nothing would wait for a run without its id."""
    with pytest.raises(ValidationError):
        models.GroupRunQueued.model_validate({"status": "queued", "batchId": "b", "runIds": ids})


# -- against the vendor's document


@pytest.fixture(scope="session")
def openapi():
    """The vendor's OpenAPI document."""
    path = Path(os.environ.get("TESTERARMY_OPENAPI") or DOCUMENT)
    if not path.is_file():
        pytest.skip(f"no OpenAPI document at {path}; name one in TESTERARMY_OPENAPI")
    return json.loads(path.read_text())


REQUESTS = {
    "/v1/tests/{testId}/runs": models.TestRunRequest,
    "/v1/groups/{groupId}/runs": models.GroupRunRequest,
}


def closed(node):
    """Turn an OpenAPI 3.0 schema into JSON Schema whose objects have no undeclared fields."""
    if not isinstance(node, dict):
        return [closed(item) for item in node] if isinstance(node, list) else node
    schema = {key: closed(value) for key, value in node.items() if key not in {"nullable"}}
    if node.get("exclusiveMinimum") is True:
        schema["exclusiveMinimum"] = schema.pop("minimum")
    if "properties" in node and node.get("type") == "object":
        schema["additionalProperties"] = False
    return schema


def body_schema(openapi, path):
    """Return the schema of a request's body, its references resolved."""
    schema = openapi["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {**closed(schema), "components": {"schemas": closed(openapi["components"]["schemas"])}}


BODIES = [
    ("/v1/tests/{testId}/runs", {}),
    ("/v1/tests/{testId}/runs", {"mode": "fast"}),
    (
        "/v1/tests/{testId}/runs",
        {
            "mode": "deep",
            "platform": "ios",
            "device_model": "ipad",
            "app_id": UUID,
            "project_environment_id": UUID,
        },
    ),
    ("/v1/groups/{groupId}/runs", {}),
    (
        "/v1/groups/{groupId}/runs",
        {
            "platform": "android",
            "device_model": "iphone",
            "project_environment_id": UUID.upper(),
            "target_url": "https://pr-7.shop.example/",
            "environment": "preview",
            "mobile": {
                "app_id": UUID,
                "bundle_id": "com.acme",
                "artifact_url": "https://ci.example/app.apk",
                "artifact_filename": "app.apk",
                "build_id": "7",
            },
            "commit_sha": "abc123",
            "pr_number": "7",
        },
    ),
]


@pytest.mark.parametrize(("path", "fields"), BODIES)
def test_bodies_conform(openapi, path, fields):
    """What is sent is what the vendor's document allows."""
    jsonschema = pytest.importorskip("jsonschema")
    body = build_request(REQUESTS[path], **fields).body()
    assert len(body) == len(fields)
    jsonschema.Draft202012Validator(body_schema(openapi, path)).validate(body)


@pytest.mark.parametrize("path", REQUESTS)
def test_requests_have_the_documents_fields_and_words(openapi, path):
    """Neither a field nor a word of an enumeration is missing or invented."""
    schema = body_schema(openapi, path)
    kind = REQUESTS[path]
    ours = {info.alias: words(info.annotation) for info in kind.model_fields.values()}
    theirs = {name: set(field.get("enum", ())) for name, field in schema["properties"].items()}
    assert ours == theirs


def words(annotation):
    """Return the words of an optional enumeration."""
    found = set()
    for part in get_args(annotation):
        found |= {word for word in get_args(part) if isinstance(word, str)} if get_args(part) else set()
    return found


def test_every_operation_is_in_the_document(openapi):
    """Method and path of each, but for the prompt, which only the reference pages have."""
    operations = [
        api.trigger_test_run(UUID),
        api.trigger_group_run(UUID),
        api.rerun_batch(UUID),
        api.get_run(UUID),
        api.list_runs(),
        api.cancel_run(UUID),
        api.cancel_batch(UUID),
        api.list_projects(),
        api.get_test(UUID),
        api.list_tests(UUID),
        api.get_group(UUID),
        api.list_groups(UUID),
    ]
    templates = {}
    for path, methods in openapi["paths"].items():
        shape = "/".join(UUID if part.startswith("{") else part for part in path.split("/"))
        templates[shape] = methods
    for operation in operations:
        documented = templates[f"/v1{operation.path}"][operation.method.lower()]
        known = {parameter["name"] for parameter in documented.get("parameters", ())}
        assert set(operation.query) <= known


def test_statuses_are_the_documents(openapi):
    """What is known of a run's status is all that the document knows."""
    status = openapi["components"]["schemas"]["RunResponse"]["properties"]["status"]
    from airflow_provider_testerarmy.hooks.testerarmy_results import PHASES

    assert set(PHASES) == set(status["enum"])
