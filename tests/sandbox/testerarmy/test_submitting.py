from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog


def test_a_test_run_echoes_what_was_asked(api):
    """The run carries the body's fields, its mode and its device."""
    body = {"mode": "deep", "platform": "ios", "deviceModel": "ipad", "appId": catalog.MOBILE_APP, "x": 1}
    answer = api.post(f"/tests/{catalog.TEST_MOBILE}/runs", json=body)
    run = api.get(f"/runs/{answer.json()['runId']}").json()
    assert run["input"] == {"testId": catalog.TEST_MOBILE, **{k: v for k, v in body.items() if k != "x"}}
    assert (run["executionMode"], run["platform"], run["deviceModel"]) == ("deep", "ios", "ipad")
    assert (run["type"], run["source"], run["projectId"]) == ("test", "api", catalog.PROJECT_APP)


def test_the_default_device_is_stored_as_none(api):
    """Asking for an iPhone is the same as naming no device."""
    answer = api.post(f"/tests/{catalog.TEST_MOBILE}/runs", json={"deviceModel": "iphone"})
    assert api.get(f"/runs/{answer.json()['runId']}").json()["deviceModel"] is None


def test_a_group_run_echoes_what_was_sent_and_no_batch(api):
    """A run's input has the sent fields, but neither its group nor its batch."""
    body = {"targetUrl": "https://pr-7.example/", "environment": "preview", "commitSha": "abc", "prNumber": 7}
    answer = api.post(f"/groups/{catalog.GROUP_BROKEN}/runs", json=body).json()
    run = api.get(f"/runs/{answer['runIds'][0]}").json()
    assert run["input"] == body
    assert answer["batchId"] not in api.get(f"/runs/{run['id']}").text
    assert answer["metadata"]["github"]["status"] == "not_configured"
    assert run["externalRef"] == {"github": {"commitSha": "abc", "prNumber": 7}}


@pytest.mark.parametrize("content", [b"", b"{}", b"  "])
def test_a_trigger_needs_no_body(api, content):
    """No body, a blank body and `{}` are the same."""
    answer = api.post(
        f"/groups/{catalog.GROUP_NIGHTLY}/runs", content=content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["count"]) == (202, 8)


