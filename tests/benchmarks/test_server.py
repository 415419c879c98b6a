"""The server counts what it really receives, and responds like the vendors' APIs."""

from __future__ import annotations

import asyncio
import json
import math
import ssl

import httpx
import pytest

from airflow_provider_testerarmy.client.testerarmy.models import Run, RunPage
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import TEST_PASSES
from benchmarks.server import certificate
from benchmarks.server.http import Answer, Connection, Counts, Limit, Request, Responder, take_request
from benchmarks.server.peers import FIRST_ID, Airbyte, Databricks, DbtCloud
from benchmarks.server.testerarmy import FOREIGN_EVERY, HISTORY, PREFIX, TesterArmy, run_id
from benchmarks.timeline import Timeline


def get(vendor, target, now=0.0, body=b""):
    path, _, query = target.partition("?")
    answer = vendor.respond(Request("GET", path, query, body), now)
    return json.loads(answer.body) if answer.status == 200 else answer.status


def pages(vendor, query, now=0.0):
    found, cursor = [], ""
    while cursor is not None:
        page = get(vendor, f"{PREFIX}/runs?limit=100&{query}" + (f"&cursor={cursor}" if cursor else ""), now)
        assert len(page["runs"]) <= 100
        found.append(page["runs"])
        cursor = page["nextCursor"]
    return found


# What is read from a socket


def test_requests_are_taken_one_by_one_and_a_part_of_one_waits_for_the_rest():
    first, second = (
        b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /c HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
    )

    request, rest = take_request(first + second)
    assert (request, rest) == (Request("GET", "/a", "b=1", b""), second)
    assert take_request(rest) == (Request("POST", "/c", "", b"body"), b"")
    assert take_request(second[:-1]) is None
    assert take_request(first[:-2]) is None


# Counting


@pytest.fixture
def certificates(tmp_path):
    return certificate.make(tmp_path)


async def served(certificates, responder, ask):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.chain, certificates.key)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(responder), "127.0.0.1", 0, ssl=context
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=str(certificates.bundle))
        await ask(f"https://127.0.0.1:{port}", trusting)
    async with asyncio.timeout(10):
        while responder.counts.closed < responder.counts.opened:  # noqa: ASYNC110
            await asyncio.sleep(0)


def test_requests_and_connections_are_counted_apart(certificates):
    responder = Responder(lambda request, _now: Answer(b"{}", 404 if request.path == "/no" else 200))

    async def ask(url, trusting):
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as kept:
            for _ in range(3):
                assert (await kept.get(url)).json() == {}
            before = responder.counts.copy()
            await kept.get(f"{url}/no")
            for _ in range(2):
                async with httpx.AsyncClient(verify=trusting, trust_env=False) as new:
                    await new.get(url)
            window = responder.counts.copy().since(before)
        assert (window["requests"], window["opened"], window["connections"]) == (3, 2, 3)
        assert window["unknown"] == 1

    asyncio.run(served(certificates, responder, ask))

    assert (responder.counts.requests, responder.counts.opened, responder.counts.closed) == (6, 3, 3)


def test_bytes_on_the_wire_hold_the_answers_and_the_handshakes(certificates):
    body = json.dumps({"filling": "x" * 50_000}).encode()
    responder = Responder(lambda _request, _now: Answer(body))

    async def ask(url, trusting):
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
            handshake = responder.counts.bytes_out
            await client.get(url)
            first = responder.counts.bytes_out - handshake
            await client.get(url)
            second = responder.counts.bytes_out - handshake - first
        assert len(body) < second < len(body) + 2000
        assert first > second
        assert responder.counts.bytes_in > 0

    asyncio.run(served(certificates, responder, ask))


def test_a_client_that_does_not_know_the_authority_refuses_the_server(certificates):
    responder = Responder(lambda _request, _now: Answer(b"{}"))

    async def ask(url, _trusting):
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(url)

    asyncio.run(served(certificates, responder, ask))

    assert responder.counts.requests == 0


def test_connections_that_were_open_before_a_window_are_in_use_in_it():
    before = Counts(opened=5, closed=3)

    assert Counts(opened=9, closed=9).since(before)["connections"] == 2 + 4


# The limit


def test_a_limit_admits_a_second_s_worth_at_once_and_then_its_rate():
    limit = Limit(5)

    assert sum(limit.admits(0.0) for _ in range(20)) == 5
    assert sum(limit.admits(0.1 * step) for step in range(1, 101)) == pytest.approx(50, abs=1)
    assert sum(limit.admits(1000.0) for _ in range(20)) == 5


def test_a_refused_request_says_when_to_come_again_and_is_counted():
    responder = Responder(lambda _request, _now: Answer(b"{}"), limit=Limit(1))
    request = Request("GET", "/", "", b"")

    assert responder.answer(request).status == 200
    refused = responder.answer(request)

    assert (refused.status, refused.retry_after) == (429, 1)
    assert (responder.counts.requests, responder.counts.refused) == (2, 1)


