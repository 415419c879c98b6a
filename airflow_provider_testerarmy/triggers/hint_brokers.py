"""How a queue of hints is read: with Airflow's trigger for its broker, or with one subscription for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pkgutil import resolve_name
from typing import Any, Final

from airflow.triggers.base import TriggerEvent

#: Classes of providers that are optional.
MESSAGE_QUEUE_TRIGGER: Final = "airflow.providers.common.messaging.triggers.msg_queue:MessageQueueTrigger"
REDIS_HOOK: Final = "airflow.providers.redis.hooks.redis:RedisHook"
KAFKA_HOOK: Final = "airflow.providers.apache.kafka.hooks.consume:KafkaConsumerHook"
#: The schemes of Redis' channels and of Kafka's topics, as in Airflow's providers.
REDIS: Final = "redis+pubsub"
KAFKA: Final = "kafka"
#: The longest wait for a message in seconds, and the waits without one before Redis' connection is tested.
WAIT: Final = 1.0
REDIS_SILENCE: Final = 30


def open_queue(settings: Mapping[str, Any]) -> Any:
    """The trigger that reads a queue; imported in the queue's thread, because it loads all providers.

    :param settings: the arguments of Airflow's ``MessageQueueTrigger``.
    :raises ImportError: if the common messaging provider, or the one of the broker, is not installed.
    """
    given = {name: value for name, value in settings.items() if name != "scheme"}
    if settings["scheme"] == REDIS:
        return RedisChannels(**given)
    # A function of the user's may change messages, so Airflow's trigger calls it.
    if settings["scheme"] == KAFKA and "apply_function" not in given:
        return KafkaTopics(**given)
    return resolve_name(MESSAGE_QUEUE_TRIGGER)(**settings)


class RedisChannels:
    """Reads channels of Redis, with the arguments of Airflow's own trigger but one subscription.

    Airflow's trigger subscribes anew for each message, and loses those that come meanwhile: it received one of 30
    messages that were sent at once.

    :param channels: the names of the channels.
    :param redis_conn_id: the Airflow connection of Redis.
    :param poll_interval: the longest wait for a message in seconds, up to :data:`WAIT`.
    """

    def __init__(
        self,
        channels: list[str] | str,
        redis_conn_id: str = "redis_default",
        poll_interval: float = WAIT,
    ) -> None:
        self._channels = [channels] if isinstance(channels, str) else channels
        self._conn_id = redis_conn_id
        self._wait = min(float(poll_interval), WAIT)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield each message. The calls block the thread, which has nothing else to do."""
        silent = 0
        with (
            closing(resolve_name(REDIS_HOOK)(self._conn_id).get_conn()) as client,
            closing(client.pubsub()) as subscription,
        ):
            subscription.subscribe(*self._channels)
            while True:
                message = subscription.get_message(ignore_subscribe_messages=True, timeout=self._wait)
                silent = 0 if message else silent + 1
                if silent >= REDIS_SILENCE:
                    subscription.ping()
                    silent = 0
                if message and message["type"] == "message":
                    yield TriggerEvent(message)
                # Here the reader can be stopped.
                await asyncio.sleep(0)


class KafkaTopics:
    """Reads topics of Kafka, with the arguments of Airflow's own trigger but one consumer.

    Airflow's trigger joins the consumer group anew for each message, which takes seconds.

    :param topics: the names of the topics.
    :param kafka_config_id: the Airflow connection of Kafka.
    :param poll_timeout: the longest wait for a message in seconds, up to :data:`WAIT`.
    :param commit_offset: whether read messages are committed.
    :param poll_interval: not used; this reader does not sleep between messages.
    """

    def __init__(
        self,
        topics: list[str] | str,
        kafka_config_id: str = "kafka_default",
        poll_timeout: float = WAIT,
        commit_offset: bool = True,
        poll_interval: float = 0.0,
    ) -> None:
        self._topics = [topics] if isinstance(topics, str) else topics
        self._conn_id = kafka_config_id
        self._wait = min(float(poll_timeout), WAIT)
        self._commit = commit_offset

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the text of each message. The calls block the thread, which has nothing else to do.

        :raises ConnectionError: if the broker reports an error.
        """
        hook = resolve_name(KAFKA_HOOK)(topics=self._topics, kafka_config_id=self._conn_id)
        with closing(hook.get_consumer()) as consumer:
            while True:
                message = consumer.poll(self._wait)
                if message is not None and message.error():
                    raise ConnectionError(str(message.error()))
                if message is not None:
                    if self._commit:
                        consumer.commit(message=message, asynchronous=True)
                    yield TriggerEvent(message.value() or b"")
                # Here the reader can be stopped.
                await asyncio.sleep(0)
