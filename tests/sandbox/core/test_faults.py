from __future__ import annotations

import time

import httpx
import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog

TRIGGER = f"/groups/{catalog.GROUP_NIGHTLY}/runs"


def runs_of(server):
    """Return how many runs there are."""
    return len(server.control.store.runs)


@pytest.mark.parametrize(("kind", "runs"), [("reset_before", 0), ("reset_after", 8)])
def test_resets(server, remote, kind, runs):
    """The connection is reset; only `reset_after` started the runs."""
    server.control.faults.add(kind, "trigger_group")
    with pytest.raises(httpx.ReadError) as caught:
        remote.post(TRIGGER)
    assert "reset" in str(caught.value)
    assert runs_of(server) == runs
    entry = server.control.log.entries("trigger_group")[0]
    assert (entry.answered, entry.fault) == ("reset", kind)
    assert len(server.control.log.submitted_run_ids()) == runs


@pytest.mark.parametrize(("kind", "runs"), [("timeout", 0), ("timeout_after", 8)])
def test_timeouts(server, remote, kind, runs):
    """No response is sent; only `timeout_after` started the runs."""
    server.control.faults.add(kind, "trigger_group")
    with pytest.raises(httpx.ReadTimeout):
        remote.post(TRIGGER, timeout=1)
    assert runs_of(server) == runs
    assert server.control.log.entries("trigger_group")[0].answered == "timeout"


@pytest.mark.parametrize(
    ("kind", "status", "error", "runs"),
    [("status", 500, "INTERNAL_ERROR", 0), ("status_after", 504, "GATEWAY_TIMEOUT", 8)],
)
def test_statuses(server, remote, kind, status, error, runs):
    """An error response is sent; only `status_after` started the runs."""
    server.control.faults.add(kind, "trigger_group")
    answer = remote.post(TRIGGER)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert runs_of(server) == runs


def test_an_error_may_follow_the_effect_as_html(server, remote):
    """A proxy's page hides whether the call took effect."""
    server.control.faults.add(
        "status_after", "trigger_group", status=502, body="<html>", content_type="text/html"
    )
    answer = remote.post(TRIGGER)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (502, "<html>", "text/html")
    assert runs_of(server) == 8


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"retry_after": 7}, "7"),
        ({"retry_after_date": 90}, "Wed, 11 Feb 2026 12:01:30 GMT"),
        ({"headers": {"Retry-After": "soon"}}, "soon"),
    ],
)
def test_rate_limits_name_when_to_come_back(sandbox, api, options, expected):
    """`Retry-After` is a number of seconds, a date, or nonsense."""
    sandbox.faults.add("status", "list_runs", status=429, **options)
    answer = api.get("/runs")
    assert (answer.status_code, answer.json()["error"]) == (429, "RATE_LIMITED")
    assert answer.headers["retry-after"] == expected


def test_html(server, remote):
    """A proxy's page comes instead of JSON, before the service is reached."""
    server.control.faults.add("html", "trigger_group")
    answer = remote.post(TRIGGER)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert runs_of(server) == 0


@pytest.mark.parametrize("kind", ["empty", "garbage", "wrong_shape", "truncated"])
def test_spoiled_answers_follow_the_effect(server, remote, kind):
    """The runs were started, but the response does not say so."""
    server.control.faults.add(kind, "trigger_group")
    with pytest.raises((ValueError, KeyError, httpx.RemoteProtocolError)):
        remote.post(TRIGGER).json()["runIds"]
    assert runs_of(server) == 8


def test_a_truncated_body_is_shorter_than_promised(server, remote):
    """The connection ends before `Content-Length` bytes."""
    server.control.faults.add("truncated", "list_projects")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        remote.get("/projects")
    assert server.control.log.entries("list_projects")[0].answered == "truncated"


def test_delay_in_real_seconds(server, remote):
    """The response is real but late; a client with a short time-out gives up."""
    server.control.faults.add("delay", "list_runs", seconds=0.2)
    begun = time.monotonic()
    assert remote.get("/runs").status_code == 200
    assert time.monotonic() - begun >= 0.2
    server.control.faults.add("delay", "list_runs", seconds=0.5)
    with pytest.raises(httpx.ReadTimeout):
        remote.get("/runs", timeout=0.1)


