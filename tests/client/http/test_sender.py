from __future__ import annotations

import copy
import gzip
import pickle
import time
import traceback
from dataclasses import replace

import httpx
import pytest

from airflow_provider_testerarmy import __version__
from airflow_provider_testerarmy.client.http import sender as senders
from airflow_provider_testerarmy.client.http.endpoint import Endpoint, Timeouts
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    BadRequest,
    ClientError,
    CredentialsRejected,
    Intercepted,
    NotSent,
    ProtocolError,
    RateLimited,
    RequestInvalid,
    ServerError,
)
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.sandbox import catalog
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from tests.client.conftest import SHORT
from tests.client.http.rawserver import RawServer, always, http_answer

KEY = "sk_live_0123456789abcdefghijklmnopqrstuvwxyz"
GET = testerarmy.list_projects()
TRIGGER = testerarmy.trigger_test_run(catalog.TEST_PASSES)
PROJECTS = http_answer({"projects": []})


def runs_of(service):
    """Return how many runs were started."""
    return len(service.control.store.runs)


def calls(service, operation):
    """Return how many calls of an operation the service got."""
    return len(service.control.log.entries(operation))


# -- what is sent


def test_the_key_and_the_name_of_the_package_travel_in_headers(connect):
    """The key is a bearer token, and the service can tell who asks."""
    with RawServer(always(PROJECTS)) as server:
        connect(server.url, key=KEY).send(GET)
    sent = server.requests[0].decode().lower()
    assert sent.startswith("get /api/v1/projects http/1.1\r\n")
    assert f"authorization: bearer {KEY}\r\n" in sent
    assert f"user-agent: airflow-provider-testerarmy/{__version__}\r\n" in sent
    assert "accept: application/json\r\n" in sent


def test_connections_are_pooled(connect):
    """Ten requests travel over one connection."""
    with RawServer(always(PROJECTS), keep_open=True) as server:
        client = connect(server.url)
        for _ in range(10):
            client.send(GET)
        assert (len(server.requests), server.accepted) == (10, 1)


def test_unset_query_parameters_are_not_sent(client, service):
    """A filter that is None is no filter."""
    client.send(testerarmy.list_runs(limit=5, status="queued"))
    assert service.control.log.entries("list_runs")[0].query == "limit=5&status=queued"


def test_an_environment_proxy_is_not_used_for_loopback(connect, monkeypatch):
    """A corporate proxy cannot reach this machine's loopback."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with RawServer(always(PROJECTS)) as server:
        assert connect(server.url).send(GET) == ()


# -- what is repeated


TRANSIENT_BUT_AMBIGUOUS = [
    ("reset_after", {}, AnswerLost),
    ("reset_before", {}, AnswerLost),
    ("timeout_after", {}, AnswerLost),
    ("timeout", {}, AnswerLost),
    ("truncated", {}, AnswerLost),
    ("status_after", {}, ServerError),
    ("status", {"status": 500}, ServerError),
    ("html", {}, ServerError),
    ("html", {"status": 200}, ProtocolError),
    ("empty", {}, ProtocolError),
    ("garbage", {}, ProtocolError),
    ("wrong_shape", {}, ProtocolError),
]


@pytest.mark.parametrize(("kind", "options", "error"), TRANSIENT_BUT_AMBIGUOUS)
def test_a_trigger_is_not_repeated_after_an_ambiguous_fault(hasty, service, kind, options, error):
    """Whatever hides the answer, the POST went out once: a second one could start a second run."""
    service.control.faults.add(kind, "trigger_test", times=-1, **options)
    with pytest.raises(error) as caught:
        hasty.send(TRIGGER)
    assert caught.value.may_have_effect
    assert calls(service, "trigger_test") == 1
    assert hasty.slept == []


@pytest.mark.parametrize(("kind", "options", "error"), TRANSIENT_BUT_AMBIGUOUS)
def test_a_read_is_repeated_after_any_transient_fault(hasty, service, kind, options, error):
    """One hiccup of any kind is not seen by the caller."""
    service.control.faults.add(kind, "list_projects", **options)
    assert len(hasty.send(GET)) == 3
    assert calls(service, "list_projects") == 2
    assert len(hasty.slept) == 1


def test_reads_are_repeated_only_so_often(client, service):
    """After the last try the error is the caller's."""
    service.control.faults.add("status", "list_projects", times=-1, status=503)
    with pytest.raises(ServerError, match="503"):
        client.send(GET)
    assert calls(service, "list_projects") == 4


