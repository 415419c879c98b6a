from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import models
from tests.contract import document
from tests.contract.json_schema import validator

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


# -- against the contract


REQUESTS = {
    "trigger_test_run": models.TestRunRequest,
    "trigger_group_run": models.GroupRunRequest,
}


BODIES = [
    ("trigger_test_run", {}),
    ("trigger_test_run", {"mode": "fast"}),
    (
        "trigger_test_run",
        {
            "mode": "deep",
            "platform": "ios",
            "device_model": "ipad",
            "app_id": UUID,
            "project_environment_id": UUID,
        },
    ),
    ("trigger_group_run", {}),
    (
        "trigger_group_run",
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


@pytest.mark.parametrize(("operation", "fields"), BODIES)
def test_bodies_conform(operation, fields):
    """What is sent is what the contract allows."""
    body = build_request(REQUESTS[operation], **fields).body()
    assert len(body) == len(fields)
    validator(document.calls()[operation].body, document.shapes()).validate(body)


@pytest.mark.parametrize("operation", REQUESTS)
def test_requests_have_the_contracts_fields_and_words(operation):
    """Neither a field nor a word of an enumeration is missing or invented."""
    schema = document.calls()[operation].body
    kind = REQUESTS[operation]
    ours = {info.alias: words(info.annotation) for info in kind.model_fields.values()}
    theirs = {name: set(field.get("enum", ())) for name, field in schema["properties"].items()}
    assert ours == theirs


def words(annotation):
    """Return the words of an optional enumeration."""
    found = set()
    for part in get_args(annotation):
        found |= {word for word in get_args(part) if isinstance(word, str)} if get_args(part) else set()
    return found


def test_statuses_are_the_contracts():
    """What is known of a run's status is all that the contract knows."""
    from airflow_provider_testerarmy.hooks.testerarmy_results import PHASES

    assert set(PHASES) == set(document.shapes()["Run"]["properties"]["status"]["enum"])
