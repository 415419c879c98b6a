from __future__ import annotations

import json

import httpx
import pytest

from airflow_provider_testerarmy.sandbox.app import create_app
from airflow_provider_testerarmy.sandbox.docket import catalog
from airflow_provider_testerarmy.sandbox.docket.store import SCRIPTS
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.sandbox.conftest import InProcess

TRIGGER = "/test_group_run/trigger_run"
CI_TRIGGER = "/test_group_run/trigger_ci_run"
COMMIT = {"repository": "acme/shop", "commit_sha": "4f2d1c9", "run_id": "9001", "ref": "refs/heads/main"}


@pytest.fixture
def api(sandbox, runner):
    """Docket's API, in process."""
    return httpx.Client(
        transport=InProcess(create_app(sandbox), runner),
        base_url="http://sandbox/docket",
        headers={"X-API-KEY": DEFAULT_API_KEY},
    )


@pytest.fixture
def remote(server):
    """Docket's API, over a socket."""
    headers = {"X-API-KEY": DEFAULT_API_KEY}
    with httpx.Client(base_url=server.docket_url, headers=headers, timeout=5, trust_env=False) as client:
        yield client


def start(api, *ids):
    """Start a group run; return the ids of its runs."""
    group = api.post(TRIGGER, json={"test_blueprint_ids": list(ids)}).json()["test_group_run"]
    return [run["id"] for run in group["test_runs"]]


def read(api, run_id):
    """Return a run."""
    return api.get(f"/test_run/{run_id}").json()["test_run"]


def test_the_answer_to_a_trigger(api):
    """The response has a message, and the group run with its running tests."""
    answer = api.post(TRIGGER, json={"test_blueprint_ids": [181, 182]}).json()
    group = answer["test_group_run"]
    assert answer["message"] == "Test group run triggered successfully"
    assert (group["status"], group["company_id"]) == ("running", 2)
    for run, blueprint_id in zip(group["test_runs"], (181, 182), strict=True):
        assert (run["status"], run["results"], run["test_video_s3_key"]) == ("running", None, None)
        assert (run["test_blueprint_id"], run["test_group_run_id"]) == (blueprint_id, group["id"])
    assert group["created_at"] == "2026-02-11T12:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("blueprint_id", "status", "attempts"),
    [
        (catalog.BLUEPRINT_PASSES, "passed", 0),
        (catalog.BLUEPRINT_FAILS, "failed", 0),
        (catalog.BLUEPRINT_STOPPED, "stopped", 0),
        (catalog.BLUEPRINT_RETRIED, "passed", 1),
        (catalog.BLUEPRINT_RETRIED_IN_VAIN, "failed", 1),
        (catalog.BLUEPRINT_ENDLESS, "running", 0),
        (catalog.BLUEPRINT_UNKNOWN_STATUS, "archived", 0),
        (catalog.BLUEPRINT_ERROR, "error", 0),
    ],
)
def test_how_runs_end(api, sandbox, blueprint_id, status, attempts):
    """Each blueprint follows its own script."""
    (run_id,) = start(api, blueprint_id)
    assert read(api, run_id)["status"] == "running"
    sandbox.clock.advance(3600)
    run = read(api, run_id)
    assert (run["status"], len(run["additional_attempts"])) == (status, attempts)


def test_a_retried_run_shows_its_failed_attempt_while_it_tries_again(api, sandbox):
    """The results appear when the run has ended, and are those of the last attempt."""
    (run_id,) = start(api, catalog.BLUEPRINT_RETRIED)
    sandbox.clock.advance(10)
    run = read(api, run_id)
    assert (run["status"], run["results"]) == ("running", None)
    assert run["additional_attempts"][0]["results"][-1]["is_successful"] is False
    sandbox.clock.advance(10)
    run = read(api, run_id)
    assert all(step["is_successful"] for step in run["results"])
    assert len(run["additional_attempts"]) == 1


def test_an_unknown_status_comes_and_goes(api, sandbox):
    """An unknown status that ends, then one that stays."""
    (run_id,) = start(api, catalog.BLUEPRINT_UNKNOWN_STATUS)
    sandbox.clock.advance(9)
    assert read(api, run_id)["status"] == "paused"
    sandbox.clock.advance(6)
    assert read(api, run_id)["status"] == "archived"
    assert sandbox.docket.active_run_ids() == [run_id]


def test_a_flaky_test_alternates(api, sandbox):
    """The runs of the flaky blueprint fail and pass in turn."""
    run_ids = [start(api, catalog.BLUEPRINT_FLAKY)[0] for _ in range(3)]
    sandbox.clock.advance(60)
    assert [read(api, run_id)["status"] for run_id in run_ids] == ["failed", "passed", "failed"]


def test_a_passed_run_can_have_a_failed_step(api, sandbox):
    """The run passed although one of its steps failed."""
    (run_id,) = start(api, catalog.BLUEPRINT_PASSED_WITH_FAILED_STEP)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    assert run["status"] == "passed"
    assert [step["is_successful"] for step in run["results"]] == [True, True, False, True]


