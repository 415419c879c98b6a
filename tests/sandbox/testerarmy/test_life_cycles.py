from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog


def start(api, test_id, **body):
    """Start a run of a test and return its id."""
    answer = api.post(f"/tests/{test_id}/runs", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["runId"]


def start_group(api, group_id, **body):
    """Start a group and return the response."""
    answer = api.post(f"/groups/{group_id}/runs", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def read(api, run_id):
    """Return a run."""
    return api.get(f"/runs/{run_id}").json()


def test_a_run_is_queued_then_runs_then_completes(api, sandbox):
    """A passing run goes through all statuses and records when."""
    run_id = start(api, catalog.TEST_PASSES)
    assert read(api, run_id)["status"] == "queued"
    sandbox.clock.advance(1)
    running = read(api, run_id)
    assert (running["status"], running["startedAt"]) == ("running", "2026-02-11T12:00:01.000Z")
    assert running["completedAt"] is running["durationMs"] is running["output"] is None
    sandbox.clock.advance(8)
    done = read(api, run_id)
    assert (done["status"], done["output"]["result"]) == ("completed", "PASS")
    assert (done["completedAt"], done["durationMs"]) == ("2026-02-11T12:00:09.000Z", 8000)


@pytest.mark.parametrize(
    ("test_id", "result", "issues"),
    [
        (catalog.TEST_PASSES, "PASS", []),
        (catalog.TEST_PASSES_WITH_WARNING, "PASS", [("warning", 2)]),
        (catalog.TEST_PASSES_WITH_SEVERE_ISSUE, "PASS", [("issue", 4)]),
        (catalog.TEST_FAILS, "FAILED", [("issue", 5), ("issue", 3), ("issue", 1), ("warning", 2)]),
        (catalog.TEST_SPARSE, "PASS", []),
        (catalog.TEST_UNKNOWN_RESULT, "INCONCLUSIVE", []),
        (catalog.TEST_CUT_EMOJI, "PASS", []),
        (catalog.TEST_MOBILE, "PASS", []),
    ],
)
def test_completed_runs_carry_a_result_and_issues(api, sandbox, test_id, result, issues):
    """A run that completed says what the agent found."""
    run_id = start(api, test_id)
    sandbox.clock.advance(60)
    output = read(api, run_id)["output"]
    assert output["result"] == result
    assert [(issue["type"], issue["severity"]) for issue in output.get("issues", [])] == issues


def test_a_failing_run_names_the_refused_credential(api, sandbox):
    """One step failed, with the code of an invalid credential."""
    run_id = start(api, catalog.TEST_FAILS)
    sandbox.clock.advance(60)
    failed = [step for step in read(api, run_id)["output"]["steps"] if step["status"] == "failed"]
    assert [(step["type"], step["errorCode"]) for step in failed] == [("login", "AUTH_CREDENTIAL_INVALID")]


def test_a_broken_run_has_an_error_and_no_output(api, sandbox):
    """`failed` means that the service broke: there is an error and no verdict."""
    run_id = start(api, catalog.TEST_BREAKS)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    assert (run["status"], run["error"]["code"], run["output"]) == ("failed", "BROWSER_START_FAILED", None)


def test_a_flaky_test_alternates(api, sandbox):
    """Runs of the flaky test fail and pass in turn."""
    run_ids = [start(api, catalog.TEST_FLAKY) for _ in range(4)]
    sandbox.clock.advance(60)
    results = [read(api, run_id)["output"]["result"] for run_id in run_ids]
    assert results == ["FAILED", "PASS", "FAILED", "PASS"]


def test_a_test_that_breaks_once_passes_ever_after(api, sandbox):
    """Only the first run breaks."""
    run_ids = [start(api, catalog.TEST_BREAKS_ONCE) for _ in range(3)]
    sandbox.clock.advance(60)
    assert [read(api, run_id)["status"] for run_id in run_ids] == ["failed", "completed", "completed"]


def test_the_planner_may_skip(api, sandbox):
    """A skipped run completes with a reason instead of a result."""
    run_id = start(api, catalog.TEST_SKIPPED)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    assert run["status"] == "completed"
    assert set(run["output"]) == {"kind", "reason"}
    assert run["output"]["kind"] == "planner_skipped"


def test_a_person_may_cancel(api, sandbox):
    """A run that a person cancels has started and has no output."""
    run_id = start(api, catalog.TEST_CANCELLED)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    assert (run["status"], run["output"]) == ("cancelled", None)
    assert run["startedAt"] is not None


def test_a_rejected_run_is_cancelled_at_once(api):
    """The trigger reports `queued`, but the run was cancelled before it started."""
    run = read(api, start(api, catalog.TEST_REJECTED))
    assert (run["status"], run["startedAt"], run["durationMs"]) == ("cancelled", None, None)
    assert run["completedAt"] == run["createdAt"]


@pytest.mark.parametrize(
    ("test_id", "status"),
    [(catalog.TEST_ENDLESS, "running"), (catalog.TEST_STUCK_IN_QUEUE, "queued")],
)
def test_some_runs_never_end(api, sandbox, test_id, status):
    """Endless runs do not change, even days later."""
    run_id = start(api, test_id)
    sandbox.clock.advance(7 * 86_400)
    assert read(api, run_id)["status"] == status


def test_statuses_that_nobody_knows(api, sandbox):
    """The run is paused for a while, then stays expired; it can still be cancelled."""
    run_id = start(api, catalog.TEST_UNKNOWN_STATUS)
    sandbox.clock.advance(5)
    assert read(api, run_id)["status"] == "paused"
    sandbox.clock.advance(3600)
    assert read(api, run_id)["status"] == "expired"
    assert sandbox.store.active_run_ids() == [run_id]
    assert api.post(f"/runs/{run_id}/cancel").status_code == 200


def test_the_service_retries_some_runs_itself(api, sandbox):
    """The service's own retry keeps the run id and is counted."""
    run_id = start(api, catalog.TEST_AUTO_RETRIED)
    sandbox.clock.advance(60)
    assert read(api, run_id)["autoRetryCount"] == 1


def test_hostile_text_arrives_unchanged(api, sandbox):
    """Markup, control characters and script URLs are served as JSON text."""
    run_id = start(api, catalog.TEST_HOSTILE)
    sandbox.clock.advance(60)
    run = read(api, run_id)
    output = run["output"]
    assert "<script>" in run["userName"]
    assert "\x00" in output["description"]
    assert "\u202e" in output["description"]
    assert output["screenshots"][0].startswith("javascript:")
    assert len(output["featureName"]) > 10_000


def test_half_an_emoji_travels_as_an_escape(api, sandbox):
    """Text with a lone surrogate is sent as ASCII escapes."""
    run_id = start(api, catalog.TEST_CUT_EMOJI)
    sandbox.clock.advance(60)
    assert b"\\ud83d" in api.get(f"/runs/{run_id}").content
    assert read(api, run_id)["output"]["description"].endswith("\ud83d")


def test_the_nightly_group_ends_in_about_15_seconds(api, sandbox):
    """At real speed, runs end within seconds."""
    start_group(api, catalog.GROUP_NIGHTLY)
    sandbox.clock.advance(13)
    assert sandbox.store.active_run_ids()
    sandbox.clock.advance(3)
    assert sandbox.store.count_by_status() == {"completed": 8}


def test_a_concurrent_group_runs_all_at_once(api, sandbox):
    """Shortly after the trigger, all tests run."""
    start_group(api, catalog.GROUP_NIGHTLY)
    sandbox.clock.advance(2)
    assert sandbox.store.count_by_status() == {"running": 8}


def test_a_sequential_group_runs_one_after_another(api, sandbox):
    """Never more than one run is running, and the preparation test is the first."""
    run_ids = start_group(api, catalog.GROUP_SEQUENTIAL)["runIds"]
    assert read(api, run_ids[0])["testId"] == catalog.TEST_PREPARATION
    seen = []
    while sandbox.store.active_run_ids():
        running = [run_id for run_id in run_ids if read(api, run_id)["status"] == "running"]
        assert len(running) <= 1
        seen += [run_id for run_id in running if run_id not in seen]
        sandbox.clock.advance(0.5)
    assert seen == run_ids


def test_the_others_wait_for_the_preparation_test(api, sandbox):
    """In a concurrent group, all start when the preparation test has ended."""
    run_ids = start_group(api, catalog.GROUP_PREPARED)["runIds"]
    sandbox.clock.advance(6.9)
    assert [read(api, run_id)["status"] for run_id in run_ids] == ["running", "queued", "queued"]
    sandbox.clock.advance(1.0)
    assert [read(api, run_id)["status"] for run_id in run_ids] == ["completed", "running", "running"]


def test_cancelling_a_run_lets_the_next_of_a_sequence_start(api, sandbox):
    """A cancelled run does not delay the next one."""
    run_ids = start_group(api, catalog.GROUP_SEQUENTIAL)["runIds"]
    api.post(f"/runs/{run_ids[0]}/cancel")
    sandbox.clock.advance(2)
    assert read(api, run_ids[1])["status"] == "running"