def test_a_repeated_trigger_starts_a_second_run(api, sandbox):
    """The same request twice starts two runs: the API has no idempotency key."""
    first, second = (api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"] for _ in range(2))
    assert first != second
    assert sandbox.store.active_run_ids() == [first, second]


def test_duplicate_protection_cancels_the_second(api, sandbox):
    """With `dedupe`, a test with a run in flight is not started again."""
    sandbox.dedupe = True
    first = api.post(f"/groups/{catalog.GROUP_NIGHTLY}/runs").json()
    second = api.post(f"/groups/{catalog.GROUP_NIGHTLY}/runs").json()
    assert (first["status"], second["status"]) == ("queued", "cancelled")
    assert second["cancelledRunIds"] == second["runIds"]
    sandbox.clock.advance(60)
    assert api.post(f"/groups/{catalog.GROUP_NIGHTLY}/runs").json()["status"] == "queued"


def test_some_runs_of_a_group_may_be_rejected(api):
    """Queued and cancelled runs are listed apart, and all together."""
    answer = api.post(f"/groups/{catalog.GROUP_SOME_REJECTED}/runs").json()
    assert (answer["status"], answer["count"]) == ("queued", 3)
    assert len(answer["queuedRunIds"]) == 2
    assert sorted(answer["queuedRunIds"] + answer["cancelledRunIds"]) == sorted(answer["runIds"])


def test_a_group_is_cancelled_when_every_run_is_rejected(api):
    """The response is 202 even if every run is rejected."""
    answer = api.post(f"/groups/{catalog.GROUP_ALL_REJECTED}/runs")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")


def test_an_empty_group_is_refused(api):
    """A group without runnable tests starts nothing."""
    answer = api.post(f"/groups/{catalog.GROUP_EMPTY}/runs")
    assert (answer.status_code, answer.json()["error"]) == (400, "NO_RUNNABLE_TESTS")


def test_a_disabled_test_is_no_part_of_a_group_run(api):
    """Disabled tests are left out, and cannot be started by themselves."""
    assert api.post(f"/groups/{catalog.GROUP_WITH_DISABLED}/runs").json()["count"] == 1
    answer = api.post(f"/tests/{catalog.TEST_DISABLED}/runs")
    assert (answer.status_code, answer.json()["error"]) == (400, "TEST_DISABLED")


def test_a_prompt_run_never_shows_credentials(api, sandbox):
    """The prompt is echoed, the credentials are not."""
    body = {
        "prompt": "Go to https://shop.acme.example/ and buy a hat",
        "credentials": [{"username": "u", "password": "very-secret"}],
        "webhookUrl": "https://hooks.example/x",
    }
    answer = api.post("/runs", json=body)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    sandbox.clock.advance(60)
    run = api.get(f"/runs/{answer.json()['id']}").json()
    assert (run["type"], run["input"]) == ("ci", {"prompt": body["prompt"]})
    assert run["output"]["result"] == "PASS"
    assert "very-secret" not in api.get("/runs").text


def test_a_prompt_may_pick_its_script(api, sandbox):
    """`[sandbox:NAME]` in a prompt selects the script of the run."""
    run_id = api.post("/runs", json={"prompt": "Buy a hat [sandbox:breaks]"}).json()["id"]
    sandbox.clock.advance(60)
    assert api.get(f"/runs/{run_id}").json()["status"] == "failed"


GROUP_RUNS = f"/groups/{catalog.GROUP_NIGHTLY}/runs"
TEST_RUNS = f"/tests/{catalog.TEST_PASSES}/runs"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TEST_RUNS, {"mode": "slow"}),
        (TEST_RUNS, {"mode": None}),
        (TEST_RUNS, {"platform": "windows"}),
        (TEST_RUNS, {"deviceModel": "ipod"}),
        (TEST_RUNS, {"appId": "app"}),
        (TEST_RUNS, {"projectEnvironmentId": 7}),
        (TEST_RUNS, []),
        (TEST_RUNS, "text"),
        (GROUP_RUNS, {"environment": "dev"}),
        (GROUP_RUNS, {"targetUrl": "not a uri"}),
        (GROUP_RUNS, {"targetUrl": "https://"}),
        (GROUP_RUNS, {"mobile": {"appid": "x"}}),
        (GROUP_RUNS, {"mobile": {"bundleId": ""}}),
        (GROUP_RUNS, {"mobile": []}),
        (GROUP_RUNS, {"commitSha": ""}),
        (GROUP_RUNS, {"commitSha": 7}),
        (GROUP_RUNS, {"prNumber": 0}),
        (GROUP_RUNS, {"prNumber": "7"}),
        (GROUP_RUNS, {"prNumber": True}),
        ("/runs", {}),
        ("/runs", {"prompt": ""}),
        ("/runs", {"prompt": "   "}),
        ("/runs", {"prompt": "x", "credentials": [{"username": "u"}]}),
        ("/runs", {"prompt": "x", "webhookUrl": "nowhere"}),
    ],
)
def test_bad_bodies_are_refused_and_start_nothing(api, sandbox, path, body):
    """What the OpenAPI document does not allow is a 400."""
    answer = api.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_REQUEST")
    assert not sandbox.store.runs


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"prNumber": NaN}', b"[" * 100_000])
def test_malformed_json_is_refused(api, content):
    """A body that is not JSON is a 400."""
    answer = api.post(GROUP_RUNS, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_REQUEST")


def test_large_bodies_are_refused(api):
    """More than a megabyte is a 413."""
    answer = api.post("/runs", json={"prompt": "x" * 1_000_001})
    assert (answer.status_code, answer.json()["error"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("field", ["projectEnvironmentId", "appId"])
def test_references_must_exist(api, field):
    """An environment or app that the project does not have is a 404."""
    assert api.post(TEST_RUNS, json={field: catalog.UNKNOWN_ID}).status_code == 404
