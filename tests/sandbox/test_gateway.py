"""Faults that a service can cause when runs are submitted, read, awaited and cancelled."""

from __future__ import annotations

import time
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from airflow_provider_testerarmy.sandbox.docket import catalog as docket_catalog
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

TRIGGER = f"/tests/{catalog.TEST_PASSES}/runs"
GROUP = f"/groups/{catalog.GROUP_NIGHTLY}/runs"
DOCKET = "/docket/test_group_run/trigger_run"


def docket_of(remote):
    """Return a client of Docket on the same server."""
    base = str(remote.base_url).removesuffix("/api/v1/")
    key = remote.headers["authorization"].removeprefix("Bearer ")
    return httpx.Client(base_url=base, headers={"x-api-key": key}, timeout=5, trust_env=False)


@pytest.mark.parametrize("skew", [60, 4, -4, -60])
def test_the_date_may_differ_from_the_times_of_runs(sandbox, api, skew):
    """Two machines of a service can have different clocks."""
    sandbox.faults.add("date_skew", times=-1, seconds=skew)
    run_id = api.post(TRIGGER).json()["runId"]
    answer = api.get(f"/runs/{run_id}")
    created = datetime.fromisoformat(answer.json()["createdAt"])
    assert (parsedate_to_datetime(answer.headers["date"]) - created).total_seconds() == skew


def test_a_skewed_date_goes_with_any_other_fault(server, remote):
    """Error responses have the skewed date too."""
    true_date = parsedate_to_datetime(remote.get("/projects").headers["date"])
    server.control.faults.add("date_skew", times=-1, seconds=30)
    server.control.faults.add("status", "list_runs", status=503)
    answer = remote.get("/runs")
    assert answer.status_code == 503
    assert (parsedate_to_datetime(answer.headers["date"]) - true_date).total_seconds() == 30


EDITS = [
    ({"change": {"runs.*.createdAt": "no_zone"}}, "createdAt", "2026-02-11T12:00:00.000"),
    ({"put": {"runs.*.source": "structured_test"}}, "source", "structured_test"),
    ({"put": {"runs.*.source": None}}, "source", None),
    ({"drop": ["runs.*.source"]}, "source", "absent"),
    ({"put": {"runs.*.platform": None}}, "platform", None),
    ({"drop": ["runs.*.testId"]}, "testId", "absent"),
    ({"put": {"runs.*.input": None}}, "input", None),
]


@pytest.mark.parametrize(("edit", "field", "expected"), EDITS)
def test_a_list_echoes_what_was_sent_in_another_way(sandbox, api, edit, field, expected):
    """The edit changes neither the rest of the response nor the run itself."""
    run_id = api.post(TRIGGER, json={"platform": "web"}).json()["runId"]
    sandbox.faults.add("edit", "list_runs", **edit)
    assert api.get("/runs").json()["runs"][0].get(field, "absent") == expected
    true_run = api.get(f"/runs/{run_id}").json()
    assert true_run == api.get("/runs").json()["runs"][0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("strip", "Buy\n  Tea"),
        ("squeeze", "Buy Tea"),
        ("upper", "  BUY\n  TEA "),
        ("pad", "    Buy\n  Tea \n"),
    ],
)
def test_a_prompt_comes_back_in_another_spelling(sandbox, api, change, expected):
    """A service may normalize the text that it was sent."""
    api.post("/runs", json={"prompt": "  Buy\n  Tea "})
    sandbox.faults.add("edit", "list_runs", change={"runs.*.input.prompt": change})
    assert api.get("/runs").json()["runs"][0]["input"]["prompt"] == expected


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"put": {"runId": ""}}, ""),
        ({"put": {"runId": None}}, None),
        ({"put": {"runId": 38}}, 38),
        ({"drop": ["runId"]}, "absent"),
    ],
)
def test_an_accepted_submission_names_no_usable_run(sandbox, api, edit, expected):
    """The response is 202, and the run was started."""
    sandbox.faults.add("edit", "trigger_test", **edit)
    answer = api.post(TRIGGER)
    assert (answer.status_code, answer.json().get("runId", "absent")) == (202, expected)
    assert len(sandbox.log.submitted_run_ids()) == 1


