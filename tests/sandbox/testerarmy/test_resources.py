"""Projects and what belongs to one: environments, credentials, memories, files; tests and groups that change."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.projects_api import MOST_PROJECTS
from airflow_provider_testerarmy.sandbox.testerarmy.workspace import MOST_MEMORIES

SHOP = f"/projects/{catalog.PROJECT_SHOP}"
STEPS = [{"type": "act", "title": "Open the shop"}, {"type": "javascript", "code": "1"}]


def create_project(api, **fields):
    """Create a project."""
    return api.post("/projects", json={"name": "New shop", "url": "https://new.example/"} | fields)


def create_test(api, **fields):
    """Create a test of the shop."""
    body = {"projectId": catalog.PROJECT_SHOP, "title": "Mine", "steps": STEPS}
    return api.post("/tests", json=body | fields)


def test_a_project_lives_and_takes_everything_with_it(api, sandbox):
    """It is found by either id; with it go its groups, tests and runs."""
    project = create_project(api, description=None).json()["project"]
    assert api.get(f"/projects/{project['shortId']}").json() == project
    changed = api.patch(f"/projects/{project['id']}", json={"name": "Old shop"}).json()["project"]
    assert (changed["name"], changed["url"]) == ("Old shop", "https://new.example/")
    test = create_test(api, projectId=project["id"]).json()["test"]["id"]
    run = api.post(f"/tests/{test}/runs").json()["runId"]
    assert api.delete(f"/projects/{project['id']}").json() == {"deleted": True, "id": project["id"]}
    for path in (f"/projects/{project['id']}", f"/tests/{test}", f"/runs/{run}"):
        assert api.get(path).status_code == 404
    assert run not in sandbox.store.active_run_ids()


def test_a_plan_has_a_limit_of_projects(api):
    """The refusal says how many there are."""
    answers = [create_project(api) for _ in range(MOST_PROJECTS)]
    assert answers[-1].status_code == 403
    assert answers[-1].json()["currentCount"] == answers[-1].json()["limit"] == MOST_PROJECTS


def test_environments(api):
    """Only static ones can be deleted, and names are unique."""
    body = {"name": "PR 7", "url": "https://pr-7.shop.example/"}
    created = api.post(f"{SHOP}/environments", json=body)
    environment = created.json()["environment"]
    assert (created.status_code, environment["slug"], environment["kind"]) == (201, "pr-7", "static")
    assert api.post(f"{SHOP}/environments", json=body).status_code == 409
    assert environment in api.get(f"{SHOP}/environments").json()["environments"]
    run = {"projectEnvironmentId": environment["id"]}
    assert api.post(f"/tests/{catalog.TEST_PASSES}/runs", json=run).status_code == 202
    path = f"{SHOP}/environments/{environment['id']}"
    assert [api.delete(path).status_code for _ in range(2)] == [200, 404]
    assert api.delete(f"{SHOP}/environments/{catalog.ENVIRONMENT_PRODUCTION}").status_code == 400
    assert api.post(f"/tests/{catalog.TEST_PASSES}/runs", json=run).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "url": "http://plain.example/"},
        {"name": "", "url": "https://x.example/"},
        {"name": "x" * 101, "url": "https://x.example/"},
        {"name": "x", "url": "https://x.example/", "kind": "static"},
    ],
)
def test_a_wrong_environment_is_refused(api, body):
    """Also one with an unknown field."""
    assert api.post(f"{SHOP}/environments", json=body).status_code == 400


def test_credentials_are_listed_without_secrets(api):
    """Of each kind."""
    secret = "hunter2"
    login = {"kind": "login", "label": "a", "username": "me", "password": secret}
    custom = {"kind": "login", "authMethod": "custom", "label": "b", "authInstructions": secret}
    for body in (login, custom, {"kind": "inbox", "label": "c"}):
        assert api.post(f"{SHOP}/credentials", json=body).status_code == 201
    listed = api.get(f"{SHOP}/credentials")
    assert [each["label"] for each in listed.json()["credentials"]] == ["a", "b", "c"]
    assert [each["hasAuthInstructions"] for each in listed.json()["credentials"]] == [False, True, False]
    assert secret not in listed.text


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "login", "label": "a", "username": "me"},
        {"kind": "login", "label": "a", "username": "me", "password": ""},
        {"kind": "inbox", "label": "a", "password": "x"},
        {"kind": "login", "authMethod": "custom", "label": "a", "username": "me", "password": "x"},
        {"kind": "token", "label": "a"},
        {"kind": "inbox", "label": "a" * 51},
    ],
)
def test_a_wrong_credential_is_refused(api, body):
    """Each kind has its own fields."""
    assert api.post(f"{SHOP}/credentials", json=body).status_code == 400


def test_a_full_memory_drops_what_is_less_important(api):
    """And refuses what is not more important than anything."""
    body = {"category": "test_insights", "title": "Release", "content": "New checkout", "importance": "low"}
    for _ in range(MOST_MEMORIES):
        assert api.post(f"{SHOP}/memories", json=body).json()["pruned"] == 0
    assert api.post(f"{SHOP}/memories", json=body).status_code == 409
    kept = api.post(f"{SHOP}/memories", json=body | {"importance": "high"}).json()
    assert kept["pruned"] == 1
    listed = api.get(f"{SHOP}/memories").json()
    assert listed["count"] == listed["maxMemories"] == len(listed["memories"]) == MOST_MEMORIES
    path = f"{SHOP}/memories/{kept['memory']['id']}"
    assert [api.delete(path).status_code for _ in range(2)] == [200, 404]


def test_files(api):
    """They can be listed only."""
    assert [each["id"] for each in api.get(f"{SHOP}/files").json()["files"]] == [catalog.PROJECT_FILE]


def test_a_test_that_a_client_wrote(api, sandbox):
    """Its steps are returned as they were sent, and its title selects the script of its runs."""
    created = create_test(api, title="Mine [sandbox:fails]", groupId=catalog.GROUP_EMPTY)
    test = created.json()["test"]
    assert (created.status_code, test["steps"]) == (201, STEPS)
    groups = {each["id"] for each in api.get(f"/tests/{test['id']}").json()["groups"]}
    assert groups == {catalog.GROUP_ALL, catalog.GROUP_EMPTY}
    changed = api.patch(f"/tests/{test['id']}", json={"enabled": False, "steps": STEPS[:1]}).json()["test"]
    assert (changed["title"], changed["enabled"], changed["steps"]) == (test["title"], False, STEPS[:1])
    api.patch(f"/tests/{test['id']}", json={"enabled": True})
    run = api.post(f"/tests/{test['id']}/runs").json()["runId"]
    sandbox.clock.advance(60)
    assert api.get(f"/runs/{run}").json()["output"]["result"] == "FAILED"
    assert [api.delete(f"/tests/{test['id']}").status_code for _ in range(2)] == [200, 404]


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": []},
        {"steps": STEPS * 26},
        {"steps": [{"type": "act"}]},
        {"steps": [{"type": "files", "title": "x"}]},
        {"steps": [{"type": "dance", "title": "x"}]},
        {"title": ""},
        {"title": "x" * 501},
        {"description": None},
        {"groupId": catalog.GROUP_APP_ALL},
    ],
)
def test_a_wrong_test_is_refused(api, fields):
    """Each bound of the contract is checked."""
    assert create_test(api, **fields).status_code == 400


def test_a_group_changes(api):
    """Its preparation test can be set and removed; a member can leave once."""
    group = api.post("/groups", json={"projectId": catalog.PROJECT_SHOP, "name": "Mine"}).json()["group"][
        "id"
    ]
    path = f"/groups/{group}"
    body = {"name": "Ours", "runMode": "sequential", "prepTestId": catalog.TEST_PREPARATION}
    changed = api.patch(path, json=body).json()["group"]
    assert {name: changed[name] for name in body} == body
    assert api.patch(path, json={"prepTestId": None}).json()["group"]["prepTestId"] is None
    assert api.patch(path, json={"prepTestId": catalog.TEST_MOBILE}).status_code == 400
    api.patch(path, json={"prepTestId": catalog.TEST_PASSES})
    api.post(f"{path}/tests", json={"testId": catalog.TEST_PASSES})
    removed = [api.delete(f"{path}/tests/{catalog.TEST_PASSES}").json()["removed"] for _ in range(2)]
    assert removed == [True, False]
    assert api.get(path).json()["prepTestId"] is None


def test_a_reset_restores_the_account(api, sandbox):
    """Projects, environments and all that belongs to them."""
    before = api.get("/projects").json()
    create_project(api)
    api.post(f"{SHOP}/environments", json={"name": "PR 7", "url": "https://x.example/"})
    api.post(f"{SHOP}/credentials", json={"kind": "inbox", "label": "c"})
    sandbox.reset()
    assert api.get("/projects").json() == before
    assert api.get(f"{SHOP}/credentials").json()["credentials"] == []
