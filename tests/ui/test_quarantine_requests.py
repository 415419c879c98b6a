"""Requests that change a quarantine: who may send them, from where, and what they may say."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from airflow.api_fastapi.core_api.security import get_user
from fastapi import HTTPException
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.ui import app as module
from airflow_provider_testerarmy.ui import quarantines
from airflow_provider_testerarmy.ui.quarantines import MAX_BODY, Rejected, parse
from airflow_provider_testerarmy.ui.same_origin import is_same_origin
from tests.ui.test_payloads import ANYTHING, stored
from tests.ui.test_task_memory import GROUP, TEST, held, place

__all__ = ["place"]

HOME = "http://testserver"
JSON = {"content-type": "application/json"}
SAME = {**JSON, "sec-fetch-site": "same-origin"}
BODY = json.dumps({"test_id": TEST, "owner": "ada", "reason": "new form", "until": "14d", "seen": None})
PATH = "/api/dags/d/quarantine?run_id=r&task_id=t"


@pytest.fixture
def client(place, monkeypatch):
    """The application for a signed-in editor, and the lines of the audit log."""
    task, storage, scope = place
    lines = []
    monkeypatch.setattr(
        quarantines.store,
        "write_audit",
        lambda task, event, *rest: lines.append((task.task_id, event, *rest)),
    )
    rights = {"edit": True, "read": True}

    def require(name):
        def check():
            if not rights[name]:
                raise HTTPException(403, "Forbidden")

        return check

    overrides = {
        module._task: lambda: task,
        module._may_edit: lambda: rights["edit"],
        module.can_edit.dependency: require("edit"),
        module.can_read_xcoms.dependency: require("read"),
        get_user: lambda: SimpleNamespace(get_name=lambda: "ada\nroot"),
    }
    monkeypatch.setattr(module.app, "dependency_overrides", overrides)
    made = TestClient(module.app, base_url=HOME)
    made.lines, made.rights, made.held = lines, rights, lambda: held(storage, scope)
    return made


def test_an_editor_quarantines_a_test(client):
    """The answer is the new standing, and the audit log says who did what."""
    answer = client.post(PATH, content=BODY, headers=SAME)
    assert (answer.status_code, answer.json()["quarantine"]["owner"]) == (200, "ada")
    assert client.held().reason == "new form"
    ((task_id, event, user, _, extra),) = client.lines
    assert (task_id, event, user) == ("t", "testerarmy_quarantined", "ada root")
    assert (json.loads(extra)["test_id"], json.loads(extra)["reason"]) == (TEST, "new form")


def test_a_reader_sees_it_and_cannot_change_it(client):
    """Without the right to edit the DAG there are no buttons, and a request is refused."""
    client.post(PATH, content=BODY, headers=SAME)
    client.rights["edit"] = False
    seen = client.get("/api/dags/d/memory?run_id=r&task_id=t").json()
    assert (seen["may_edit"], seen["owner"], seen["command"]) == (False, "", "")
    assert seen["tests"][TEST]["quarantine"]["owner"] == "ada"
    before = client.held()
    lift = json.dumps({"test_id": TEST, "lift": True, "seen": before.since})
    assert client.post(PATH, content=lift, headers=SAME).status_code == 403
    assert client.held() == before


@pytest.mark.parametrize(
    ("rendered", "summary", "hint"),
    [
        ({}, {}, False),
        ({"memory_path": "/not/here"}, {}, True),
        ({"memory_path": None}, {"known": []}, True),
        ({}, {"known": []}, True),
    ],
)
def test_a_command_where_a_memory_was_to_be_expected(client, rendered, summary, hint):
    """A task that never remembers shows editors nothing; another one shows the command to run."""
    given = {"verdict": "failed", "run_ids": [], "counts": {}, **summary}
    task = replace(stored(given), rendered={"group_id": GROUP, **rendered})
    module.app.dependency_overrides[module._task] = lambda: task
    seen = client.get("/api/dags/d/memory?run_id=r&task_id=t").json()
    assert (seen["tests"], bool(seen["why"]), bool(seen["command"])) == ({}, True, hint)


FOREIGN = [
    {},
    JSON,
    {**JSON, "origin": "https://evil.example"},
    {**JSON, "origin": "null"},
    {**JSON, "origin": "http://testserver.evil.example"},
    {**JSON, "origin": "http://testserver@evil.example"},
    {**JSON, "origin": ""},
    {**JSON, "sec-fetch-site": "cross-site"},
    {**JSON, "sec-fetch-site": "same-site", "origin": HOME},
    {**JSON, "sec-fetch-site": "none", "origin": HOME},
    {**JSON, "sec-fetch-site": "", "origin": HOME},
    {**JSON, "x-forwarded-host": "evil.example", "origin": "https://evil.example"},
    {"content-type": "text/plain", "sec-fetch-site": "same-origin"},
    {"content-type": "application/x-www-form-urlencoded", "origin": HOME},
    {"content-type": "text/plain; application/json", "origin": HOME},
    {"content-type": "multipart/form-data; boundary=application/json", "origin": HOME},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_site_changes_nothing(client, headers):
    """A request of another site, or of nobody knows whom, is refused even with the editor's session."""
    assert client.post(PATH, content=BODY, headers=headers).status_code in (403, 415)
    assert (client.held(), client.lines) == (None, [])