def test_an_error_ends_a_run_and_its_group(api, sandbox):
    """The group run is `failed` if any test failed, and otherwise `error`."""
    start(api, catalog.BLUEPRINT_ERROR, catalog.BLUEPRINT_PASSES)
    start(api, catalog.BLUEPRINT_ERROR, catalog.BLUEPRINT_FAILS)
    sandbox.clock.advance(60)
    now = sandbox.clock.time()
    assert [group.status(now) for group in sandbox.docket.group_runs.values()] == ["error", "failed"]
    assert sandbox.docket.active_run_ids() == []


def test_a_login_runs_first_and_once(api):
    """A group run signs in once, however many of its tests need it."""
    ids = [catalog.BLUEPRINT_NEEDS_LOGIN, catalog.BLUEPRINT_PASSES, catalog.BLUEPRINT_NEEDS_LOGIN]
    group = api.post(TRIGGER, json={"test_blueprint_ids": ids}).json()["test_group_run"]
    runs = [(run["test_blueprint_id"], run["is_login_test_run"]) for run in group["test_runs"]]
    assert runs == [(catalog.BLUEPRINT_LOGIN, True), *((one, False) for one in ids)]


@pytest.mark.parametrize(("change", "numbers"), [("repeat_first", [0, 1, 0]), ("drop_first", [1])])
def test_an_answer_that_names_a_run_twice_or_not_at_all(api, sandbox, change, numbers):
    """All runs are started; only the response is wrong."""
    sandbox.faults.add("edit", "docket_trigger_run", change={"test_group_run.test_runs": change})
    answered = start(api, 181, 182)
    (group,) = sandbox.docket.group_runs.values()
    assert answered == [group.runs[number].id for number in numbers]


def test_a_late_answer_takes_effect_at_once(remote, server):
    """A client that times out has started the runs."""
    server.control.faults.add("delay_after", "docket_trigger_run", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        remote.post(TRIGGER, json={"test_blueprint_ids": [181]}, timeout=0.5)
    assert len(server.control.docket.group_runs) == 1


def test_a_finished_run_has_pictures_and_a_video(api, sandbox):
    """The URLs look signed, and the screenshots exist."""
    (run_id,) = start(api, catalog.BLUEPRINT_FAILS)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    picture = run["results"][0]["actions"][0]["screenshot_url"]
    assert httpx.URL(picture).params["X-Amz-Expires"] == "3600"
    assert api.get(picture).headers["content-type"] == "image/png"
    assert ".webm?X-Amz-Algorithm" in run["test_video_url"]
    assert "no videos" in api.get(run["test_video_url"]).text
    assert run["test_video_download_url"].startswith(run["test_video_url"])
    assert run["updated_at"] == "2026-02-11T12:00:11.000000+00:00"


def test_snapshots_are_large(api):
    """The field `blueprint_metadata` can be large."""
    (run_id,) = start(api, catalog.BLUEPRINT_HUGE)
    assert len(api.get(f"/test_run/{run_id}").content) > 2_000_000
    (run_id,) = start(api, catalog.BLUEPRINT_PASSES)
    assert len(json.dumps(read(api, run_id)["blueprint_metadata"])) > 8_000


def test_a_sparse_run_has_nothing_but_its_status(api, sandbox):
    """Every nullable field is null."""
    (run_id,) = start(api, catalog.BLUEPRINT_SPARSE)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    assert (run.pop("id"), run.pop("status"), run.pop("agent_mood")) == (run_id, "passed", {"happy": True})
    assert set(run.values()) == {None}


def test_hostile_text_arrives_unchanged(api, sandbox):
    """Hostile text is served as JSON."""
    (run_id,) = start(api, catalog.BLUEPRINT_HOSTILE)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    assert "<script>" in run["blueprint_metadata"]["title"]
    assert run["test_video_url"].startswith("javascript:")


def test_a_category_and_a_commit(api, sandbox):
    """A request can combine a category with a commit."""
    body = {"test_blueprint_category_id": catalog.CATEGORY_CHECKOUT, "github_context": COMMIT}
    group = api.post(CI_TRIGGER, json=body).json()["test_group_run"]
    started = [run["test_blueprint_id"] for run in group["test_runs"]]
    assert started == list(catalog.CATEGORIES[catalog.CATEGORY_CHECKOUT])
    assert sandbox.docket.group_runs[group["id"]].github_context == COMMIT


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (TRIGGER, {}, 400),
        (TRIGGER, {"test_blueprint_ids": [181], "test_blueprint_category_id": 11}, 400),
        (TRIGGER, {"test_blueprint_ids": []}, 400),
        (TRIGGER, {"test_blueprint_ids": ["181"]}, 400),
        (TRIGGER, {"test_blueprint_ids": [True]}, 400),
        (TRIGGER, {"test_blueprint_ids": 181}, 400),
        (TRIGGER, {"test_blueprint_ids": [181, 999_999]}, 404),
        (TRIGGER, {"test_blueprint_category_id": catalog.CATEGORY_EMPTY}, 400),
        (TRIGGER, {"test_blueprint_category_id": 999_999}, 404),
        (CI_TRIGGER, {"test_blueprint_ids": [181]}, 400),
        (CI_TRIGGER, {"test_blueprint_ids": [181], "github_context": {"ref": "main"}}, 400),
    ],
)
def test_refused_triggers_start_nothing(api, sandbox, path, body, status):
    """An error has a message but no code."""
    answer = api.post(path, json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]
    assert sandbox.docket.runs == {}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-KEY": "sk_wrong"}, 401),
        ({"Authorization": f"Bearer {DEFAULT_API_KEY}"}, 401),
        ({"X-API-KEY": "sk_forbidden_x"}, 403),
    ],
)
def test_wrong_keys(server, headers, status):
    """The API key is sent in the X-API-KEY header."""
    answer = httpx.get(f"{server.docket_url}/test_run/0", headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]


