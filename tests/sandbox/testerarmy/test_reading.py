from __future__ import annotations

import time

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest


def pages(api, **query):
    """Return the ids of all runs, page by page."""
    cursor = None
    while True:
        page = api.get("/runs", params=query | ({"cursor": cursor} if cursor else {})).json()
        yield [run["id"] for run in page["runs"]]
        cursor = page["nextCursor"]
        if cursor is None:
            return


def test_pages_join_to_the_whole(api, sandbox):
    """All 250 runs of a batch, which were created in the same millisecond, come exactly once."""
    run_ids = api.post(f"/groups/{catalog.GROUP_250}/runs").json()["runIds"]
    found = list(pages(api, limit=40))
    assert [len(page) for page in found] == [40] * 6 + [10]
    assert sorted(run_id for page in found for run_id in page) == sorted(run_ids)


def test_runs_that_start_between_pages_shift_nothing(api, sandbox):
    """A cursor continues where the last page ended, whatever runs were added since."""
    run_ids = api.post(f"/groups/{catalog.GROUP_250}/runs").json()["runIds"]
    found = []
    for page in pages(api, limit=100):
        found += page
        sandbox.clock.advance(1)
        api.post(f"/tests/{catalog.TEST_PASSES}/runs")
    assert sorted(found) == sorted(run_ids)


def test_newest_runs_come_first(api, sandbox):
    """The list is ordered by creation time, newest first."""
    run_ids = []
    for _ in range(3):
        run_ids.append(api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"])
        sandbox.clock.advance(0.001)
    assert list(pages(api)) == [run_ids[::-1]]


def test_ten_thousand_runs_are_listed_quickly(api, sandbox):
    """A page is fast, whatever the number of runs and the filters."""
    group = sandbox.store.catalog.groups[catalog.GROUP_1000]
    for _ in range(10):
        sandbox.store.submit_group(group, RunRequest())
    for seconds in (0, 3, 60):
        sandbox.clock.advance(seconds)
        for query in ({"limit": 100}, {"limit": 100, "status": "failed"}):
            begun = time.process_time()
            assert api.get("/runs", params=query).status_code == 200
            assert time.process_time() - begun < 0.5


def test_the_default_limit_is_20(api):
    """Without a limit, a page has 20 runs; a full last page has no cursor."""
    api.post(f"/groups/{catalog.GROUP_250}/runs")
    assert len(api.get("/runs").json()["runs"]) == 20
    assert [len(page) for page in pages(api, limit=50)] == [50] * 5


def test_filters(api, sandbox):
    """Status, project and test narrow the list, alone and together."""
    run_id = api.post(f"/tests/{catalog.TEST_BREAKS}/runs").json()["runId"]
    api.post(f"/tests/{catalog.TEST_PASSES}/runs")
    api.post(f"/tests/{catalog.TEST_MOBILE}/runs")
    api.post("/runs", json={"prompt": "Look around"})
    sandbox.clock.advance(60)
    assert list(pages(api, status="failed")) == [[run_id]]
    assert list(pages(api, testId=catalog.TEST_BREAKS)) == [[run_id]]
    assert [len(page) for page in pages(api, projectId=catalog.PROJECT_SHOP)] == [2]
    assert list(pages(api, projectId=catalog.PROJECT_SHOP, testId=catalog.TEST_MOBILE)) == [[]]
    assert list(pages(api, testId=catalog.UNKNOWN_ID)) == [[]]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "05"},
        {"limit": "ten"},
        {"limit": ""},
        {"status": "paused"},
        {"projectId": "acme-shop"},
        {"testId": "x"},
        {"cursor": "x"},
        {"cursor": ""},
    ],
)
def test_bad_queries_are_refused(api, query):
    """Each parameter is checked as the OpenAPI document says."""
    answer = api.get("/runs", params=query)
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/runs/{}"),
        ("POST", "/runs/{}/cancel"),
        ("POST", "/batches/{}/cancel"),
        ("POST", "/batches/{}/rerun"),
        ("POST", "/tests/{}/runs"),
        ("POST", "/groups/{}/runs"),
        ("GET", "/tests/{}"),
        ("GET", "/groups/{}"),
        ("GET", "/projects/{}"),
        ("GET", "/tests?projectId={}"),
        ("GET", "/groups?projectId={}"),
    ],
)
def test_unknown_ids_are_not_found(api, method, path):
    """An unknown id is a 404; text that is not a UUID is a 400 where a UUID is required."""
    answer = api.request(method, path.format(catalog.UNKNOWN_ID))
    assert (answer.status_code, answer.json()["error"]) == (404, "NOT_FOUND")
    expected = 404 if "project" in path else 400
    assert api.request(method, path.format("nonsense")).status_code == expected


