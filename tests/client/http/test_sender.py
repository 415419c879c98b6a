from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from airflow_provider_testerarmy import __version__
from airflow_provider_testerarmy.client.http import sender as senders
from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    ClientError,
    NotSent,
    ProtocolError,
    RateLimited,
    RequestInvalid,
    ServerError,
)
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.client.conftest import chain
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
    """Ten requests use one connection."""
    with RawServer(always(PROJECTS), keep_open=True) as server:
        client = connect(server.url)
        for _ in range(10):
            client.send(GET)
        assert (len(server.requests), server.accepted) == (10, 1)


def test_unset_query_parameters_are_not_sent(client, service):
    """A filter that is None is not sent."""
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
    """A single transient fault of any kind is hidden from the caller."""
    service.control.faults.add(kind, "list_projects", **options)
    assert len(hasty.send(GET)) == 3
    assert calls(service, "list_projects") == 2
    assert len(hasty.slept) == 1


def test_reads_are_repeated_only_so_often(client, service):
    """After the last retry, the caller gets the error."""
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
    """``ONCE`` leaves retries to the caller."""
    service.control.faults.add("status", "list_projects", status=429)
    with pytest.raises(RateLimited):
        connect(service.url, policy=ONCE).send(GET)


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
    """A service that repeats a cursor does not cause an endless loop."""
    page = http_answer({"runs": [{"id": "a", "status": "queued"}], "nextCursor": "again"})
    first = testerarmy.list_runs()
    with RawServer(always(page)) as server:
        assert len(connect(server.url).pages(first, following(first))) == 2


def test_pages_are_fetched_as_they_are_consumed(service):
    """When the reader stops, no further page is requested."""
    with senders.SyncSender(Endpoint(service.url, "sk_sandbox_key")) as sender:
        for _ in range(3):
            sender.send(TRIGGER)
            service.control.clock.advance(1)
        first = testerarmy.list_runs(limit=1)
        next(senders.iterate(sender.send, first, following(first)))
    assert calls(service, "list_runs") == 1