def test_a_trigger_is_repeated_after_429(client, service):
    """A rate limit refuses before anything starts, so the POST may go out again."""
    service.control.faults.add("status", "trigger_test", times=2, status=429, retry_after=7)
    client.send(TRIGGER)
    assert client.slept == [7.0, 7.0]
    assert runs_of(service) == 1


def test_a_trigger_is_repeated_after_a_refused_connection(connect):
    """No connection was made, so nothing can have started."""
    stopped = SandboxServer()
    with stopped:
        url = stopped.url
    client = connect(url)
    with pytest.raises(NotSent) as caught:
        client.send(TRIGGER)
    assert len(client.slept) == 3
    assert not caught.value.may_have_effect


def test_an_unknown_host_is_not_sent(connect, monkeypatch):
    """A name that does not resolve started nothing."""
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(NotSent, match="no connection"):
        connect("https://no-such-host.invalid/api/v1", policy=ONCE).send(TRIGGER)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_refusal_is_not_repeated(client, service, status):
    """The same request would be refused again."""
    service.control.faults.add("status", "list_projects", times=-1, status=status, code="NOPE")
    with pytest.raises(ClientError, match=f"{status} NOPE: A scripted fault") as caught:
        client.send(GET)
    assert caught.value.status == status
    assert calls(service, "list_projects") == 1


def test_cancelling_is_repeated(client, service):
    """Sending it twice does no more than sending it once."""
    run_id = client.send(TRIGGER).run_id
    service.control.faults.add("status", "cancel_run", status=502)
    assert client.send(testerarmy.cancel_run(run_id)).status == "cancelled"


def test_a_policy_of_one_attempt_repeats_nothing(connect, service):
    """``ONCE`` leaves every repetition to the caller."""
    service.control.faults.add("status", "list_projects", status=429)
    with pytest.raises(RateLimited):
        connect(service.url, policy=ONCE).send(GET)


# -- how answers are read


def test_the_services_clock_comes_with_the_answer(client, service):
    """The Date header is the service's own time, whatever this machine's clock says."""
    assert client.answer(GET).server_time == service.control.clock.now().replace(microsecond=0)


@pytest.mark.parametrize("date", ["soon", "", "Wed, 11 Feb 99999999999999999999 12:00:00 GMT", "0"])
def test_an_unreadable_clock_is_no_clock(connect, date):
    """A Date that is none does not spoil the answer."""
    with RawServer(always(http_answer({"projects": []}, headers=[("Date", date)]))) as server:
        assert connect(server.url).answer(GET).server_time is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the answer is empty"),
        (b"  \n", "the answer is empty"),
        (b"<html>Bad gateway</html>", "the answer is HTML: '<html>Bad gateway</html>'"),
        (b'{"projects": [\xff', "the answer is not JSON"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b'{"data": 1}', "another shape: projects: Field required"),
        (b"[]", "another shape: body: Input should be"),
        (b"null", "another shape: body: Input should be"),
        (b'{"projects": [{"name": 1}]}', "another shape: projects.0.id: Field required"),
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
    """Fewer bytes than promised are not an answer."""
    with (
        RawServer(always(http_answer(b'{"projects": []}', length=999))) as server,
        pytest.raises(AnswerLost, match="connection broke"),
    ):
        connect(server.url, policy=ONCE).send(GET)