@pytest.mark.parametrize("path", ["/nothing", "/runs/", "", f"/runs/{catalog.UNKNOWN_ID}/retry"])
def test_unknown_paths_are_told_in_the_envelope(api, path):
    """An unknown path has the same error format."""
    answer = api.get(path)
    assert (answer.status_code, set(answer.json())) == (404, {"error", "message"})


def test_wrong_methods_are_told_in_the_envelope(api):
    """A 405 has the same error format."""
    answer = api.delete("/runs")
    assert (answer.status_code, answer.json()["error"]) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic sk_sandbox_key", "sk_sandbox_key"]
)
def test_calls_without_a_valid_key_are_refused(api, sandbox, header):
    """A missing or invalid key is a 401 before anything else is checked."""
    api.headers.pop("Authorization")
    answer = api.post("/runs", content=b"{", headers={"Authorization": header} if header is not None else {})
    assert (answer.status_code, answer.json()["error"]) == (401, "UNAUTHORIZED")


def test_a_key_can_be_revoked_at_any_time(api, sandbox):
    """With a revoked key every call gets 401, until the key is added again."""
    sandbox.keys.revoke("sk_sandbox_key")
    assert api.get("/runs").status_code == 401
    sandbox.keys.add("sk_sandbox_key")
    assert api.get("/runs").status_code == 200


def test_some_keys_are_forbidden(api):
    """A key without permission gets 403."""
    answer = api.get("/runs", headers={"Authorization": "Bearer sk_forbidden_1"})
    assert (answer.status_code, answer.json()["error"]) == (403, "FORBIDDEN")


def test_answers_carry_the_sandboxs_date(api, sandbox):
    """The Date header follows the sandbox's clock, in errors too."""
    assert api.get("/runs").headers.get_list("date") == ["Wed, 11 Feb 2026 12:00:00 GMT"]
    sandbox.clock.advance(61)
    assert api.get("/nothing").headers.get_list("date") == ["Wed, 11 Feb 2026 12:01:01 GMT"]


def test_tests_are_listed_in_pages(api):
    """The tests of the load project take 20 pages of the default size."""
    cursor, found = None, []
    for _ in range(20):
        query = {"projectId": catalog.PROJECT_LOAD} | ({"cursor": cursor} if cursor else {})
        page = api.get("/tests", params=query).json()
        found += [test["id"] for test in page["tests"]]
        cursor = page["nextCursor"]
    assert cursor is None
    assert found == [catalog.bulk_test_id(number) for number in range(1, 1001)]


def test_tests_of_a_group(api):
    """A group narrows the list of tests."""
    query = {"projectId": catalog.PROJECT_SHOP, "groupId": catalog.GROUP_BROKEN}
    found = {test["id"] for test in api.get("/tests", params=query).json()["tests"]}
    assert found == {catalog.TEST_PASSES, catalog.TEST_BREAKS}


def test_projects_are_found_by_their_short_id(api):
    """A project is found by its id and by its short id."""
    by_short_id = api.get("/projects/acme-shop").json()
    assert by_short_id == api.get(f"/projects/{catalog.PROJECT_SHOP}").json()


def test_a_test_names_its_groups(api):
    """The definition of a test lists its groups."""
    groups = api.get(f"/tests/{catalog.TEST_BREAKS}").json()["groups"]
    assert {group["id"] for group in groups} == {catalog.GROUP_ALL, catalog.GROUP_BROKEN}


def test_upper_case_ids_are_the_same_ids(api):
    """UUIDs are compared regardless of case."""
    run_id = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    assert api.get(f"/runs/{run_id.upper()}").json()["id"] == run_id
