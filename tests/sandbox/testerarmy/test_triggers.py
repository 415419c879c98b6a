"""Runs of pull requests and by webhooks."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog

PULL_REQUEST = {"number": 7, "title": "Faster checkout", "commitSha": "abc"}
WEB = {"targetUrl": "https://pr-7.shop.example/", "pullRequest": PULL_REQUEST}
MOBILE = {"platform": "ios", "pullRequest": PULL_REQUEST, "mobile": {"appId": catalog.MOBILE_APP}}


def start(api, project, body):
    """Start the pull-request agent."""
    return api.post(f"/projects/{project}/pull-request-runs", json=body)


@pytest.mark.parametrize(
    ("project", "body", "platform"),
    [(catalog.PROJECT_SHOP, WEB, "web"), (catalog.PROJECT_APP, MOBILE, "ios")],
)
def test_a_pull_request_is_tested(api, sandbox, project, body, platform):
    """One run of the project, which the log counts."""
    answer = start(api, project, body)
    assert (answer.status_code, answer.json()["platform"]) == (202, platform)
    run_id = answer.json()["runId"]
    assert sandbox.log.submitted_run_ids() == [run_id]
    listed = api.get("/runs", params={"projectId": project}).json()["runs"]
    assert [(run["id"], run["type"], run["platform"]) for run in listed] == [(run_id, "ci", platform)]


@pytest.mark.parametrize(
    ("project", "body", "status"),
    [
        (catalog.UNKNOWN_ID, WEB, 404),
        (catalog.PROJECT_APP, WEB, 400),
        (catalog.PROJECT_SHOP, MOBILE, 400),
        (catalog.PROJECT_SHOP, WEB | {"mobile": {}}, 400),
        (catalog.PROJECT_SHOP, WEB | {"pullRequest": PULL_REQUEST | {"number": 0}}, 400),
        (catalog.PROJECT_SHOP, {"pullRequest": PULL_REQUEST}, 400),
        (catalog.PROJECT_APP, MOBILE | {"mobile": {"appId": catalog.UNKNOWN_ID}}, 404),
    ],
)
def test_a_wrong_pull_request_is_refused(api, sandbox, project, body, status):
    """And nothing is started."""
    assert start(api, project, body).status_code == status
    assert sandbox.log.submitted_run_ids() == []


def test_a_group_is_started_by_its_webhook(api, sandbox):
    """Without an API key; a wrong secret starts nothing."""
    path = f"/groups/webhook/{catalog.GROUP_WEBHOOK}"
    plain = {"Authorization": ""}
    assert api.post(f"{path}/wrong", headers=plain).status_code == 401
    answer = api.post(f"{path}/{catalog.WEBHOOK_SECRET}", headers=plain, json={"commitSha": ""})
    assert answer.status_code == 202
    (batch,) = answer.json()["batchIds"]
    assert sandbox.log.submitted_run_ids() == [run.id for run in sandbox.store.batches[batch].runs]


def test_a_deployment_starts_a_run_if_it_succeeded(api, sandbox):
    """Any other event is ignored, with a reason."""
    path = f"/webhook/{catalog.PROJECT_WEBHOOK}/{catalog.WEBHOOK_SECRET}"
    ignored = api.post(path, json={"deployment_status": {"state": "pending"}}).json()
    assert (ignored["ignored"], bool(ignored["reason"])) == (True, True)
    assert api.post(path, json={"deployment_status": "success"}).json()["ignored"] is True
    assert api.post(path, json=["success"]).status_code == 400
    started = api.post(path, json={"deployment_status": {"state": "success"}}).json()
    assert sandbox.log.submitted_run_ids() == [started["runId"]]
