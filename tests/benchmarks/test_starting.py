"""The peers' vendors start runs, and end all of them at once."""

from __future__ import annotations

import json

import pytest

from benchmarks.server.http import Request
from benchmarks.server.peers import FIRST_ID, Airbyte, Databricks, DbtCloud
from benchmarks.server.starting import Starting
from benchmarks.timeline import Timeline

#: By vendor: the path that starts a run, where its id is in the response, and the state of a run.
VENDORS = {
    DbtCloud: (
        "/api/v2/accounts/1/jobs/7/run/",
        lambda body: body["data"]["id"],
        lambda number: Request("GET", f"/api/v2/accounts/1/runs/{number}/", "", b""),
        lambda body: body["data"]["status"] == 10,
    ),
    Airbyte: (
        "/v1/jobs",
        lambda body: body["jobId"],
        lambda number: Request("GET", f"/v1/jobs/{number}", "", b""),
        lambda body: body["status"] == "succeeded",
    ),
    Databricks: (
        "/api/2.2/jobs/run-now",
        lambda body: body["run_id"],
        lambda number: Request("GET", "/api/2.2/jobs/runs/get", f"run_id={number}", b""),
        lambda body: body["state"]["life_cycle_state"] == "TERMINATED",
    ),
}


@pytest.mark.parametrize("kind", VENDORS)
def test_each_start_is_another_run_until_all_end(kind):
    """A run that is started later goes on."""
    path, id_of, read, ended = VENDORS[kind]
    vendor = Starting(kind, Timeline(3))

    def ask(request):
        answer = vendor.respond(request, 1.0)
        return json.loads(answer.body) if answer.status == 200 else answer.status

    ids = [id_of(ask(Request("POST", path, "", b"{}"))) for _ in range(2)]
    assert ids == [FIRST_ID, FIRST_ID + 1]
    assert [ended(ask(read(number))) for number in ids] == [False, False]
    assert vendor.end(1.0) == 2
    later = id_of(ask(Request("POST", path, "", b"{}")))
    assert [ended(ask(read(number))) for number in (*ids, later)] == [True, True, False]
    assert ask(Request("POST", path, "", b"{}")) == 404


@pytest.mark.parametrize("kind", VENDORS)
def test_a_started_run_is_not_queued(kind):
    """Its operator expects that it is active."""
    _, _, read, _ = VENDORS[kind]
    vendor = Starting(kind, Timeline(1))
    vendor.respond(Request("POST", VENDORS[kind][0], "", b"{}"), 1.0)
    body = vendor.respond(read(FIRST_ID), 1.0).body.decode().upper()
    assert "RUNNING" in body
    assert 'QUEUED"' not in body
