"""The pull-request agent against the sandbox: judged, started once, and cancelled as the other runs."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.client.testerarmy.models import Run
from airflow_provider_testerarmy.exceptions import (
    CredentialsRejected,
    RequestRefused,
    RunCancelled,
    RunErrored,
    RunInterrupted,
    TestsFailedFinally,
    TestsSkipped,
)
from airflow_provider_testerarmy.hooks.matching import match
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunPullRequestOperator
from airflow_provider_testerarmy.runs.service import Match
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import no_pauses  # noqa: F401
from tests.lifecycle.tries import Died, Store, cancelled, started

pytestmark = pytest.mark.usefixtures("connections")

COMMIT = "4f2d1c9e0a"
WEB = {"project_id": catalog.PROJECT_SHOP, "target_url": "https://pr-7.shop.example/"}
MOBILE = {"project_id": catalog.PROJECT_APP, "platform": "ios", "mobile": {"app_id": catalog.MOBILE_APP}}


def pull_request(where=WEB, script="passes", **fields):
    given = {"pr_number": 7, "title": f"Faster checkout [sandbox:{script}]", "commit_sha": COMMIT}
    return TesterArmyRunPullRequestOperator(
        **{"task_id": "tests", "deferrable": False, "poll_interval": 0.05} | where | given | fields
    )


@pytest.mark.parametrize("where", [WEB, MOBILE], ids=["web", "mobile"])
@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize(
    ("script", "end"),
    [
        ("passes", "passed"),
        ("fails", TestsFailedFinally),
        ("breaks", RunErrored),
        ("skipped", TestsSkipped),
        ("rejected", RunCancelled),
    ],
)
def test_it_is_judged_as_the_others(tries, where, deferrable, script, end):
    """On either platform, in either mode."""
    task = pull_request(where, script, deferrable=deferrable)
    ended = tries.execute(task)
    if deferrable:
        assert isinstance(ended, TaskDeferred)
        ended = tries.through_trigger(task)
    assert ended["verdict"] == end if end == "passed" else type(ended) is end
    assert len(started(tries.service)) == 1


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["reset_after", "status_after", "garbage", "wrong_shape"])
@pytest.mark.parametrize("where", [WEB, MOBILE], ids=["web", "mobile"])
def test_a_lost_response_starts_no_second_run(tries, service, kind, where):
    """The run is found in the project's list by its number and commit."""
    service.control.faults.add(kind=kind, match="POST /projects/*/pull-request-runs")
    assert tries.execute(pull_request(where))["verdict"] == "passed"
    assert len(started(service)) == 1


@pytest.mark.usefixtures("no_pauses")
def test_a_retry_after_a_lost_worker_starts_no_second_run(tries, service, monkeypatch):
    """The worker dies between the request and its answer."""

    store = Store.set

    def die(self, key, value):
        if started(service):
            raise Died
        store(self, key, value)

    monkeypatch.setattr(Store, "set", die)
    assert isinstance(tries.execute(pull_request(), max_tries=1), Died)
    monkeypatch.setattr(Store, "set", store)
    assert tries.execute(pull_request(), 2, max_tries=1)["verdict"] == "passed"
    assert len(started(service)) == 1


@pytest.mark.usefixtures("no_pauses")
def test_the_run_of_another_pull_request_is_not_taken(tries, service):
    """It was started between the request and the search."""
    body = {
        "targetUrl": WEB["target_url"],
        "pullRequest": {"number": 8, "title": "Other", "commitSha": "beef"},
    }
    service.control.faults.add("reset_before", "POST /projects/*/pull-request-runs")
    service.control.faults.add("foreign_run", "POST /projects/*/pull-request-runs", body=body)
    ended = tries.execute(pull_request())
    assert ended["verdict"] == "passed"
    (run_id,) = ended["run_ids"]
    assert service.control.store.runs[run_id].input["pullRequest"]["number"] == 7


def test_a_killed_task_cancels_the_run(tries, service):
    """As every other run."""
    task = pull_request(script="endless")
    ended = tries.execute(task, meanwhile=task.on_kill)
    assert isinstance(ended, RunInterrupted)
    assert cancelled(service) == started(service)


def test_a_wrong_key(tries, monkeypatch, service):
    """Nothing is started."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": "sk_wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    monkeypatch.setattr("airflow_provider_testerarmy.runs.submission.setting.DENIED_AGAIN_AFTER", 0.0)
    assert isinstance(tries.execute(pull_request()), CredentialsRejected)
    assert started(service) == []


@pytest.mark.parametrize(
    ("where", "fields", "named"),
    [
        (WEB, {"pr_number": "0"}, "number"),
        (WEB, {"pr_number": "None"}, "number"),
        (WEB, {"title": ""}, "title"),
        (WEB, {"commit_sha": "None"}, "commit_sha"),
        (WEB, {"target_url": "ftp://x"}, "target_url"),
        (WEB, {"project_id": " "}, "project_id"),
        (WEB, {"platform": "{{ 1 }}", "simulator_region": "eu-north1"}, "simulator_region"),
        (MOBILE, {"simulator_region": "mars"}, "simulator_region"),
        (MOBILE, {"mobile": {"app": "x"}}, "mobile"),
    ],
)
def test_bad_input_is_refused(tries, service, where, fields, named):
    """Before anything is sent."""
    task = pull_request(where, **fields)
    task.render_template_fields({})
    if task.platform == "1":
        task.platform = None
    ended = tries.execute(task)
    assert isinstance(ended, RequestRefused)
    assert named in str(ended)
    assert service.control.log.entries() == []


@pytest.mark.parametrize(
    "fields", [{"target_url": None}, {"mobile": {}}, {"platform": "ios"}, {"simulator_region": "us-west1"}]
)
def test_parameters_of_the_other_platform_fail_the_dag_file(fields):
    """They would have no effect."""
    with pytest.raises(ValueError, match=r"platform|target_url"):
        pull_request(**fields)


SENT = {"number": 7, "title": "Faster", "commitSha": COMMIT}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"input": {"pullRequest": SENT}}, Match.YES),
        ({"input": {"pullRequest": {**SENT, "number": 8}}}, Match.NO),
        ({"input": {"pullRequest": {**SENT, "commitSha": "beef"}}}, Match.NO),
        ({"externalRef": {"github": {"prNumber": 7, "commitSha": COMMIT[:7]}}}, Match.YES),
        ({"externalRef": {"github": {"prNumber": 8}}}, Match.NO),
        ({"externalRef": "odd", "input": {"pullRequest": "odd"}}, Match.MAYBE),
        ({}, Match.MAYBE),
        ({"input": {"pullRequest": SENT, "targetUrl": "https://other.example"}}, Match.MAYBE),
        ({"input": {"pullRequest": SENT}, "source": "github_app"}, Match.NO),
        ({"input": {"prompt": "Look."}}, Match.NO),
        ({"testId": catalog.TEST_PASSES}, Match.NO),
    ],
)
def test_whose_run_it_is(shown, expected):
    """A run is the task's if number and commit say so; one that says nothing is doubtful."""
    run = Run.model_validate({"id": "r", "status": "queued", **shown})
    assert match(run, pull_request().build_request()) is expected
