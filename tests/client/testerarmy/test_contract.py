"""Every operation of the contract, as the client sends and reads it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import (
    apps,
    credentials,
    environments,
    groups,
    memories,
    models,
    projects,
    pull_requests,
    saved_tests,
    webhooks,
)
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from tests.contract import document
from tests.contract.examples import EXAMPLES, PASSWORD, SECRET, upload
from tests.contract.json_schema import validator
from tests.contract.strategies import grown, values

CALLS = document.calls()
CASES = [(name, number) for name, found in EXAMPLES.items() for number in range(len(found))]
#: What a second request may neither start, bill nor create again.
ONCE = {
    "submit_prompt_run",
    "rerun_batch",
    "upload_app",
    "confirm_app_upload",
    *(name for name in CALLS if name.startswith(("trigger_", "create_"))),
}


def test_the_client_has_every_operation():
    """41 of the vendor's OpenAPI document, and the prompt."""
    assert set(EXAMPLES) == set(CALLS)
    assert len(CALLS) == 42


@pytest.mark.parametrize("name", CALLS)
def test_the_hook_has_every_operation(name):
    """Once for workers, and once for event loops."""
    assert callable(getattr(TesterArmyHook, name))
    assert callable(getattr(TesterArmyHook, f"a{name}"))


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_request_is_what_the_contract_allows(name, number):
    """Method, path, parameters, key and body."""
    call, operation = CALLS[name], EXAMPLES[name][number]()
    template = re.sub(r"\{\w+\}", "[^/]+", call.path)
    assert operation.method == call.method
    assert re.fullmatch(template, operation.path)
    assert {key for key, value in operation.query.items() if value is not None} <= set(call.query)
    assert operation.authorized == call.key
    assert (operation.body is not None) == (call.body is not None)
    if call.body is not None:
        validator(call.body, document.shapes()).validate(json.loads(json.dumps(operation.body)))
    assert (operation.content is not None) == (call.form is not None)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_only_idempotent_calls_are_repeated(name, number):
    """A repeated trigger bills a second run, and a repeated creation leaves something behind."""
    assert EXAMPLES[name][number]().repeatable == (name not in ONCE)


@pytest.mark.parametrize(("name", "number"), CASES)
@settings(max_examples=20)
@given(data=st.data())
def test_every_answer_is_read(name, number, data):
    """Each success that the contract allows, and the same with fields that are not known yet."""
    operation = EXAMPLES[name][number]()
    answer = data.draw(
        st.one_of(*(values(each) for status, each in CALLS[name].answers.items() if status < 300))
    )
    read = operation.parse(answer)
    assert operation.parse(grown(answer)) == read


@pytest.mark.parametrize(("name", "number"), CASES)
def test_no_secret_is_shown(name, number):
    """Neither a password nor the secret of a webhook is in what a log may show."""
    shown = repr(EXAMPLES[name][number]()) + str(EXAMPLES[name][number]())
    assert PASSWORD not in shown
    assert SECRET not in shown
    assert "whsec" not in shown


def test_the_address_of_an_upload_is_not_shown():
    """Whoever has it can upload."""
    target = apps.AppUpload.model_validate(
        {"uploadUrl": "https://s3.example/x?sig=secret", "storageKey": "k"}
    )
    assert "secret" not in f"{target!r}{target}"
    operation = upload("https://s3.example/bucket/x?sig=secret")
    assert operation.shown_path == "https://s3.example/***"
    assert "secret" not in f"{operation!r}{operation}"


