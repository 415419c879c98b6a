"""One interface for the sync and the async sender, so that the same tests run against both."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_testerarmy.client.http import sender as senders
from airflow_provider_testerarmy.client.http.endpoint import Endpoint, Timeouts
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.retry import RetryPolicy
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY

#: Long enough for a busy machine, short enough for a test of what never comes.
SHORT = Timeouts(connect=2.0, read=1.0, total=1.5)


def chain(error: BaseException) -> str:
    """Return everything that a log could show of an error."""
    shown = "".join(traceback.format_exception(error))
    return f"{error!r} {error} {vars(error)!r} {shown} {pickle.dumps(error)!r}"


class SyncClient:
    """The sync sender; ``slept`` are the pauses that it would have made."""

    def __init__(self, endpoint: Endpoint, policy: RetryPolicy | None) -> None:
        self.slept: list[float] = []
        self._sender = senders.SyncSender(endpoint, policy=policy, sleep=self.slept.append)

    def answer(self, operation: Operation[Any]) -> Any:
        return self._sender.send(operation)

    def send(self, operation: Operation[Any]) -> Any:
        return self.answer(operation).value

    def pages(self, first: Operation[Any], following: senders.Following[Any]) -> list[Any]:
        return list(senders.iterate(self._sender.send, first, following))

    def close(self) -> None:
        self._sender.close()


class AsyncClient:
    """The async sender, asked from outside its event loop."""

    def __init__(self, endpoint: Endpoint, policy: RetryPolicy | None) -> None:
        self.slept: list[float] = []
        self._runner = asyncio.Runner()
        self._sender = senders.AsyncSender(endpoint, policy=policy, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def answer(self, operation: Operation[Any]) -> Any:
        return self._runner.run(self._sender.send(operation))

    def send(self, operation: Operation[Any]) -> Any:
        return self.answer(operation).value

    def pages(self, first: Operation[Any], following: senders.Following[Any]) -> list[Any]:
        async def collect() -> list[Any]:
            return [page async for page in senders.aiterate(self._sender.send, first, following)]

        return self._runner.run(collect())

    def close(self) -> None:
        self._runner.run(self._sender.aclose())
        self._runner.close()


Client = SyncClient | AsyncClient
Connect = Callable[..., Client]


@pytest.fixture(params=[SyncClient, AsyncClient], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of one kind, and closes them after the test."""
    opened: list[Client] = []

    def open_client(
        url: str,
        *,
        policy: RetryPolicy | None = None,
        key: str = DEFAULT_API_KEY,
        timeouts: Timeouts | None = None,
        **options: Any,
    ) -> Client:
        endpoint = Endpoint(url, key, timeouts=timeouts or Timeouts(), **options)
        opened.append(request.param(endpoint, policy))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


@pytest.fixture
def client(connect: Connect, service: SandboxServer) -> Client:
    """A client of the sandbox."""
    return connect(service.url)


@pytest.fixture
def hasty(connect: Connect, service: SandboxServer) -> Client:
    """A client of the sandbox that waits for no answer longer than a moment."""
    return connect(service.url, timeouts=SHORT)
