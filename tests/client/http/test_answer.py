"""Responses become values or errors in any format, and never show the key."""

from __future__ import annotations

import copy
import gzip
import pickle
import time

import pytest

from airflow_provider_testerarmy.client.http import sender as senders
from airflow_provider_testerarmy.client.http.endpoint import Timeouts
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    BadRequest,
    ClientError,
    CredentialsRejected,
    Intercepted,
    ProtocolError,
    RateLimited,
    ServerError,
)
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.client.conftest import SHORT, chain
from tests.client.http.rawserver import RawServer, always, http_answer

KEY = "sk_live_0123456789abcdefghijklmnopqrstuvwxyz"
GET = testerarmy.list_projects()
TRIGGER = testerarmy.trigger_test_run(catalog.TEST_PASSES)
PROJECTS = http_answer({"projects": []})


# -- how answers are read


def test_the_services_clock_comes_with_the_answer(client, service):
    """The Date header is the service's own time, whatever this machine's clock says."""
    assert client.answer(GET).server_time == service.control.clock.now().replace(microsecond=0)


@pytest.mark.parametrize("date", ["soon", "", "Wed, 11 Feb 99999999999999999999 12:00:00 GMT", "0"])
def test_an_unreadable_clock_is_no_clock(connect, date):
    """A malformed Date header does not make the response unusable."""
    with RawServer(always(http_answer({"projects": []}, headers=[("Date", date)]))) as server:
        assert connect(server.url).answer(GET).server_time is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the response is empty"),
        (b"  \n", "the response is empty"),
        (b"<html>Bad gateway</html>", "the response is HTML: '<html>Bad gateway</html>'"),
        (b'{"projects": [\xff', "the response is not JSON"),
        (b"[" * 100_000, "the response is not JSON"),
        (b'{"data": 1}', "unexpected shape: projects: Field required"),
        (b"[]", "unexpected shape: body: Input should be"),
        (b"null", "unexpected shape: body: Input should be"),
        (b'{"projects": [{"name": 1}]}', "unexpected shape: projects.0.id: Field required"),
    ],
)
def test_what_is_not_the_apis_answer_is_a_protocol_error(connect, body, message):
    """The message says what came, and which request it was for."""
    with RawServer(always(http_answer(body))) as server, pytest.raises(ProtocolError) as caught:
        connect(server.url, policy=ONCE).send(GET)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"list projects (GET {server.url}/projects): ")
    assert caught.value.response.status == 200


def test_a_whole_emoji_stays_whole(connect):
    """Escaped or not; only a lone half is replaced."""
    body = r'{"projects": [{"id": "\ud83d\ude00 \ud83d", "name": "😀"}]}'
    with RawServer(always(http_answer(body))) as server:
        (project,) = connect(server.url).send(GET)
    assert (project.id, project.name) == ("😀 ?", "😀")


def test_a_redirect_is_not_followed(connect):
    """Following it could carry the key to another host."""
    with RawServer(always(PROJECTS)) as other:
        elsewhere = http_answer(status="302 Found", headers=[("Location", other.url)])
        with RawServer(always(elsewhere)) as server, pytest.raises(Intercepted, match="not followed"):
            connect(server.url, policy=ONCE).send(GET)
        assert (len(server.requests), other.requests) == (1, [])


def test_a_wrong_content_encoding_is_a_protocol_error(connect):
    """A body that says gzip and is not."""
    answer = http_answer(b"not gzip", headers=[("Content-Encoding", "gzip")])
    with RawServer(always(answer)) as server, pytest.raises(ProtocolError, match="cannot be decoded"):
        connect(server.url, policy=ONCE).send(GET)


def test_a_compressed_answer_is_read(connect):
    """Proxies compress."""
    body = gzip.compress(b'{"projects": []}')
    with RawServer(always(http_answer(body, headers=[("Content-Encoding", "gzip")]))) as server:
        assert connect(server.url).send(GET) == ()


def test_a_truncated_answer_is_lost(connect):
    """A truncated body is an error."""
    with (
        RawServer(always(http_answer(b'{"projects": []}', length=999))) as server,
        pytest.raises(AnswerLost, match="connection broke"),
    ):
        connect(server.url, policy=ONCE).send(GET)


