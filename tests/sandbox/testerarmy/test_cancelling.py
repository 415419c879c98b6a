from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog


def start_group(api, group_id):
    """Start a group and return the response."""
    return api.post(f"/groups/{group_id}/runs").json()


@pytest.mark.parametrize("seconds", [0, 3])
def test_queued_and_running_runs_can_be_cancelled(api, sandbox, seconds):
    """A queued and a running run are cancelled at once, and stay cancelled."""
    run_id = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    sandbox.clock.advance(seconds)
    answer = api.post(f"/runs/{run_id}/cancel")
    assert (answer.status_code, answer.json()) == (200, {"id": run_id, "status": "cancelled"})
    sandbox.clock.advance(60)
    run = api.get(f"/runs/{run_id}").json()
    assert (run["status"], run["output"]) == ("cancelled", None)
    assert run["completedAt"] == f"2026-02-11T12:00:0{seconds}.000Z"
    assert (run["startedAt"] is None) == (seconds == 0)


def test_ended_runs_cannot_be_cancelled(api, sandbox):
    """Cancelling a finished or cancelled run is a 409 and changes nothing."""
    run_id = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    other_id = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    assert api.post(f"/runs/{other_id}/cancel").status_code == 200
    assert api.post(f"/runs/{other_id}/cancel").status_code == 409
    sandbox.clock.advance(60)
    answer = api.post(f"/runs/{run_id}/cancel")
    assert (answer.status_code, answer.json()["error"]) == (409, "CONFLICT")
    assert api.get(f"/runs/{run_id}").json()["status"] == "completed"


def test_a_run_may_refuse(api, sandbox):
    """A run that refuses to be cancelled gives 409 although it is running."""
    run_id = api.post(f"/tests/{catalog.TEST_REFUSES_CANCEL}/runs").json()["runId"]
    assert api.post(f"/runs/{run_id}/cancel").status_code == 409
    assert sandbox.store.active_run_ids() == [run_id]


def test_cancelling_a_batch_leaves_finished_runs(api, sandbox):
    """Active runs are cancelled, others counted; a second call changes nothing."""
    batch = start_group(api, catalog.GROUP_ENDLESS)
    sandbox.clock.advance(60)
    passed, endless = batch["runIds"]
    answer = api.post(f"/batches/{batch['batchId']}/cancel")
    assert answer.json() == {
        "batchId": batch["batchId"],
        "cancelled": 1,
        "alreadyFinished": 1,
        "cancelledRunIds": [endless],
        "alreadyFinishedRunIds": [passed],
    }
    again = api.post(f"/batches/{batch['batchId']}/cancel").json()
    assert (again["cancelled"], again["alreadyFinished"]) == (0, 2)


def test_a_batch_with_a_refusing_run_conflicts(api):
    """409 names the run that refuses; the others are cancelled nevertheless."""
    batch = start_group(api, catalog.GROUP_REFUSES_CANCEL)
    answer = api.post(f"/batches/{batch['batchId']}/cancel")
    endless, refusing = batch["runIds"]
    assert answer.status_code == 409
    assert (answer.json()["cancelledRunIds"], answer.json()["failedRunIds"]) == ([endless], [refusing])


def test_a_rerun_is_a_new_batch_of_the_same_tests(api, sandbox):
    """The new batch has new runs of the same tests, and names its source."""
    source = start_group(api, catalog.GROUP_BREAKS_ONCE)
    sandbox.clock.advance(60)
    answer = api.post(f"/batches/{source['batchId']}/rerun")
    rerun = answer.json()
    assert (answer.status_code, rerun["sourceBatchId"]) == (202, source["batchId"])
    assert rerun["batchId"] != source["batchId"]
    sandbox.clock.advance(60)
    assert [api.get(f"/runs/{run_id}").json()["status"] for run_id in rerun["runIds"]] == ["completed"] * 2


def test_an_active_batch_cannot_be_rerun(api):
    """A batch with an active run cannot be rerun (409)."""
    source = start_group(api, catalog.GROUP_ENDLESS)
    assert api.post(f"/batches/{source['batchId']}/rerun").status_code == 409


def test_a_rerun_skips_disabled_tests(api, sandbox):
    """Tests that were disabled since are listed as skipped; if none is left, the rerun is an error."""
    source = start_group(api, catalog.GROUP_BROKEN)
    sandbox.clock.advance(60)
    sandbox.store.catalog.set_enabled(catalog.TEST_BREAKS, enabled=False)
    rerun = api.post(f"/batches/{source['batchId']}/rerun").json()
    assert (rerun["skippedTestIds"], rerun["count"]) == ([catalog.TEST_BREAKS], 1)
    sandbox.clock.advance(60)
    sandbox.store.catalog.set_enabled(catalog.TEST_PASSES, enabled=False)
    assert api.post(f"/batches/{source['batchId']}/rerun").json()["error"] == "NO_RUNNABLE_TESTS"
