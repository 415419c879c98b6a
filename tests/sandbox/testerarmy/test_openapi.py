from __future__ import annotations

import re

import jsonschema
import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.api import OPERATIONS
from tests.contract import document
from tests.contract.json_schema import validator
from tests.contract.notation import schema_of

#: Errors that the API answers without saying so for each operation have the same form.
ERROR = schema_of({"error": "text", "message": "text"})


@pytest.fixture
def check(api):
    """Call the API and validate the response against the contract."""
    known = {(each.method, each.path): each for each in document.calls().values()}

    def call(method, template, expected, *, path="", **options):
        answer = api.request(method, path or template, **options)
        assert answer.status_code == expected, answer.text
        schema = known[method, template].answers.get(expected, ERROR)
        validator(schema, document.shapes()).validate(answer.json())
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
def test_some_runs_break_the_contract_on_purpose(check, sandbox, test_id):
    """Scripts with unknown values are excluded, because the contract does not allow them."""
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


SHOP, APP = catalog.PROJECT_SHOP, catalog.PROJECT_APP


def test_every_operation_is_served():
    """None of the contract answers 404 for want of a route."""
    served = {(each.method, re.sub(r"{\w+}", "{}", each.template)) for each in OPERATIONS}
    assert served == {(each.method, re.sub(r"{\w+}", "{}", each.path)) for each in document.calls().values()}


def test_projects_and_what_belongs_to_one_conform(check):
    """Each is created, changed, listed and deleted."""
    body = {"name": "New shop", "url": "https://new.example/", "description": None}
    project = check("POST", "/projects", 201, json=body)["project"]["id"]
    check("PATCH", "/projects/{projectId}", 200, path=f"/projects/{project}", json={"name": "Old shop"})
    check("DELETE", "/projects/{projectId}", 200, path=f"/projects/{project}")
    parts = {
        "environments": {"name": "PR 7", "url": "https://pr-7.example/"},
        "credentials": {"kind": "inbox", "label": "Mail"},
        "memories": {"category": "test_insights", "title": "x", "content": "x", "importance": "low"},
    }
    for part, body in parts.items():
        template, path = f"/projects/{{projectId}}/{part}", f"/projects/{SHOP}/{part}"
        created = check("POST", template, 201, path=path, json=body)
        check("GET", template, 200, path=path)
        check("POST", template, 400, path=path, json={})
        found = next(each for each in created.values() if isinstance(each, dict))["id"]
        if part != "credentials":
            name = {"environments": "environmentId", "memories": "memoryId"}[part]
            check("DELETE", f"{template}/{{{name}}}", 200, path=f"{path}/{found}")
    check("GET", "/projects/{projectId}/files", 200, path=f"/projects/{SHOP}/files")


def test_tests_and_groups_that_change_conform(check):
    """A test is created and changed, joins a group, leaves it, and is deleted."""
    steps = [{"type": "login", "title": "Sign in"}, {"type": "screenshot"}]
    body = {"projectId": SHOP, "title": "Mine", "steps": steps, "groupId": None}
    test = check("POST", "/tests", 201, json=body)["test"]["id"]
    check("PATCH", "/tests/{testId}", 200, path=f"/tests/{test}", json={"enabled": False})
    group = check("POST", "/groups", 201, json={"projectId": SHOP, "name": "Mine"})["group"]["id"]
    check("PATCH", "/groups/{groupId}", 200, path=f"/groups/{group}", json={"prepTestId": test})
    for _ in range(2):
        member = f"/groups/{group}/tests/{test}"
        check("DELETE", "/groups/{groupId}/tests/{testId}", 200, path=member)
    check("GET", "/tests/{testId}", 200, path=f"/tests/{test}")
    check("DELETE", "/tests/{testId}", 200, path=f"/tests/{test}")


def test_apps_conform(check, api):
    """Both ways of uploading one."""
    template, path = "/projects/{projectId}/mobile", f"/projects/{APP}/mobile"
    app = check("POST", template, 201, path=path, files={"file": ("a.apk", b"PK")})["app"]["id"]
    asked = {"filename": "a.apk", "fileSize": 2}
    upload = check("POST", f"{template}/upload", 200, path=f"{path}/upload", json=asked)
    assert api.put(upload["uploadUrl"], content=b"PK").status_code == 200
    body = asked | {"storageKey": upload["storageKey"]}
    check("POST", f"{template}/upload/confirm", 201, path=f"{path}/upload/confirm", json=body)
    check("POST", f"{template}/upload/confirm", 400, path=f"{path}/upload/confirm", json=body)
    check("GET", template, 200, path=path)
    check("DELETE", f"{template}/{{appId}}", 200, path=f"{path}/{app}")


def test_more_ways_to_start_runs_conform(check):
    """The pull-request agent, and webhooks."""
    pull_request = {"number": 7, "title": "x", "commitSha": "abc"}
    template, path = "/projects/{projectId}/pull-request-runs", f"/projects/{SHOP}/pull-request-runs"
    body = {"targetUrl": "https://pr-7.example/", "pullRequest": pull_request}
    check("POST", template, 202, path=path, json=body)
    check("POST", template, 400, path=path, json={})
    check("POST", template, 413, path=path, json={"targetUrl": "x" * 1_100_000})
    for kind, known, status in (("", catalog.PROJECT_WEBHOOK, 200), ("/groups", catalog.GROUP_WEBHOOK, 202)):
        template, path = f"{kind}/webhook/{{webhookId}}/{{secret}}", f"{kind}/webhook/{known}"
        check("POST", template, status, path=f"{path}/{catalog.WEBHOOK_SECRET}", json={"state": "success"})
        check("POST", template, 401, path=f"{path}/wrong", json={})


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
    """Errors 400, 401, 403 and 404 of every route with an id match the contract."""

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
    """Errors 400 of the routes with query parameters match the contract."""
    check("GET", template, 400, params=query)
