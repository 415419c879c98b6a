"""SQS' API, a broker of Kafka's protocol and a Redis, each on a real socket, and Airflow's connections to them."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from confluent_kafka import Producer
from moto.server import ThreadedMotoServer
from redis import ConnectionError as RedisConnectionError
from redis import Redis

from tests.rig.airflow import free_port
from tests.rig.waiting import eventually

KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
CHANNEL = "testerarmy"


@dataclass(frozen=True)
class Queue:
    """A queue, and how to send to it.

    :param settings: what a connection has as ``hints_queue``.
    :param connections: the variables with the connections to the broker.
    """

    settings: dict[str, Any]
    send: Callable[[str], object]
    connections: dict[str, str]


@pytest.fixture(scope="session")
def sqs() -> Iterator[Queue]:
    """A queue in moto, which answers as SQS does."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client("sqs", endpoint_url=endpoint, **KEYS)
    url = client.create_queue(QueueName="hints")["QueueUrl"]
    connection = {
        "conn_type": "aws",
        "login": KEYS["aws_access_key_id"],
        "password": KEYS["aws_secret_access_key"],
        "extra": {"endpoint_url": endpoint, "region_name": KEYS["region_name"]},
    }
    yield Queue(
        {"scheme": "sqs", "sqs_queue": url, "max_messages": 10, "waiter_delay": 1},
        lambda text: client.send_message(QueueUrl=url, MessageBody=text),
        {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)},
    )
    server.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The broker that Confluent's client library has for tests; PyPI, Debian and npm have no other one."""
    owner = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    yield ",".join(f"{each.host}:{each.port}" for each in owner.list_topics(timeout=10).brokers.values())
    del owner


@pytest.fixture
def kafka(cluster: str) -> Queue:
    """A topic of its own. This broker keeps a consumer that has left until its session times out."""
    topic, producer = f"hints-{uuid.uuid4()}", Producer({"bootstrap.servers": cluster})

    def send(text: str) -> None:
        # In one partition, so that they are read in their order.
        producer.produce(topic, text.encode(), partition=0)
        assert producer.flush(10) == 0

    config = {
        "bootstrap.servers": cluster,
        "group.id": topic,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        # The reader commits what it has read.
        "enable.auto.commit": False,
    }
    return Queue(
        {"scheme": "kafka", "topics": [topic], "poll_timeout": 0.2},
        send,
        {"AIRFLOW_CONN_KAFKA_DEFAULT": json.dumps({"conn_type": "kafka", "extra": config})},
    )


@pytest.fixture(scope="session")
def redis() -> Iterator[Queue]:
    """A Redis that stores nothing."""
    port = free_port()
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    client = Redis(port=port)
    eventually(client.ping, 20, "Redis", retry_on=(RedisConnectionError,))
    yield Queue(
        {"scheme": "redis+pubsub", "channels": [CHANNEL], "poll_interval": 0.2},
        # A channel keeps no message for those who subscribe later.
        lambda text: eventually(lambda: client.publish(CHANNEL, text), 20, "a subscription"),
        {"AIRFLOW_CONN_REDIS_DEFAULT": json.dumps({"conn_type": "redis", "host": "127.0.0.1", "port": port})},
    )
    process.terminate()
    process.wait(20)


@pytest.fixture(params=["sqs", "kafka", "redis"])
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """Each of them, and Airflow's connection to it."""
    found: Queue = request.getfixturevalue(request.param)
    for name, value in found.connections.items():
        monkeypatch.setenv(name, value)
    return found
