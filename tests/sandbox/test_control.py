from __future__ import annotations

import time

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog


def test_the_clock_can_be_moved(control):
    """Advance, speed and manual, alone or together."""
    assert control.post("/clock", json={"advance": 60}).json()["now"] == "2026-02-11T12:01:00.000Z"
    answer = control.post("/clock", json={"manual": False, "speed": 50}).json()
    assert (answer["manual"], answer["speed"]) == (False, 50)


def test_state_sums_up(control, api):
    """The state has the numbers of runs and calls, and the active runs."""
    run_id = api.post(f"/tests/{catalog.TEST_ENDLESS}/runs").json()["runId"]
    state = control.get("/state").json()
    assert (state["runs"], state["activeRunIds"]) == ({"queued": 1}, [run_id])
    assert (state["requests"], state["submissions"]) == ({"trigger_test": 1}, 1)


def test_faults_can_be_added_listed_and_cleared(control, api):
    """One or more faults are added; the list says how often each was applied."""
    control.post("/faults", json={"kind": "status", "match": "list_runs", "status": 503})
    answer = control.post("/faults", json=[{"kind": "html"}, {"kind": "delay", "seconds": 0}])
    assert [fault["id"] for fault in answer.json()["faults"]] == [2, 3]
    assert api.get("/runs").status_code == 503
    assert [fault["hits"] for fault in control.get("/faults").json()["faults"]] == [1, 0, 1]
    control.delete("/faults")
    assert api.get("/runs").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"kind": "earthquake"}),
        ("/faults", {"kind": "status", "matches": "x"}),
        ("/faults", {"kind": "status", "times": "often"}),
        ("/clock", {"advance": -1}),
        ("/clock", {"speed": 0}),
        ("/clock", {"forward": 1}),
        ("/switches", {"down": "maybe"}),
        ("/latency", {"seconds": -1}),
        (f"/tests/{catalog.TEST_PASSES}", {"script": "dances"}),
        (f"/tests/{catalog.UNKNOWN_ID}", {"script": "passes"}),
    ],
)
def test_misspelt_orders_are_refused(control, path, body):
    """A control request without an effect is an error."""
    answer = control.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_REQUEST")


def test_the_log_tells_calls_from_effects(control, api):
    """Every call is listed; accepted submissions and cancels carry their ids."""
    api.get("/runs")
    batch = api.post(f"/groups/{catalog.GROUP_BROKEN}/runs").json()
    api.post(f"/batches/{batch['batchId']}/cancel")
    api.post(f"/batches/{batch['batchId']}/cancel")
    log = control.get("/requests").json()
    assert [(entry["operation"], entry["answered"], entry["effect"]) for entry in log["requests"]] == [
        ("list_runs", 200, None),
        ("trigger_group", 202, "submitted"),
        ("cancel_batch", 200, "cancelled"),
        ("cancel_batch", 200, None),
    ]
    assert log["requests"][1]["batch_id"] == batch["batchId"]
    assert log["submittedRunIds"] == log["cancelledRunIds"] == batch["runIds"]
    assert len(control.get("/requests?operation=cancel_batch&since=3").json()["requests"]) == 1
    control.delete("/requests")
    assert control.get("/requests").json()["requests"] == []


def test_a_refused_submission_is_no_effect(api, sandbox):
    """A call with an error response started nothing."""
    api.post(f"/groups/{catalog.GROUP_EMPTY}/runs")
    assert sandbox.log.submissions() == []
    assert sandbox.log.entries()[0].answered == 400


def test_reset_forgets_everything_but_the_time(control, api, sandbox):
    """A reset restores runs, faults, request log, API keys, switches and tests."""
    api.post(f"/tests/{catalog.TEST_FLAKY}/runs")
    control.post("/faults", json={"kind": "status", "times": -1})
    control.post("/keys", json={"revoke": "sk_sandbox_key", "add": "sk_other"})
    control.post("/switches", json={"down": True, "dedupe": True})
    control.post(f"/tests/{catalog.TEST_PASSES}", json={"enabled": False, "script": "fails"})
    control.post("/latency", json={"seconds": 9})
    control.post("/reset")
    state = control.get("/state").json()
    assert (state["runCount"], state["faults"], state["requests"], state["latency"]) == (0, [], {}, 0.0)
    assert state["switches"] == {"dedupe": False, "down": None}
    assert api.post(f"/tests/{catalog.TEST_PASSES}/runs").status_code == 202
    sandbox.clock.advance(60)
    assert api.get("/runs").json()["runs"][0]["output"]["result"] == "PASS"


def test_keys_can_be_revoked_and_added(control, api):
    """The change applies from the next call."""
    control.post("/keys", json={"revoke": "sk_sandbox_key"})
    assert api.get("/runs").status_code == 401
    control.post("/keys", json={"add": "sk_sandbox_key"})
    assert api.get("/runs").status_code == 200


