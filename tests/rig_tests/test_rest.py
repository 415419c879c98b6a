"""The rig's client of the REST API, against a server that answers as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.rig.rest import RestClient, RestError, UnavailableError


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[RestClient, list[str]]]:
    """A client of a server that answers with each status once, and the methods of the requests it got."""
    left, seen = list(statuses), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.command)
            self.send_response(left.pop(0))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = RestClient(f"http://127.0.0.1:{server.server_port}", "admin", "secret")
        try:
            yield client, seen
        finally:
            client.close()
            server.shutdown()


def test_a_locked_database_is_asked_again() -> None:
    with answering(500, 500, 200) as (client, seen):
        assert client.post("/dags/shop/dagRuns", {}) == {}
    assert seen == ["POST"] * 3


def test_a_server_that_keeps_failing_is_an_error() -> None:
    with (
        answering(500, 500, 500, 500) as (client, seen),
        pytest.raises(UnavailableError, match="answered 500"),
    ):
        client.post("/dags/shop/dagRuns", {})
    assert len(seen) == 4


def test_a_refusal_is_not_repeated() -> None:
    with answering(409) as (client, seen), pytest.raises(RestError, match="answered 409"):
        client.post("/dags/shop/dagRuns", {})
    assert len(seen) == 1
