"""Serves the sandbox on a real socket, in a thread of the caller or as a process of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn

from airflow_provider_testerarmy.sandbox.app import create_app
from airflow_provider_testerarmy.sandbox.docket import api as docket
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy.api import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

START_SECONDS = 10
BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets with an explicit protocol (python/cpython#148783).
    # Without it, Nagle's algorithm delays each response by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    return listener


class _Server(uvicorn.Server):
    """A uvicorn server that calls a function when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def create_server(
    sandbox: Sandbox,
    on_ready: Callable[[], None],
    *,
    certfile: str | None = None,
    keyfile: str | None = None,
) -> uvicorn.Server:
    """Return a server for the sandbox; a certificate turns on TLS.

    :param on_ready: called once, when the server accepts connections.
    """
    config = uvicorn.Config(
        create_app(sandbox),
        # Faults need the transport below the protocol, so protocol and loop are fixed, whatever is installed.
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        # Longer than any client keeps an idle connection, so only faults close a connection in use.
        timeout_keep_alive=75,
        # Calls that never get a response must not delay the shutdown.
        timeout_graceful_shutdown=0,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
    )
    return _Server(config, on_ready)


def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    with listener:
        asyncio.run(server.serve(sockets=[listener]))


class SandboxServer:
    """A context manager that serves a sandbox on the loopback interface.

    :param control: the state to serve, and the handle to change it; None for a new one.
    :param port: the port; 0 picks a free one.
    :param certfile: a certificate; turns on TLS.
    :param keyfile: the private key of the certificate.
    """

    def __init__(
        self,
        control: Sandbox | None = None,
        *,
        port: int = 0,
        certfile: str | None = None,
        keyfile: str | None = None,
    ) -> None:
        self.control = control or Sandbox()
        self.port = port
        self._certfile, self._keyfile = certfile, keyfile
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """The origin of the server: scheme, host and port."""
        return f"{'https' if self._certfile else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL of the TesterArmy API."""
        return self.origin + PREFIX

    @property
    def docket_url(self) -> str:
        """The base URL of the Docket API."""
        return self.origin + docket.PREFIX

    def start(self) -> Self:
        """Start the server and wait until it accepts connections; a restart uses the same port.

        :raises RuntimeError: the server did not start in time.
        """
        ready = threading.Event()
        server = create_server(self.control, ready.set, certfile=self._certfile, keyfile=self._keyfile)
        listener = listen("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=_serve, args=(server, listener), name="sandbox", daemon=True)
        self._thread.start()
        if not ready.wait(START_SECONDS):
            raise RuntimeError(f"the sandbox did not start within {START_SECONDS} s")
        return self

    def stop(self) -> None:
        """Stop the server and close its connections."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(START_SECONDS)
            self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