# The answers


@pytest.fixture
def timeline():
    timeline = Timeline(250)
    timeline.starts[3] = math.inf
    timeline.ends[7] = 50.0
    return timeline


def test_every_page_but_the_last_is_full_and_every_run_is_listed_once(timeline):
    found = pages(TesterArmy(timeline), "")

    assert all(len(page) == 100 for page in found[:-1])
    ids = [run["id"] for page in found for run in page]
    foreign = 2 * math.ceil(250 / FOREIGN_EVERY)
    assert len(ids) == len(set(ids)) == 250 + foreign + HISTORY
    assert set(ids) >= {run_id(number) for number in range(250)}


@pytest.mark.parametrize("now", [49.9, 50.0])
def test_a_run_is_in_the_list_of_its_status_and_in_no_other(timeline, now):
    army = TesterArmy(timeline)
    wanted = "completed" if now >= 50 else "running"

    for status in ("queued", "running", "completed", "failed"):
        listed = [run for page in pages(army, f"status={status}", now) for run in page]
        assert {run["status"] for run in listed} <= {status}
        assert (run_id(7) in {run["id"] for run in listed}) == (status == wanted)
        assert (run_id(3) in {run["id"] for run in listed}) == (status == "queued")
    assert get(army, f"{PREFIX}/runs/{run_id(7)}", now)["status"] == wanted


def test_newer_runs_come_first(timeline):
    ids = [run["id"] for page in pages(TesterArmy(timeline), "") for run in page]

    awaited = [identifier for identifier in ids if identifier.startswith("70")]
    assert awaited == sorted(awaited, reverse=True)


def test_a_finished_run_comes_whole_and_the_client_can_read_it(timeline):
    army = TesterArmy(timeline)
    answer = army.respond(Request("GET", f"{PREFIX}/runs/{run_id(7)}", "", b""), 60.0)

    assert 1500 < len(answer.body) < 8000
    run = Run.model_validate(json.loads(answer.body))
    assert (run.status, run.output.result) == ("completed", "PASS")
    assert len(RunPage.model_validate(get(army, f"{PREFIX}/runs?limit=100", 60.0)).runs) == 100
    assert get(army, f"{PREFIX}/runs/unknown") == 404


@pytest.mark.parametrize("number", [7, 8])
def test_a_run_has_the_fields_that_the_sandbox_gives_it(timeline, service: SandboxServer, number):
    headers = {"Authorization": "Bearer sk_sandbox_key"}
    with httpx.Client(base_url=service.url, headers=headers, trust_env=False) as client:
        queued = client.post(f"/tests/{TEST_PASSES}/runs", json={}).json()
        service.control.clock.advance(1000 if number == 7 else 3)
        theirs = client.get(f"/runs/{queued['runId']}").json()
        their_page = client.get("/runs").json()

    ours = get(TesterArmy(timeline), f"{PREFIX}/runs/{run_id(number)}", 60.0)

    assert ours["status"] == theirs["status"]
    assert {name: type(value) for name, value in ours.items()} == {
        name: type(value) for name, value in theirs.items()
    }
    assert get(TesterArmy(timeline), f"{PREFIX}/runs").keys() == their_page.keys()


def test_dbt_cloud_tells_the_status_by_number(timeline):
    def status(number, now):
        return get(DbtCloud(timeline), f"/api/v2/accounts/1/runs/{FIRST_ID + number}/", now)["data"]["status"]

    assert (status(3, 0), status(7, 0), status(7, 50)) == (1, 3, 10)


def test_airbyte_tells_the_status_by_name(timeline):
    def status(number, now):
        return get(Airbyte(timeline), f"/v1/jobs/{FIRST_ID + number}", now)["status"]

    assert (status(3, 0), status(7, 0), status(7, 50)) == ("pending", "running", "succeeded")
    assert get(Airbyte(timeline), "/v1/applications/token")["token_type"] == "Bearer"


def test_databricks_takes_the_run_from_the_body(timeline):
    def state(number, now):
        body = json.dumps({"run_id": FIRST_ID + number}).encode()
        return get(Databricks(timeline), "/api/2.2/jobs/runs/get", now, body)["state"]

    assert state(3, 0)["life_cycle_state"] == "QUEUED"
    assert state(7, 0)["life_cycle_state"] == "RUNNING"
    assert state(7, 50) == {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": ""}


@pytest.mark.parametrize("vendor", [DbtCloud, Airbyte])
def test_an_unknown_run_is_not_found(timeline, vendor):
    assert get(vendor(timeline), f"/v1/jobs/{FIRST_ID + 250}") == 404
    assert get(vendor(timeline), f"/v1/jobs/{FIRST_ID - 1}") == 404
