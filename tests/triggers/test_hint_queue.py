"""Hints from a message queue, with a broker on a real socket whose client blocks, as Redis' does."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import sys
import threading
import types
from contextlib import contextmanager

import pytest
from asgiref.sync import sync_to_async

from airflow_provider_testerarmy.airflow_compat.features import QUEUE_HINTS
from airflow_provider_testerarmy.hooks.deliveries import MAX_BODY
from airflow_provider_testerarmy.runs.awaiting.hints import hint_key
from airflow_provider_testerarmy.triggers import hint_brokers, hint_queue
from airflow_provider_testerarmy.triggers.hint_queue import QueueReaders
from tests.triggers.ears import Ear

SETTINGS = {"scheme": "lines"}
RUN = json.dumps({"id": "run-1", "status": "passed"})


class Broker:
    """Gives one message to each client that connects."""

    def __init__(self, port=0):
        self._messages = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.clients = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            with client:
                message = self._messages.get()
                if message is not None:
                    client.sendall(message.encode())

    def send(self, *messages):
        for message in messages:
            self._messages.put(message)

    def close(self):
        self._listener.close()
        self._messages.put(None)


@pytest.fixture
def broker():
    made = Broker()
    yield made
    made.close()


class Event:
    def __init__(self, payload):
        self.payload = payload


def client_of(port):
    """The trigger of this broker: it ends after one message."""

    class Lines:
        async def run(self):
            with socket.create_connection(("127.0.0.1", port)) as link:
                link.settimeout(20)
                text = await sync_to_async(lambda: link.makefile().read())()
            if text:
                yield Event({"type": "message", "data": text})

    return lambda _settings: Lines()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    if not QUEUE_HINTS.available:
        pytest.skip("hints from queues need a newer Airflow")
    monkeypatch.setattr(hint_queue, "CHECK_EVERY", 0.01)
    monkeypatch.setattr(hint_queue, "AFTER_FAULT", (0.01, 0.02))
    yield
    for thread in threads():
        thread.join(30)
    assert not threads()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def threads():
    return [each for each in threading.enumerate() if each.name == "testerarmy hints"]


@contextmanager
def reading(ears, open_queue, *, settings=SETTINGS):
    """Readers for these connections, which all name one queue."""
    readers = QueueReaders(lambda: list(ears.items()), open_queue)
    for conn_id in ears:
        readers.ensure(conn_id, settings)
    yield readers
    ears.clear()


def test_a_message_is_a_hint_for_every_connection_of_the_queue(broker):
    """One client reads for all of them."""
    web, mobile = Ear(), Ear()

    async def scene():
        with reading({"web": web, "mobile": mobile}, client_of(broker.port)) as readers:
            broker.send(RUN)
            await until(lambda: web.heard and mobile.heard)
            assert len(readers._tasks) == 1
            assert len(threads()) == 1
        await until(lambda: all(task.done() for task in readers._tasks.values()))

    asyncio.run(scene())
    assert web.heard == [("web", (hint_key("web", "run-1"),))]
    assert mobile.heard == [("mobile", (hint_key("mobile", "run-1"),))]


def test_messages_without_a_run_are_dropped(broker, caplog):
    """They are logged once, without what is in them, and the next message counts."""
    ear = Ear()
    poison = ["secret text", "[" * 60_000, "{}", json.dumps({"id": "x" * MAX_BODY}), "null", '{"id": []}']

    async def scene():
        with reading({"web": ear}, client_of(broker.port)):
            broker.send(*poison, RUN)
            await until(lambda: ear.heard)

    asyncio.run(scene())
    assert ear.heard == [("web", (hint_key("web", "run-1"),))]
    lines = [record.getMessage() for record in caplog.records if "names no run" in record.getMessage()]
    assert len(lines) == 1
    assert "secret" not in caplog.text


def test_a_dead_broker_costs_nothing_but_the_hints(broker, caplog):
    """Polls go on as usual meanwhile. After the broker is back, hints come again."""
    ear = Ear()
    port = broker.port
    broker.close()

    async def scene():
        with reading({"web": ear}, client_of(port)):
            await until(lambda: ear.stopped >= 3)
            assert ear.heard == []
            back = Broker(port)
            back.send(RUN)
            await until(lambda: ear.heard)
            back.close()

    asyncio.run(scene())
    lines = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert len(lines) == 1


def test_a_broker_that_blocks_its_client_does_not_block_the_event_loop():
    """Neither the loop of the watchers, nor the thread that synchronous calls of other triggers share."""
    ear, entered, release = Ear(), threading.Event(), threading.Event()

    class Blocks:
        async def run(self):
            entered.set()
            await sync_to_async(release.wait)()
            yield Event(RUN)

    async def scene():
        with reading({"web": ear}, lambda _settings: Blocks()):
            await until(entered.is_set)
            assert await sync_to_async(lambda: "free")() == "free"
            assert ear.heard == []
            release.set()
            await until(lambda: ear.heard)

    asyncio.run(scene())


def test_the_thread_ends_with_the_last_watcher(broker):
    """And a message that it was waiting for is not passed on."""
    ear = Ear()

    async def scene():
        with reading({"web": ear}, client_of(broker.port)) as readers:
            await until(lambda: broker.clients)
            assert len(threads()) == 1
        await until(lambda: all(task.done() for task in readers._tasks.values()))
        broker.send(RUN)
        await until(lambda: not threads())

    asyncio.run(scene())
    assert threads() == []
    assert ear.heard == []


def test_a_message_after_the_end_of_the_event_loop_is_lost(broker):
    """The triggerer has stopped: the thread ends, and raises nothing."""

    async def scene():
        with reading({"web": Ear()}, client_of(broker.port)):
            await until(lambda: broker.clients)

    asyncio.run(scene())
    broker.send(RUN, RUN)
    for thread in threads():
        thread.join(20)
    assert not threads()


def test_a_missing_provider_is_named(monkeypatch, caplog):
    ear = Ear()
    monkeypatch.setitem(sys.modules, "airflow.providers.common.messaging.triggers.msg_queue", None)

    async def scene():
        with reading({"web": ear}, hint_queue.open_queue):
            await until(lambda: ear.stopped)

    asyncio.run(scene())
    assert "airflow-provider-testerarmy[queue]" in caplog.text


def test_a_connection_without_a_queue_reads_none():
    async def scene():
        with reading({"web": Ear()}, client_of(1), settings=None) as readers:
            assert readers._tasks == {}

    asyncio.run(scene())
    assert not threads()


class Subscription:
    """A subscription of Redis' client: its answers, in order."""

    def __init__(self, answers):
        self.answers, self.channels, self.pings, self.closed = answers, [], 0, False

    def subscribe(self, *channels):
        self.channels.append(channels)

    def get_message(self, *, ignore_subscribe_messages, timeout):
        if not self.answers:
            raise ConnectionError("closed by the server")
        return self.answers.pop(0)

    def ping(self):
        self.pings += 1

    def close(self):
        self.closed = True

    def pubsub(self):
        return self


def test_redis_is_read_with_one_subscription(monkeypatch):
    """No message is lost in between, and a silent connection is tested."""
    silence = [None] * hint_brokers.REDIS_SILENCE
    messages = [
        {"type": "message", "data": RUN},
        {"type": "pong", "data": b""},
        {"type": "message", "data": "last"},
    ]
    client = Subscription([*silence, *messages])
    module = types.ModuleType("airflow.providers.redis.hooks.redis")
    module.RedisHook = lambda conn_id: types.SimpleNamespace(get_conn=lambda: client)
    monkeypatch.setitem(sys.modules, "airflow.providers.redis.hooks.redis", module)
    read = []

    async def scene():
        trigger = hint_queue.open_queue({"scheme": "redis+pubsub", "channels": "testerarmy"})
        async for event in trigger.run():
            data = event.payload["data"]
            read.append(data)

    with pytest.raises(ConnectionError):
        asyncio.run(scene())
    assert read == [RUN, "last"]
    assert (client.channels, client.pings, client.closed) == ([("testerarmy",)], 1, True)
