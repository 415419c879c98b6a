"""Groups that the sandbox's clients create, fill and delete."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog

UNKNOWN = catalog.UNKNOWN_ID


def create(api, **fields):
    """Create a group of the shop."""
    return api.post("/groups", json={"projectId": catalog.PROJECT_SHOP, "name": "Mine"} | fields)


def test_a_group_runs_the_tests_that_were_added(api):
    """It is in the list, and a second membership of a test changes nothing."""
    group_id = create(api, prepTestId=None).json()["group"]["id"]
    for status in (201, 200):
        answer = api.post(f"/groups/{group_id}/tests", json={"testId": catalog.TEST_PASSES})
        assert (answer.status_code, answer.json()["added"]) == (status, status == 201)
    listed = api.get("/groups", params={"projectId": catalog.PROJECT_SHOP}).json()["groups"]
    assert [one["testCount"] for one in listed if one["id"] == group_id] == [1]
    assert api.post(f"/groups/{group_id}/runs").json()["count"] == 1


def test_a_deleted_group_leaves_its_runs_active(api, sandbox):
    """The OpenAPI document does not say that they end."""
    group_id = create(api).json()["group"]["id"]
    api.post(f"/groups/{group_id}/tests", json={"testId": catalog.TEST_ENDLESS})
    (run_id,) = api.post(f"/groups/{group_id}/runs").json()["runIds"]
    assert api.delete(f"/groups/{group_id}").json() == {"deleted": True, "id": group_id}
    assert api.delete(f"/groups/{group_id}").status_code == 404
    sandbox.clock.advance(5)
    assert api.get(f"/runs/{run_id}").json()["status"] == "running"


def test_a_preparation_test_that_is_a_member_runs_once(api):
    """It runs before the others."""
    group_id = create(api, prepTestId=catalog.TEST_PREPARATION).json()["group"]["id"]
    for test_id in (catalog.TEST_PASSES, catalog.TEST_PREPARATION):
        api.post(f"/groups/{group_id}/tests", json={"testId": test_id})
    assert api.post(f"/groups/{group_id}/runs").json()["count"] == 2


def test_the_default_group_cannot_be_deleted(api):
    """The OpenAPI document says so."""
    assert api.delete(f"/groups/{catalog.GROUP_ALL}").status_code == 400


def test_a_project_has_at_most_20_groups(api):
    """The next one is refused, and another project is not concerned."""
    answers = [create(api).status_code for _ in range(20)]
    assert answers[-1] == 400
    listed = api.get("/groups", params={"projectId": catalog.PROJECT_SHOP}).json()["groups"]
    assert len(listed) == 20
    assert create(api, projectId=catalog.PROJECT_APP).status_code == 201


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"projectId": "nobody"}, 404),
        ({"name": ""}, 400),
        ({"name": "x" * 256}, 400),
        ({"name": None}, 400),
        ({"runMode": "at once"}, 400),
        ({"prepTestId": "not-a-uuid"}, 400),
        ({"prepTestId": UNKNOWN}, 404),
        ({"prepTestId": catalog.TEST_MOBILE}, 400),
    ],
)
def test_a_wrong_group_is_refused(api, fields, status):
    """With the error that says why."""
    assert create(api, **fields).status_code == status


@pytest.mark.parametrize(
    ("group_id", "body", "status"),
    [
        (UNKNOWN, {"testId": catalog.TEST_PASSES}, 404),
        (catalog.GROUP_NIGHTLY, {"testId": UNKNOWN}, 404),
        (catalog.GROUP_NIGHTLY, {"testId": "x"}, 400),
        (catalog.GROUP_NIGHTLY, {}, 400),
        (catalog.GROUP_NIGHTLY, {"testId": catalog.TEST_MOBILE}, 400),
    ],
)
def test_a_wrong_member_is_refused(api, group_id, body, status):
    """A test of another project cannot be a member."""
    assert api.post(f"/groups/{group_id}/tests", json=body).status_code == status