@pytest.mark.parametrize(
    ("edit", "ids"),
    [
        ({"put": {"runIds": [], "queuedRunIds": []}}, 0),
        ({"change": {"runIds": "drop_first"}}, 7),
        ({"change": {"runIds": "repeat_first"}}, 9),
    ],
)
def test_an_accepted_group_names_too_few_or_too_many_runs(sandbox, api, edit, ids):
    """The response lists other ids than the eight runs that were started."""
    sandbox.faults.add("edit", "trigger_group", **edit)
    answer = api.post(GROUP)
    assert (answer.status_code, len(answer.json()["runIds"])) == (202, ids)
    assert len(sandbox.log.submitted_run_ids()) == 8


def test_docket_names_a_run_twice(server, remote):
    """For two blueprints, the response names one run twice."""
    server.control.faults.add(
        "edit", "docket_trigger_run", change={"test_group_run.test_runs": "repeat_first"}
    )
    with docket_of(remote) as docket:
        ids = [docket_catalog.BLUEPRINT_PASSES, docket_catalog.BLUEPRINT_FAILS]
        runs = docket.post(DOCKET, json={"test_blueprint_ids": ids}).json()["test_group_run"]["test_runs"]
    assert [run["id"] for run in runs] == [*server.control.log.submitted_run_ids(), runs[0]["id"]]


STATUSES = [408, 425, 303, 404, 409, 429, 500, 502, 504]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("kind", "runs"), [("status", 0), ("status_after", 1)])
def test_any_status_comes_with_and_without_the_effect(server, remote, kind, runs, status):
    """A response's status does not prove whether the run was started."""
    server.control.faults.add(kind, "trigger_*", status=status, headers={"Location": "/elsewhere"})
    assert remote.post(TRIGGER).status_code == status
    assert len(server.control.log.submitted_run_ids()) == runs


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("kind", "runs"), [("status", 0), ("status_after", 1)])
def test_so_it_does_at_docket(server, remote, kind, runs, status):
    """Faults apply to both vendors."""
    server.control.faults.add(kind, "docket_*", status=status)
    with docket_of(remote) as docket:
        body = {"test_blueprint_ids": [docket_catalog.BLUEPRINT_PASSES]}
        assert docket.post(DOCKET, json=body).status_code == status
    assert len(server.control.log.submitted_run_ids()) == runs


