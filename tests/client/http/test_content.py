"""Bytes instead of JSON, URLs of their own, calls without the key, and parts that nothing shows."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    BadRequest,
    ClientError,
    Intercepted,
    ProtocolError,
    RequestInvalid,
)
from airflow_provider_testerarmy.client.http.operation import Content, Operation
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.http.sender import MAX_PAGES, _next_page
from tests.client.conftest import SHORT, chain
from tests.client.http.rawserver import RawServer, always, http_answer

KEY = "sk_secret_key"
SECRET = "whsec_hush"
SIZE = 3 * 1024 * 1024 + 1


class Reader(io.BytesIO):
    """Bytes that note how they are read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.sizes: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.sizes.append(-1 if size is None else size)
        return super().read(size)


def put(url: str, content: Content | None = None) -> Operation[None]:
    """A PUT of bytes at any host."""
    nothing = content or Content(lambda: io.BytesIO(b"PK"), 2)
    return Operation("put", "PUT", url, lambda _: None, content=nothing, authorized=False, has_answer=False)


@pytest.fixture
def client_of(connect):
    """A client of one attempt."""
    return lambda server: connect(server.url, policy=ONCE, key=KEY, timeouts=SHORT)


def test_bytes_are_sent_piece_by_piece(client_of):
    """With their length, and without the key; a store answers with an empty body."""
    opened: list[Reader] = []

    def open_file():
        opened.append(Reader(b"x" * SIZE))
        return opened[-1]

    with RawServer(always(http_answer())) as server:
        url = server.url.replace("/api/v1", "/bucket/app?signature=abc")
        assert client_of(server).send(put(url, Content(open_file, SIZE))) is None
        (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b"x" * SIZE
    assert f"content-length: {SIZE}".encode() in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert KEY.encode() not in request
    (file,) = opened
    assert file.closed
    assert max(file.sizes) <= 256 * 1024
    assert -1 not in file.sizes


@pytest.mark.parametrize(
    "url", ["http://store.example/app?sig=abc", "ftp://store.example/app", "store.example"]
)
def test_bytes_are_not_sent_unencrypted(client_of, url):
    """Nor to anything but a URL; on this machine http is allowed."""
    with RawServer(always(http_answer())) as server, pytest.raises(RequestInvalid) as caught:
        client_of(server).send(put(url))
    assert "abc" not in chain(caught.value)


def test_an_upload_that_a_store_refuses(client_of):
    """Neither its URL nor its signature is shown, also if the store echoes them."""
    with RawServer(
        lambda _, request: [http_answer(request[:200].decode(), status="403 Forbidden")]
    ) as server:
        url = server.url.replace("/api/v1", "/bucket/app?signature=abc")
        with pytest.raises(Intercepted) as caught:
            client_of(server).send(put(url))
        assert server.requests
    assert "signature" not in str(caught.value)


def webhook() -> Operation[str]:
    """A call whose path is its key."""
    path = f"/webhook/1/{SECRET}"
    return Operation(
        "hook", "POST", path, str, body={}, authorized=False, secrets=(SECRET,), repeatable=False
    )


@pytest.mark.parametrize(
    "answer",
    [
        http_answer({"error": "BAD", "message": f"no {SECRET}"}, status="400 Bad Request"),
        http_answer(f"<html>{SECRET}</html>"),
        http_answer(f"<html>/webhook/1/{SECRET}</html>", status="502 Bad Gateway"),
        http_answer("", status="302 Found", headers=[("Location", f"https://x.example/{SECRET}")]),
        f"HTTP/1.1 200 {SECRET}\x01\r\n\r\n".encode(),
        b"",
    ],
)
def test_a_secret_in_a_path_is_nowhere_in_an_error(client_of, answer):
    """Whatever the service answers."""
    with RawServer(always(answer)) as server:
        with pytest.raises(ClientError) as caught:
            client_of(server).send(webhook())
        (request,) = server.requests
    assert request.startswith(f"POST /api/v1/webhook/1/{SECRET} ".encode())
    assert KEY.encode() not in request
    assert SECRET not in chain(caught.value)


def test_a_secret_in_a_body_is_nowhere_in_an_error(client_of):
    """A service may quote the value that it refuses."""
    operation = Operation("create", "POST", "/x", str, body={"password": SECRET}, secrets=(SECRET,))
    answer = http_answer({"error": "BAD", "message": f"password {SECRET} is short"}, status="400 Bad Request")
    with RawServer(always(answer)) as server, pytest.raises(BadRequest) as caught:
        client_of(server).send(operation)
    assert SECRET not in chain(caught.value)


def test_an_upload_has_a_time_limit_of_its_own(client_of):
    """It may take longer than any other request, but not without limit."""
    slow = replace(put(""), total=0.2)
    with RawServer(always(b"", b"", b"", b"", b"", b"", b"", b"", b"", b"")) as server:
        url = server.url.replace("/api/v1", "/x")
        with pytest.raises(AnswerLost, match=r"0\.2 s"):
            client_of(server).send(replace(slow, path=url))


def test_a_list_ends():
    """After a page without a cursor, after a cursor that was seen before, and after a million items."""
    first = Operation("list", "GET", "/x", str)
    seen: set[str] = set()
    assert _next_page("1", lambda page: (page, first), seen) is first
    assert _next_page("1", lambda page: (page, first), seen) is None
    assert _next_page("", lambda _: None, seen) is None
    full = {str(number) for number in range(MAX_PAGES)}
    with pytest.raises(ProtocolError, match="pages"):
        _next_page("new", lambda page: (page, first), full)
