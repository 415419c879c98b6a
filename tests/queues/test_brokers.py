"""Hints from SQS, Kafka and Redis, with Airflow's own providers."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from airflow_provider_testerarmy.runs.awaiting.hints import hint_key
from airflow_provider_testerarmy.triggers import hint_queue
from airflow_provider_testerarmy.triggers.hint_queue import QueueReaders
from tests.triggers.ears import Ear

#: A test run's webhook as Docket sends it, and as TesterArmy does; SNS wraps a message as in the third line.
BODIES = [
    json.dumps({"id": "run-1", "status": "passed"}),
    json.dumps({"runId": "run-2"}),
    json.dumps({"Type": "Notification", "Message": json.dumps({"id": "run-3"})}),
]
POISON = ["no JSON", "[" * 50_000, "{}", json.dumps({"id": []}), "\u202e"]


def hear(broker, messages, count, settings=None):
    """Read the queue until a connection has heard this many runs; return their keys."""
    ear, keys = Ear(), []

    def heard():
        keys[:] = [key for _, each in ear.heard for key in each]
        return len(set(keys)) >= count

    async def scene():
        ears = {"web": ear}
        readers = QueueReaders(lambda: list(ears.items()))
        readers.ensure("web", settings or broker.settings)
        async with asyncio.timeout(90):
            await asyncio.to_thread(lambda: [broker.send(each) for each in messages])
            while not heard():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        ears.clear()
        await asyncio.gather(*readers._tasks.values())

    asyncio.run(scene())
    for thread in threading.enumerate():
        if thread.name == "testerarmy hints":
            thread.join(30)
            assert not thread.is_alive()
    return set(keys)


def test_a_message_is_a_hint(broker):
    """Whichever way the delivery is wrapped."""
    assert hear(broker, BODIES, 3) == {hint_key("web", f"run-{n}") for n in (1, 2, 3)}


def test_fifty_at_once_are_all_heard(broker):
    """Messages that come while the reader is busy wait for it."""
    names = [f"many-{number}" for number in range(50)]
    found = hear(broker, [json.dumps({"id": name}) for name in names], 50)
    assert found == {hint_key("web", name) for name in names}


def test_messages_without_a_run_block_nothing(broker, caplog):
    """They are dropped, and logged without what is in them."""
    found = hear(broker, [*POISON, json.dumps({"id": "after"})], 1)
    assert found == {hint_key("web", "after")}
    assert "no JSON" not in caplog.text


def test_a_message_is_read_once(broker):
    """The next reader, e.g. of a new triggerer, does not read it again."""
    hear(broker, [json.dumps({"id": "old"})], 1)
    assert hear(broker, [json.dumps({"id": "new"})], 1) == {hint_key("web", "new")}


def test_airflows_own_trigger_for_kafka_is_used_with_a_function(kafka, monkeypatch):
    """A function of the user's may unwrap messages. The trigger's consumer is closed after each."""
    for name, value in kafka.connections.items():
        monkeypatch.setenv(name, value)
    settings = {**kafka.settings, "apply_function": f"{__name__}.unwrap", "poll_interval": 0.1}
    closed = []
    from airflow.providers.apache.kafka.triggers.await_message import AwaitMessageTrigger

    clean_up = AwaitMessageTrigger.cleanup

    async def cleanup(self):
        assert self._consumer is not None
        closed.append(await clean_up(self))

    monkeypatch.setattr(AwaitMessageTrigger, "cleanup", cleanup)
    found = hear(kafka, [json.dumps({"envelope": {"id": "wrapped"}})], 1, settings)
    assert found == {hint_key("web", "wrapped")}
    assert closed


def unwrap(message):
    """A user's function."""
    return json.loads(message.value()).get("envelope")


def test_a_queue_that_does_not_exist_is_named(sqs, monkeypatch, caplog):
    """Runs are polled at their usual interval meanwhile."""
    for name, value in sqs.connections.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(hint_queue, "AFTER_FAULT", (0.05, 0.05))
    ear = Ear()

    async def scene():
        ears = {"web": ear}
        readers = QueueReaders(lambda: list(ears.items()))
        readers.ensure("web", {**sqs.settings, "sqs_queue": sqs.settings["sqs_queue"] + "-gone"})
        async with asyncio.timeout(60):
            while ear.stopped < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        ears.clear()
        await asyncio.gather(*readers._tasks.values())

    asyncio.run(scene())
    (said,) = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert "does not exist" in said
    assert ear.heard == []


@pytest.fixture(autouse=True)
def short_checks(monkeypatch):
    monkeypatch.setattr(hint_queue, "CHECK_EVERY", 0.05)
