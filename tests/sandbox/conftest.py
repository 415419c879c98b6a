"""A sandbox with a stopped clock, in process and behind a real socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from airflow_provider_testerarmy.sandbox.app import create_app
from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

NOON = 1_770_811_200.0  # 2026-02-11T12:00:00Z
AUTHORIZED = {"Authorization": f"Bearer {DEFAULT_API_KEY}"}


class InProcess(httpx.BaseTransport):
    """Let a synchronous client call an ASGI application."""

    def __init__(self, app: ASGIApp, runner: asyncio.Runner) -> None:
        self._inner = httpx.ASGITransport(app)
        self._runner = runner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all calls in process."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def sandbox() -> Sandbox:
    """A fresh sandbox at noon."""
    return Sandbox(SandboxClock(manual=True, start=NOON))


def client_of(sandbox: Sandbox, runner: asyncio.Runner) -> httpx.Client:
    """Return a client of a sandbox's API, in process."""
    return httpx.Client(
        transport=InProcess(create_app(sandbox), runner),
        base_url="http://sandbox/api/v1",
        headers=AUTHORIZED,
        trust_env=False,
    )


@pytest.fixture
def api(sandbox: Sandbox, runner: asyncio.Runner) -> httpx.Client:
    """The API, in process."""
    return client_of(sandbox, runner)


@pytest.fixture
def control(sandbox: Sandbox, runner: asyncio.Runner) -> httpx.Client:
    """The control routes, in process."""
    return httpx.Client(
        transport=InProcess(create_app(sandbox), runner), base_url="http://sandbox/_sandbox", trust_env=False
    )


@pytest.fixture(scope="session")
def running_server() -> Iterator[SandboxServer]:
    """One server for all tests that need a socket."""
    with SandboxServer(Sandbox(SandboxClock(manual=True, start=NOON))) as server:
        yield server


@pytest.fixture
def server(running_server: SandboxServer) -> SandboxServer:
    """The server, reset for each test."""
    running_server.control.reset()
    return running_server


@pytest.fixture
def remote(server: SandboxServer) -> Iterator[httpx.Client]:
    """The API, over a socket."""
    with httpx.Client(
        base_url=server.url, headers=AUTHORIZED, timeout=5, trust_env=False, verify=False
    ) as client:
        yield client
