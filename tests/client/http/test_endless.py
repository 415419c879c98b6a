"""Every exchange ends, and no response exceeds its memory limit; both senders against a raw server."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
import tracemalloc
import zlib

import pytest

from airflow_provider_testerarmy.client.http.body import MAX_BODY_BYTES
from airflow_provider_testerarmy.client.http.endpoint import Endpoint, Timeouts
from airflow_provider_testerarmy.client.http.errors import AnswerLost, NotSent, ProtocolError
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.http.sender import AsyncSender
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.client.http.endless import BOMBS, ENDLESS
from tests.client.http.rawserver import RawServer, always, http_answer

GET = testerarmy.list_projects()
TRIGGER = testerarmy.trigger_test_run(catalog.TEST_PASSES)
#: Each piece comes well within the read time-out.
BRIEF = Timeouts(connect=2.0, read=2.0, total=0.3)
#: Generous: without a limit none of these would ever end.
SOON = 5.0


@pytest.mark.parametrize("way", ENDLESS)
def test_an_answer_that_never_ends_is_given_up(connect, way):
    """Each part that never ends is cut off; a sent request may have had an effect."""
    begun = time.monotonic()
    with RawServer(ENDLESS[way], pause=0.02) as server, pytest.raises(AnswerLost, match=r"0\.3 s") as caught:
        connect(server.url, policy=ONCE, timeouts=BRIEF).send(TRIGGER)
    assert caught.value.may_have_effect
    assert time.monotonic() - begun < SOON
    assert len(server.requests) == 1


def test_a_connection_that_is_not_accepted_is_given_up(connect):
    """The queue of a listener is full; nothing was sent."""
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}/api/v1"
        with pytest.raises(NotSent):
            connect(url, policy=ONCE, timeouts=BRIEF).send(TRIGGER)
        for each in waiting:
            each.close()
    assert time.monotonic() - begun < SOON


def test_a_tls_handshake_that_stalls_is_given_up(connect):
    """The server takes the greeting and says nothing; the request was not sent."""
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        with pytest.raises(NotSent):
            connect(url, policy=ONCE, timeouts=BRIEF).send(TRIGGER)
    assert time.monotonic() - begun < SOON


def test_a_name_that_is_never_resolved_is_given_up(connect, monkeypatch):
    """The system's resolver has no time-out of its own; the request was not sent."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: release.wait(SOON) and [])
    begun = time.monotonic()
    with pytest.raises(NotSent):
        connect("http://localhost:9/api/v1", policy=ONCE, timeouts=BRIEF).send(TRIGGER)
    elapsed = time.monotonic() - begun
    release.set()
    assert elapsed < SOON


def test_the_next_exchange_has_the_whole_time(connect):
    """A connection that is used again has no deadline of its own. Together they take longer than one may."""
    with RawServer(always(b"", http_answer({"projects": []})), keep_open=True, pause=0.8) as server:
        client = connect(server.url, policy=ONCE, timeouts=Timeouts(connect=2.0, read=2.0, total=2.0))
        assert [client.send(GET) for _ in range(3)] == [(), (), ()]
        assert server.accepted == 1


@pytest.mark.parametrize(
    "flood", [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 9]
)
def test_a_flood_of_heads_is_given_up_by_its_size(connect, flood):
    """Even if it arrives fast."""
    with (
        RawServer(lambda _number, _request: (flood * 1000 for _ in range(1000))) as server,
        pytest.raises(AnswerLost, match=r"head of the response is larger|connection broke"),
    ):
        connect(server.url, policy=ONCE, timeouts=Timeouts(total=30)).send(GET)


def peak(work):
    """Return by how many bytes memory grew at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("status", ["200 OK", "500 Oops", "401 Unauthorized"])
@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_refused_within_its_limit(connect, coding, status):
    """Of decoded bytes; more than one coding, and one that was not asked for, is not decoded at all."""
    answer = http_answer(BOMBS[coding](), status=status, headers=[("Content-Encoding", coding)])
    with RawServer(always(answer)) as server:
        client = connect(server.url, policy=ONCE)

        def send():
            with pytest.raises(
                ProtocolError if status == "200 OK" or coding not in ("gzip", "deflate") else Exception
            ):
                client.send(GET)

        assert peak(send) < 1.5 * MAX_BODY_BYTES + 2 * len(answer)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("identity", b'{"projects": []}'),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("identity, gzip", "gzip"),
        ("deflate", "deflate"),
        ("deflate", "raw deflate"),
    ],
)
def test_one_coding_that_was_asked_for_is_read(connect, coding, body):
    """In every spelling."""
    plain = b'{"projects": []}'
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bodies = {
        "gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw deflate": raw.compress(plain) + raw.flush(),
    }
    answer = http_answer(bodies.get(body, body), headers=[("Content-Encoding", coding)])
    with RawServer(always(answer)) as server:
        assert connect(server.url, policy=ONCE).send(GET) == ()


def test_a_cut_off_coding_is_no_answer(connect):
    """As many bytes as promised, but the stream has no end."""
    cut = gzip.compress(b'{"projects": []}')[:-9]
    with (
        RawServer(always(http_answer(cut, headers=[("Content-Encoding", "gzip")]))) as server,
        pytest.raises(ProtocolError, match="truncated"),
    ):
        connect(server.url, policy=ONCE).send(GET)


SIZE = MAX_BODY_BYTES - 100
HEAVY = {
    "one long text": b'{"projects": ["' + b"x" * SIZE + b'"]}',
    "escapes": b'{"projects": ["' + rb"\u00e4" * (SIZE // 6) + b'"]}',
    "half characters": b'{"projects": ["' + rb"\ud83d" * (SIZE // 6) + b'"]}',
    "many values": b'{"projects": [' + b"1," * (SIZE // 2) + b"1]}",
    "many lists": b'{"projects": [' + b"[]," * 99_000 + b"[]]}",
    "many wrong items": b'{"projects": [' + b"1," * 190_000 + b"1]}",
    "wrong items in a page": b'{"projects": [' + b"{}," * 4_900 + b"{}]}",
    "blanks": b" " * SIZE,
    "brackets": b"[" * SIZE,
}


async def longest_block(sender):
    """Return for how many seconds the event loop was blocked while a response was read."""
    longest, done = 0.0, False

    async def watch():
        nonlocal longest
        while not done:
            # CPU time of all threads, so that a busy machine makes no difference.
            before = time.process_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.process_time() - before)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    with pytest.raises(ProtocolError):
        await sender.send(GET)
    done = True
    await watching
    return longest


@pytest.mark.parametrize("name", HEAVY)
def test_the_loop_turns_while_a_heavy_answer_is_read(name):
    """As `make bench-bounds` measures exactly; without care these take up to seconds."""

    async def measure(url):
        async with AsyncSender(Endpoint(url, "sk_key"), policy=ONCE) as sender:
            return await longest_block(sender)

    with RawServer(always(http_answer(HEAVY[name]))) as server:
        longest = asyncio.run(measure(server.url))
    # Far above what it takes, so that a busy machine does not fail this.
    assert longest < 1.0