@pytest.mark.parametrize("noise", [b"", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 200\x00 OK\r\n\r\n"])
def test_what_is_not_http_is_an_answer_lost(connect, noise):
    """The request was sent, so its effect is unknown."""
    with RawServer(always(noise or b"\r\n")) as server, pytest.raises(AnswerLost, match="connection broke"):
        connect(server.url, policy=ONCE).send(TRIGGER)


def test_a_body_has_a_largest_size(connect, monkeypatch):
    """A larger response is refused, and not kept in memory."""
    monkeypatch.setattr(senders, "MAX_BODY_BYTES", 10_000)
    sent = []

    def flood(_number, _request):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
        for _ in range(1000):
            sent.append(1)
            yield b" " * 100_000

    with RawServer(flood) as server, pytest.raises(ProtocolError, match="larger than 10000 bytes"):
        connect(server.url, policy=ONCE).send(GET)
    assert len(sent) < 1000


def test_a_dripping_answer_ends(connect):
    """Each chunk arrives in time, but the whole response does not."""

    def drip(_number, _request):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
        for _ in range(100):
            yield b" "
            yield b""

    begun = time.monotonic()
    timeouts = Timeouts(read=5.0, total=0.2)
    with RawServer(drip, pause=0.02) as server, pytest.raises(AnswerLost, match=r"longer than 0\.2 s"):
        connect(server.url, policy=ONCE, timeouts=timeouts).send(GET)
    assert time.monotonic() - begun < 3


def test_a_silent_service_is_an_answer_lost(connect):
    """The message has the timeout."""
    with RawServer(always(b""), pause=5) as server, pytest.raises(AnswerLost, match=r"within 1 s"):
        connect(server.url, policy=ONCE, timeouts=SHORT).send(GET)


# -- the key


ECHOES = {
    "error body": http_answer({"error": KEY, "message": f"no such key {KEY}"}, status="401 Unauthorized"),
    "html": http_answer(f"<html>{KEY}</html>", status="502 Bad Gateway"),
    "html as success": http_answer(f"<html>{KEY}</html>"),
    "not json": http_answer(f"{KEY} {KEY}"),
    "across the message's cut": http_answer(
        {"error": "X", "message": "m" * (300 - 20) + KEY}, status="400 Bad Request"
    ),
    "across the excerpt's cut": http_answer("x" * (300 - 20) + KEY, status="400 Bad Request"),
    "across the first cut": http_answer("x" * (1200 - 20) + KEY, status="400 Bad Request"),
    "over and over": http_answer(KEY * 100, status="400 Bad Request"),
    "redirect": http_answer(status="302 Found", headers=[("Location", f"https://login.example/?k={KEY}")]),
    "content type": http_answer(status="500 Oops", headers=[("Content-Type", f"text/{KEY}")]),
    "reason phrase": http_answer(status=f"500 {KEY}"),
    "not http": f"{KEY} {KEY}\r\n\r\n".encode(),
    "shape": http_answer({"projects": [{"id": {KEY: KEY}}]}),
}


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echoed_key_is_in_no_error(connect, echo):
    """A service that repeats the key does not bring it into a log, not even in part."""
    with RawServer(always(ECHOES[echo])) as server, pytest.raises(ClientError) as caught:
        connect(server.url, key=KEY, policy=ONCE).send(GET)
    shown = chain(caught.value)
    for start in range(len(KEY) - 12):
        assert KEY[start : start + 12] not in shown


def test_an_error_pickles_with_its_request_and_response(client, service):
    """Airflow moves exceptions between processes."""
    service.control.faults.add("status", "list_projects", status=429, retry_after=3, times=-1)
    with pytest.raises(RateLimited) as caught:
        client.send(GET)
    for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert type(again) is RateLimited
        assert str(again) == str(caught.value)
        assert (again.request, again.response) == (caught.value.request, caught.value.response)
    assert again.request.url == f"{service.url}/projects"
    assert (again.status, again.response.headers["retry-after"]) == (429, "3")


def test_queries_are_not_in_errors(client, service):
    """The URL of an error is without its query: cursors are long and say nothing."""
    service.control.faults.add("status", "list_runs", status=400)
    with pytest.raises(BadRequest) as caught:
        client.send(testerarmy.list_runs(cursor="xyz"))
    assert caught.value.request.url == f"{service.url}/runs"


FOREIGN = {
    "html": "<html>Blocked by policy</html>",
    "empty": "",
    "json of a proxy": {"fault": {"faultstring": "Invalid ApiKey"}},
    "half of the format": {"error": "forbidden"},
    "fields without content": {"error": "", "message": None},
    "a list": '["error", "message"]',
    "text": "error message",
}


@pytest.mark.parametrize("body", FOREIGN)
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "451 Unavailable For Legal Reasons"])
def test_a_refusal_that_is_not_the_services_is_a_hiccup(connect, status, body):
    """A proxy's page says nothing about the key; a read is repeated, a trigger is not."""
    with RawServer(
        lambda n, _: [http_answer(FOREIGN[body], status=status) if n == 0 else PROJECTS]
    ) as server:
        assert connect(server.url).send(GET) == ()
    with (
        RawServer(always(http_answer(FOREIGN[body], status=status))) as server,
        pytest.raises(Intercepted, match=f"{status[:3]} .*proxy") as caught,
    ):
        connect(server.url).send(TRIGGER)
    assert caught.value.may_have_effect
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["302 Found", "303 See Other", "307 Temporary Redirect"])
def test_a_login_page_is_a_hiccup(connect, status):
    """It is transient: it ends after a login."""
    moved = http_answer(status=status, headers=[("Location", "https://login.example/?back=x&sig=secret")])
    with RawServer(always(moved)) as server, pytest.raises(Intercepted, match="not followed") as caught:
        connect(server.url, policy=ONCE).send(GET)
    assert caught.value.response.headers["location"] == "https://login.example/"


@pytest.mark.parametrize("status", ["408 Request Timeout", "425 Too Early", "499 Client Closed Request"])
def test_a_timeout_at_the_service_is_ambiguous(connect, status):
    """A read is repeated, a trigger may have taken effect."""
    answer = http_answer({"error": "X", "message": "y"}, status=status)
    with RawServer(lambda n, _: [answer if n == 0 else PROJECTS]) as server:
        assert connect(server.url).send(GET) == ()
    with RawServer(always(answer)) as server, pytest.raises(ServerError) as caught:
        connect(server.url).send(TRIGGER)
    assert caught.value.may_have_effect
    assert len(server.requests) == 1


@pytest.mark.parametrize(("key", "status"), [("sk_wrong", 401), ("sk_forbidden_x", 403)])
def test_a_rejected_key(connect, service, key, status):
    """401 and 403 have a class of their own, and are not repeated."""
    with pytest.raises(CredentialsRejected, match=str(status)) as caught:
        connect(service.url, key=key).send(GET)
    assert key not in chain(caught.value)
    assert len(service.control.log) == 1