@pytest.mark.parametrize(
    ("path", "status"), [("/test_run/0", 404), ("/test_run/x", 400), ("/test_runs", 404)]
)
def test_what_there_is_not(api, path, status):
    """An unknown run, an invalid id and a list are errors."""
    assert api.get(path).status_code == status


@pytest.mark.parametrize(("kind", "runs"), [("reset_before", 0), ("reset_after", 2)])
def test_faults_strike_here_too(server, remote, kind, runs):
    """The request log shows which calls took effect."""
    server.control.faults.add(kind, "docket_trigger_run")
    # A client that is still sending its body may see the end of the connection instead of the reset.
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        remote.post(TRIGGER, json={"test_blueprint_ids": [181, 182]})
    (entry,) = server.control.log.entries("docket_trigger_run")
    assert (entry.answered, len(entry.run_ids)) == ("reset", runs)
    assert server.control.log.submitted_run_ids() == list(server.control.docket.runs)


def test_a_fault_speaks_as_docket_does(remote, server):
    """The error of a fault has a message and no code."""
    server.control.faults.add("status", "docket_*", status=429, retry_after=3)
    answer = remote.get("/test_run/0")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json() == {"message": "A scripted fault"}


def test_faults_for_one_vendor_leave_the_other_alone(remote, server):
    """Faults match Docket's operation names."""
    server.control.faults.add("status", "trigger_*", times=-1)
    assert remote.post(TRIGGER, json={"test_blueprint_ids": [181]}).status_code == 200


def test_a_new_run_may_be_found_late(api, sandbox):
    """A run is hidden for a while although its trigger has been answered."""
    sandbox.faults.add("list_lag", "docket_trigger_run", seconds=5)
    (run_id,) = start(api, 181)
    assert api.get(f"/test_run/{run_id}").status_code == 404
    sandbox.clock.advance(5)
    assert read(api, run_id)["status"] == "running"


def test_fate_can_be_played(api, control, sandbox):
    """The control API sets the status of runs and changes the scripts of blueprints."""
    control.post("/docket/blueprints/181", json={"script": "fails"})
    (run_id,) = start(api, 181)
    sandbox.clock.advance(60)
    assert read(api, run_id)["status"] == "failed"
    control.post("/docket/blueprints/181", json={"script": None})
    (run_id,) = start(api, 181)
    answer = control.post(f"/docket/runs/{run_id}", json={"status": "stopped"}).json()
    assert (answer["status"], read(api, run_id)["status"]) == ("stopped", "stopped")
    assert [run["status"] for run in control.get("/docket/runs").json()["runs"]] == ["failed", "stopped"]
    assert control.get("/state").json()["docket"]["runs"] == {"failed": 1, "stopped": 1}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/docket/blueprints/181", {"script": "flies"}, 400),
        ("/docket/blueprints/999999", {"script": "fails"}, 404),
        ("/docket/blueprints/181", {"scirpt": "fails"}, 400),
        ("/docket/runs/1", {"status": "passed"}, 404),
    ],
)
def test_mistaken_orders(control, path, body, status):
    """An invalid control request is an error."""
    assert control.post(path, json=body).status_code == status


def test_a_reset_forgets_runs_and_never_gives_an_id_twice(api, sandbox):
    """After a reset, an old id must not name a new run."""
    before = start(api, 181)
    sandbox.reset()
    assert sandbox.docket.runs == {}
    assert start(api, 181)[0] > before[0]


def test_every_script_is_in_the_catalog():
    """Every script has a blueprint and every blueprint a script; categories name existing blueprints only."""
    assert {blueprint.script for blueprint in catalog.BLUEPRINTS.values()} == set(SCRIPTS)
    assert all(test in catalog.BLUEPRINTS for tests in catalog.CATEGORIES.values() for test in tests)