@pytest.mark.parametrize("noise", [b"", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 200\x00 OK\r\n\r\n"])
def test_what_is_not_http_is_an_answer_lost(connect, noise):
    """The connection was made and the request went out; nobody knows what it did."""
    with RawServer(always(noise or b"\r\n")) as server, pytest.raises(AnswerLost, match="connection broke"):
        connect(server.url, policy=ONCE).send(TRIGGER)


def test_a_body_has_a_largest_size(connect, monkeypatch):
    """Past it the answer is not the API's, and it is not kept in memory."""
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
    """Each piece comes in time, the whole does not."""

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
    """The message says for how long it was silent."""
    with RawServer(always(b""), pause=5) as server, pytest.raises(AnswerLost, match=r"within 1 s"):
        connect(server.url, policy=ONCE, timeouts=SHORT).send(GET)


# -- the key


def chain(error):
    """Return everything that a log could show of an error."""
    shown = "".join(traceback.format_exception(error))
    return f"{error!r} {error} {vars(error)!r} {shown} {pickle.dumps(error)!r}"


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
    """It goes away when somebody has logged in, or the portal is passed."""
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


# -- transport errors


def every_httpx_error():
    """Return all classes that httpx may raise for an exchange."""
    found, pending = set(), [httpx.HTTPError]
    while pending:
        cls = pending.pop()
        found.add(cls)
        pending += cls.__subclasses__()
    return sorted(found | {httpx.InvalidURL}, key=lambda cls: cls.__name__)


NOTHING_WAS_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
REFUSED_HERE = {"InvalidURL", "UnsupportedProtocol"}


@pytest.mark.parametrize("cls", every_httpx_error(), ids=lambda cls: cls.__name__)
def test_every_httpx_error_is_mapped(cls):
    """No class is forgotten, and only what provably was not sent counts as not sent."""
    raw = cls.__new__(cls)
    Exception.__init__(raw, f"oh no {KEY}")
    error = senders.map_transport_error(raw, TRIGGER, Endpoint("https://example.com", KEY))
    expected = {"DecodingError": ProtocolError}.get(cls.__name__, AnswerLost)
    if cls.__name__ in NOTHING_WAS_SENT:
        expected = NotSent
    if cls.__name__ in REFUSED_HERE:
        expected = RequestInvalid
    assert type(error) is expected
    assert error.may_have_effect == (expected in (AnswerLost, ProtocolError))
    assert KEY not in chain(error)


# -- pages


def following(first):
    """Return how the pages of a list follow each other."""

    def step(page):
        cursor = page.next_cursor
        return (cursor, replace(first, query={**first.query, "cursor": cursor})) if cursor else None

    return step


def test_pages_follow_each_other(client, service):
    """A list is read to its end, each run once, newest first."""
    for _ in range(7):
        client.send(TRIGGER)
        service.control.clock.advance(1)
    first = testerarmy.list_runs(limit=3)
    pages = client.pages(first, following(first))
    ids = [run.id for page in pages for run in page.runs]
    assert [len(page.runs) for page in pages] == [3, 3, 1]
    assert ids == list(reversed(service.control.store.runs))


def test_a_cursor_that_repeats_ends_the_list(connect):
    """A service that always names the same next page does not hold a reader for ever."""
    page = http_answer({"runs": [{"id": "a", "status": "queued"}], "nextCursor": "again"})
    first = testerarmy.list_runs()
    with RawServer(always(page)) as server:
        assert len(connect(server.url).pages(first, following(first))) == 2


def test_pages_are_fetched_as_they_are_consumed(service):
    """Whoever stops reading stops asking."""
    with senders.SyncSender(Endpoint(service.url, "sk_sandbox_key")) as sender:
        for _ in range(3):
            sender.send(TRIGGER)
            service.control.clock.advance(1)
        first = testerarmy.list_runs(limit=1)
        next(senders.iterate(sender.send, first, following(first)))
    assert calls(service, "list_runs") == 1