def test_the_effect_comes_at_once_and_the_answer_late(server, remote):
    """A client that times out has started a run."""
    server.control.faults.add("delay_after", "trigger_test", seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        remote.post(TRIGGER, timeout=0.2)
    assert len(server.control.log.submitted_run_ids()) == 1


def test_a_late_answer_is_the_true_one(server, remote):
    """A delay can be combined with the real response, an error or a reset."""
    server.control.faults.add("delay_after", "trigger_test", seconds=0.2, times=2)
    begun = time.monotonic()
    assert remote.post(TRIGGER).json()["runId"] == server.control.log.submitted_run_ids()[0]
    assert time.monotonic() - begun >= 0.2
    server.control.faults.add("reset_after", "trigger_test")
    with pytest.raises(httpx.ReadError):
        remote.post(TRIGGER)
    assert server.control.log.entries("trigger_test")[1].fault == "delay_after+reset_after"


def test_a_fault_sleeps_until_a_call_arms_it(sandbox, api):
    """A cancel gets 409 although the run is active, and the next read gets 503."""
    run_id = api.post(TRIGGER).json()["runId"]
    sandbox.faults.add("status", "cancel_run", status=409)
    sandbox.faults.add("status", "get_run", status=503, armed_by="cancel_*")
    answers = [api.get(f"/runs/{run_id}"), api.post(f"/runs/{run_id}/cancel"), api.get(f"/runs/{run_id}")]
    assert [answer.status_code for answer in answers] == [200, 409, 503]
    assert api.get(f"/runs/{run_id}").json()["status"] == "queued"
    assert sandbox.log.cancelled_run_ids() == []


def test_a_call_is_not_struck_by_a_fault_that_it_arms(sandbox, api):
    """A fault does not apply to the call that arms it."""
    sandbox.faults.add("status", "list_runs", armed_by="list_*")
    assert [api.get("/runs").status_code for _ in range(3)] == [200, 500, 200]


def test_the_answer_is_about_another_run(sandbox, api):
    """A read of one run returns another run, which passed."""
    other = api.post(TRIGGER).json()["runId"]
    sandbox.clock.advance(60)
    run_id = api.post(f"/tests/{catalog.TEST_FAILS}/runs").json()["runId"]
    sandbox.faults.add("misroute", f"GET /runs/{run_id}", path=f"/runs/{other}")
    answer = api.get(f"/runs/{run_id}").json()
    assert (answer["id"], answer["output"]["result"]) == (other, "PASS")
    assert sandbox.log.entries("get_run")[0].path == f"/runs/{run_id}"


def test_a_misroute_leads_somewhere(sandbox):
    """A misroute without a path is an error."""
    with pytest.raises(ValueError, match="misroute"):
        sandbox.faults.add("misroute", "get_run")


@pytest.mark.parametrize(("kind", "ours"), [("reset_before", 0), ("reset_after", 1)])
@pytest.mark.parametrize("source", ["dashboard", "schedule", "api"])
def test_somebody_else_starts_the_same_test_at_the_same_second(server, remote, kind, ours, source):
    """The other client's run is listed, and is not in the request log."""
    server.control.faults.add("foreign_run", "trigger_test", source=source)
    server.control.faults.add(kind, "trigger_test")
    with pytest.raises(httpx.ReadError):
        remote.post(TRIGGER, json={"mode": "deep"})
    runs = remote.get("/runs").json()["runs"]
    foreign = server.control.store.foreign_run_ids()
    assert sorted(run["id"] for run in runs) == sorted(foreign + server.control.log.submitted_run_ids())
    assert (len(foreign), len(runs)) == (1, 1 + ours)
    theirs = next(run for run in runs if run["id"] in foreign)
    assert (theirs["source"], theirs["executionMode"]) == (source, "deep")
    assert len({run["createdAt"] for run in runs}) == 1


def test_a_foreign_run_may_ask_for_something_else(server, remote):
    """Someone else starts another prompt in the same second."""
    server.control.faults.add("foreign_run", "trigger_prompt", body={"prompt": "Their prompt"})
    assert remote.post("/runs", json={"prompt": "Our prompt"}).status_code == 202
    runs = remote.get("/runs").json()["runs"]
    assert {run["input"]["prompt"] for run in runs} == {"Their prompt", "Our prompt"}


def test_a_foreign_batch(sandbox, api):
    """Someone else starts the same group."""
    sandbox.faults.add("foreign_run", "trigger_group", source="schedule")
    assert len(api.post(GROUP).json()["runIds"]) == 8
    assert (len(sandbox.store.runs), len(sandbox.log.submissions())) == (16, 1)


def test_reads_may_be_old(sandbox, api):
    """With replication lag, reads show neither new runs nor their ends."""
    run_id = api.post(TRIGGER).json()["runId"]
    sandbox.faults.add("list_lag", "list_runs", seconds=10)
    sandbox.faults.add("list_lag", "get_run", seconds=10)
    assert api.get("/runs").json()["runs"] == []
    assert api.get(f"/runs/{run_id}").status_code == 404
    assert [run["id"] for run in api.get("/runs").json()["runs"]] == [run_id]


def test_docket_reads_may_be_old(server, remote):
    """A run that was just started is not found for a while."""
    with docket_of(remote) as docket:
        started = docket.post(DOCKET, json={"test_blueprint_ids": [docket_catalog.BLUEPRINT_PASSES]}).json()
        path = f"/docket/test_run/{started['test_group_run']['test_runs'][0]['id']}"
        server.control.faults.add("list_lag", "docket_get_test_run", seconds=10)
        assert [docket.get(path).status_code for _ in range(2)] == [404, 200]