def test_delay_in_sandbox_seconds(server, remote):
    """The delay is measured on the sandbox's clock."""
    server.control.faults.add("delay", "list_runs", sandbox_seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        remote.get("/runs", timeout=0.1)
    server.control.faults.add("delay", "list_runs", sandbox_seconds=30)
    server.control.clock.set_manual(False)
    server.control.clock.set_speed(1000)
    try:
        assert remote.get("/runs").status_code == 200
    finally:
        server.control.clock.set_manual(True)


def test_list_lag_hides_new_runs(sandbox, api):
    """With replication lag, a new run stays hidden for a while, in lists and alone."""
    sandbox.faults.add("list_lag", "trigger_group", seconds=10)
    run_id = api.post(TRIGGER).json()["runIds"][0]
    other = api.post(f"/tests/{catalog.TEST_PASSES}/runs").json()["runId"]
    assert [run["id"] for run in api.get("/runs").json()["runs"]] == [other]
    assert api.get(f"/runs/{run_id}").status_code == 404
    sandbox.clock.advance(10)
    assert len(api.get("/runs").json()["runs"]) == 9
    assert api.get(f"/runs/{run_id}").status_code == 200


def test_lag_and_reset_go_together(server, remote):
    """A lost response and a stale list can apply to the same call."""
    server.control.faults.add("list_lag", "trigger_*", seconds=10)
    server.control.faults.add("reset_after", "trigger_*")
    with pytest.raises(httpx.ReadError):
        remote.post(TRIGGER)
    assert remote.get("/runs").json()["runs"] == []
    server.control.clock.advance(10)
    assert len(remote.get("/runs").json()["runs"]) == 8
    assert server.control.log.entries("trigger_group")[0].fault == "list_lag+reset_after"


def test_faults_strike_as_often_as_told(sandbox, api):
    """After the skipped calls, the fault applies to `times` calls and no more."""
    fault = sandbox.faults.add("status", "list_runs", times=2, after=1)
    assert [api.get("/runs").status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    assert fault.hits == 2


def test_faults_may_strike_for_ever(sandbox, api):
    """With `times=-1` the fault applies until the faults are cleared."""
    sandbox.faults.add("status", "list_runs", times=-1)
    assert {api.get("/runs").status_code for _ in range(5)} == {500}
    sandbox.faults.clear()
    assert api.get("/runs").status_code == 200


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        ("*", True),
        ("trigger_group", True),
        ("trigger_*", True),
        ("trigger_test", False),
        ("POST /groups/*/runs", True),
        ("* /groups/*", True),
        ("GET /groups/*/runs", False),
    ],
)
def test_matching(sandbox, api, match, struck):
    """A fault matches an operation's name, or a method and a path."""
    sandbox.faults.add("status", match)
    assert (api.post(TRIGGER).status_code == 500) == struck


def test_unknown_kinds_are_refused(sandbox):
    """An unknown kind of fault is an error."""
    with pytest.raises(ValueError, match="earthquake"):
        sandbox.faults.add("earthquake")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset_before", ConnectionResetError),
        ("reset_after", ConnectionResetError),
        ("truncated", ConnectionResetError),
        ("timeout", TimeoutError),
        ("timeout_after", TimeoutError),
    ],
)
def test_in_process_there_is_no_connection_to_break(sandbox, api, kind, error):
    """In process, the call raises the exception that a socket would raise."""
    sandbox.faults.add(kind, "trigger_group")
    with pytest.raises(error):
        api.post(TRIGGER)
    assert len(sandbox.store.runs) == (0 if kind in {"reset_before", "timeout"} else 8)


def test_a_service_that_is_down_resets_everything(server, remote):
    """No call gets through, and none takes effect."""
    server.control.down = "reset"
    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            remote.post(TRIGGER)
    server.control.down = "html"
    assert remote.get("/runs").status_code == 503
    server.control.down = None
    assert remote.get("/runs").json()["runs"] == []
