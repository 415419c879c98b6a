"""The middleware for the *Test* button removes port 0 from one request, and passes on all others as they are."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.ui import unset_port
from airflow_provider_testerarmy.ui.unset_port import PATH, TYPES, UnsetPort

SAVED = {"connection_id": "c", "conn_type": "testerarmy", "host": "", "password": "***", "port": 0}


def passed_on(body, *, path=PATH, method="POST", kind="http", pieces=1):
    """The body and the headers that Airflow gets, and how many of the client's messages it could still read."""
    seen = {}
    size = max(1, -(-len(body) // pieces))
    parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    incoming = [
        {"type": "http.request", "body": part, "more_body": place < len(parts)}
        for place, part in enumerate(parts, 1)
    ]
    incoming.append({"type": "http.disconnect"})

    async def receive():
        return incoming.pop(0)

    async def airflow(scope, receive, send):
        got = b""
        while (message := await receive())["type"] == "http.request":
            got += message["body"]
        seen.update(body=got, headers=dict(scope.get("headers", ())), last=message["type"])

    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(b"content-length", str(len(body)).encode()), (b"cookie", b"_token=x")],
    }
    asyncio.run(UnsetPort(airflow)(scope, receive, None))
    assert (seen["last"], incoming) == ("http.disconnect", [])
    assert seen["headers"][b"content-length"] == str(len(seen["body"])).encode()
    assert seen["headers"][b"cookie"] == b"_token=x"
    return seen["body"]


@pytest.mark.parametrize("path", [PATH, f"/sub/path{PATH}", f"{PATH}/"])
@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("conn_type", sorted(TYPES))
def test_port_0_is_no_port(path, pieces, conn_type):
    """Airflow keeps the stored port then, and tests with the stored key."""
    given = {**SAVED, "conn_type": conn_type}
    got = json.loads(passed_on(json.dumps(given).encode(), path=path, pieces=pieces))
    assert got == {name: value for name, value in given.items() if name != "port"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        json.dumps({**SAVED, "port": 8443}).encode(),
        json.dumps({**SAVED, "port": None}).encode(),
        json.dumps({**SAVED, "port": "0"}).encode(),
        json.dumps({**SAVED, "port": False}).encode(),
        json.dumps({**SAVED, "conn_type": "http"}).encode(),
        json.dumps({**SAVED, "conn_type": ["testerarmy"]}).encode(),
        json.dumps({name: value for name, value in SAVED.items() if name != "port"}).encode(),
        json.dumps({**SAVED, "description": "x" * unset_port.MAX_BODY}).encode(),
    ],
    ids=lambda body: body[:12].decode("utf-8", "replace"),
)
@pytest.mark.parametrize("pieces", [1, 5])
def test_any_other_body_stays(body, pieces):
    """Another port, another type of connection, and what is no JSON are Airflow's business."""
    assert passed_on(body, pieces=pieces) == body


@pytest.mark.parametrize(
    "request_line",
    [
        {"method": "PATCH"},
        {"path": "/api/v2/connections"},
        {"path": "/api/v2/connections/test/more"},
        {"kind": "websocket"},
    ],
)
def test_any_other_request_stays(request_line):
    body = json.dumps(SAVED).encode()
    assert passed_on(body, **request_line) == body


def test_the_types_are_the_providers_own():
    """A connection type that is new has to be put here too."""
    assert {each["connection-type"] for each in get_provider_info()["connection-types"]} == TYPES