def test_a_run_can_be_put_into_any_status(control, api):
    """A forced status stays until the next control request, whether it is final or not."""
    run_id = api.post(f"/tests/{catalog.TEST_ENDLESS}/runs").json()["runId"]
    for status in ("running", "paused", "failed", "queued"):
        control.post(f"/runs/{run_id}", json={"status": status})
        assert api.get(f"/runs/{run_id}").json()["status"] == status
    control.post(f"/runs/{run_id}", json={"script": "passes", "status": "completed"})
    run = api.get(f"/runs/{run_id}").json()
    assert (run["status"], run["output"]["result"]) == ("completed", "PASS")


def test_a_test_can_follow_another_script(control, api, sandbox):
    """The next runs follow the new script, until it is removed."""
    control.post(f"/tests/{catalog.TEST_PASSES}", json={"script": "breaks"})
    first = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    control.post(f"/tests/{catalog.TEST_PASSES}", json={"script": None})
    second = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    sandbox.clock.advance(60)
    assert [api.get(f"/runs/{run_id}").json()["status"] for run_id in (first, second)] == [
        "failed",
        "completed",
    ]


def test_runs_are_shown_with_what_the_api_hides(control, api):
    """The list shows the batch and the script of each run."""
    batch = api.post(f"/groups/{catalog.GROUP_BROKEN}/runs").json()
    runs = control.get("/runs").json()["runs"]
    assert [(run["batchId"], run["script"]) for run in runs] == [
        (batch["batchId"], "passes"),
        (batch["batchId"], "breaks"),
    ]


def test_latency_slows_every_call(control, api):
    """Each call takes at least the given time."""
    control.post("/latency", json={"seconds": 0.05})
    begun = time.monotonic()
    api.get("/runs")
    assert time.monotonic() - begun >= 0.05


def test_control_calls_are_not_logged(control, sandbox):
    """Control requests are not in the request log."""
    control.get("/state")
    assert len(sandbox.log) == 0


def test_a_nasty_fault_comes_over_http(control, api):
    """The control API takes every field of a fault, and rejects an unknown change."""
    order = {"kind": "edit", "match": "list_runs", "drop": ["runs.*.source"], "armed_by": "trigger_*"}
    assert control.post("/faults", json=order).status_code == 201
    refused = control.post("/faults", json={"kind": "edit", "change": {"runs": "earthquake"}})
    assert refused.status_code == 400
    api.post(f"/tests/{catalog.TEST_PASSES}/runs")
    assert "source" not in api.get("/runs").json()["runs"][0]


@pytest.mark.parametrize(
    ("order", "runs"),
    [
        ({"testId": catalog.TEST_PASSES}, 1),
        ({"groupId": catalog.GROUP_NIGHTLY, "source": "schedule"}, 8),
        ({"prompt": "Look", "source": "api"}, 1),
    ],
)
def test_somebody_else_starts_runs(control, api, sandbox, order, runs):
    """Runs of others are listed, but are not in the request log."""
    started = control.post("/foreign-runs", json=order).json()["runIds"]
    listed = api.get("/runs").json()["runs"]
    assert sorted(run["id"] for run in listed) == sorted(started)
    assert {run["source"] for run in listed} == {order.get("source", "dashboard")}
    assert len(started) == runs
    assert sandbox.log.submissions() == []
    assert control.get("/state").json()["foreignRunIds"] == started


def test_a_group_gets_other_tests(control, api):
    """Until the reset, new runs and lists show the change."""
    kept = [catalog.TEST_LOGIN, catalog.TEST_PASSES]
    control.post(f"/groups/{catalog.GROUP_NIGHTLY}", json={"testIds": kept})
    assert api.post(f"/groups/{catalog.GROUP_NIGHTLY}/runs").json()["count"] == 2
    query = {"projectId": catalog.PROJECT_SHOP, "groupId": catalog.GROUP_NIGHTLY}
    assert sorted(t["id"] for t in api.get("/tests", params=query).json()["tests"]) == sorted(kept)
    unknown = control.post(f"/groups/{catalog.GROUP_NIGHTLY}", json={"testIds": [catalog.UNKNOWN_ID]})
    assert unknown.status_code == 400
    control.post("/reset")
    assert api.post(f"/groups/{catalog.GROUP_NIGHTLY}/runs").json()["count"] == 8


def test_a_test_is_renamed_and_deleted(control, api):
    """A deleted test is not found, and its groups no longer run it."""
    path = f"/tests/{catalog.TEST_PASSES}"
    control.post(path, json={"title": "Another title"})
    assert api.get(path).json()["title"] == "Another title"
    batch = api.post(f"/groups/{catalog.GROUP_BROKEN}/runs").json()
    control.post(path, json={"deleted": True})
    assert api.get(path).status_code == api.post(f"{path}/runs").status_code == 404
    assert api.post(f"/groups/{catalog.GROUP_BROKEN}/runs").json()["count"] == 1
    api.post(f"/batches/{batch['batchId']}/cancel")
    assert api.post(f"/batches/{batch['batchId']}/rerun").json()["count"] == 1
    control.post("/reset")
    assert api.get(path).json()["title"] != "Another title"