@pytest.mark.parametrize(
    "headers", [{"origin": HOME}, {"origin": HOME.upper()}, {"sec-fetch-site": "same-origin"}]
)
def test_the_own_page_may(client, headers):
    """Browsers send the site for https and localhost only, and the origin always."""
    assert client.post(PATH, content=BODY, headers={**JSON, **headers}).status_code == 200


def test_a_proxy_that_changes_the_host():
    """The configured address of Airflow counts as its own."""
    headers = {"origin": "https://airflow.example", "host": "10.0.0.1:8080"}
    assert is_same_origin(headers, "https://airflow.example/sub/")
    assert not is_same_origin(headers, "")
    assert not is_same_origin({"origin": "https://"}, "")


def test_no_other_method_writes(client):
    """A link or an image, which any site can embed, changes nothing."""
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert client.request(method, PATH, headers=SAME).status_code == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("[]", 400),
        ("[" * 19_000, 400),
        (b"\xff", 400),
        ('{"test_id": 3}', 400),
        ('{"test_id": "x", "seen": true}', 400),
        ('{"test_id": "x", "seen": "0"}', 400),
        ('{"test_id": "x", "lift": 1}', 400),
        ('{"test_id": "x", "owner": {"a": 1}}', 400),
        ("x" * (MAX_BODY + 1), 413),
        (BODY.replace("14d", "yesterday"), 400),
        (BODY.replace(TEST, GROUP), 409),
        (BODY.replace("null", "5"), 409),
    ],
)
def test_a_bad_body(client, body, status):
    """Each answer says what is wrong, and nothing is changed."""
    answer = client.post(PATH, content=body, headers=SAME)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert (client.held(), client.lines) == (None, [])


def test_an_audit_log_that_fails(client, monkeypatch, caplog):
    """The change is made, and the API server's log has its trace."""

    def fail(*arguments):
        raise RuntimeError("no database")

    monkeypatch.setattr(quarantines.store, "write_audit", fail)
    with caplog.at_level("INFO", logger=quarantines.__name__):
        assert client.post(PATH, content=BODY, headers=SAME).status_code == 200
    assert "testerarmy_quarantined by ada root in d.t" in caplog.text


NAMES = st.sampled_from(["test_id", "owner", "reason", "until", "seen", "lift"])


@given(ANYTHING | st.dictionaries(NAMES, ANYTHING))
def test_any_json_is_a_change_or_an_error(value):
    """No input causes another error."""
    try:
        found = parse(json.dumps(value).encode())
    except Rejected as error:
        found = error.status
    assert found == 400 or isinstance(found.test_id, str)