REQUESTS = [
    ("create_project", projects.ProjectRequest, None),
    ("update_project", projects.ProjectChange, None),
    ("create_environment", environments.EnvironmentRequest, None),
    ("create_credential", credentials.LoginRequest, 0),
    ("create_credential", credentials.CustomLoginRequest, 1),
    ("create_credential", credentials.InboxRequest, 2),
    ("create_memory", memories.MemoryRequest, None),
    ("request_app_upload", apps.AppUploadRequest, None),
    ("confirm_app_upload", apps.AppConfirmation, None),
    ("create_test", saved_tests.TestRequest, None),
    ("update_test", saved_tests.TestChange, None),
    ("trigger_test_run", models.TestRunRequest, None),
    ("create_group", groups.GroupRequest, None),
    ("update_group", groups.GroupChange, None),
    ("trigger_group_run", models.GroupRunRequest, None),
    ("trigger_group_webhook", webhooks.GroupWebhookRequest, None),
    ("submit_prompt_run", models.PromptRunRequest, None),
    ("trigger_pull_request_run", pull_requests.WebPullRequestRun, 0),
    ("trigger_pull_request_run", pull_requests.MobilePullRequestRun, 1),
]


def schema_of(name, alternative):
    """The schema of a request's body; of several, one."""
    schema = CALLS[name].body
    if "$ref" in schema:
        schema = document.shapes()[schema["$ref"].rpartition("/")[2]]
    return schema if alternative is None else (schema.get("oneOf") or schema["anyOf"])[alternative]


def usable(value):
    """Whether a text is one that the client neither strips nor takes for an empty template."""
    if isinstance(value, dict):
        return all(map(usable, value.values()))
    if isinstance(value, list):
        return all(map(usable, value))
    nothing = {"", "none", "null", "undefined"}
    return not isinstance(value, str) or (value == value.strip() and value.lower() not in nothing)


@pytest.mark.parametrize(("name", "kind", "alternative"), REQUESTS)
@settings(max_examples=30)
@given(data=st.data())
def test_a_request_round_trips(name, kind, alternative, data):
    """What the contract allows is accepted, and is sent unchanged; null means that a field is not set."""
    body = data.draw(values(schema_of(name, alternative)).filter(usable))
    assert kind.model_validate(body).body() == {
        field: value for field, value in body.items() if value is not None
    }


@pytest.mark.parametrize(("name", "kind", "alternative"), REQUESTS)
def test_a_request_has_the_fields_of_the_contract(name, kind, alternative):
    """None is missing, none is invented, and an unknown one is refused."""
    schema = schema_of(name, alternative)
    kind.model_rebuild()
    assert {info.alias for info in kind.model_fields.values()} == set(schema["properties"])
    # A field that can have one word only is set by the client.
    fixed = {field for field, each in schema["properties"].items() if len(each.get("enum", ())) == 1}
    required = {info.alias for info in kind.model_fields.values() if info.is_required()}
    assert required == set(schema.get("required", ())) - fixed
    with pytest.raises(ValueError, match="surprise"):
        build_request(kind, surprise=1)


BOUNDS = [
    (name, kind, alternative, field)
    for name, kind, alternative in REQUESTS
    for field, each in schema_of(name, alternative)["properties"].items()
    if {"minLength", "maxLength", "minimum", "maximum", "maxItems"} & set(each)
]


@pytest.mark.parametrize(("name", "kind", "alternative", "field"), BOUNDS)
def test_a_bound_is_checked_before_anything_is_sent(name, kind, alternative, field):
    """One more than the most is refused, and one less than the least."""
    schema = schema_of(name, alternative)["properties"][field]
    wrong = []
    if "maxLength" in schema:
        wrong.append("x" * (schema["maxLength"] + 1))
    if schema.get("minLength") and field in schema_of(name, alternative).get("required", ()):
        wrong.append("")
    if "maximum" in schema:
        wrong.append(schema["maximum"] + 1)
    if "minimum" in schema:
        wrong.append(schema["minimum"] - 1)
    if "maxItems" in schema:
        wrong += [[], [{"type": "act", "title": "x"}] * (schema["maxItems"] + 1)]
    for value in wrong:
        with pytest.raises(ValueError, match=field):
            kind.model_validate({field: value})
