"""A network backend for httpx that applies the limits of the current exchange to every step.

httpx has no parameter for a network backend (httpcore has one), so :func:`bound` replaces the backend in the
connection pools of a client.
"""

from __future__ import annotations

import ipaddress
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import httpcore
import httpx

from airflow_provider_testerarmy.client.http.exchange import MAX_HEAD_BYTES, Exchange, current_exchange

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)

#: Bytes per write; the remaining time is checked before each write.
_WRITE_PIECE: Final = 16 * 1024

#: Raises an httpcore error for an address that must not be contacted.
Guard = Callable[[str], None]


def bound(client: ClientT, guard: Guard | None = None) -> ClientT:
    """Apply the limits of the current exchange to every connection of a client.

    :param guard: checks each address before connecting. A proxy's address is not checked.
    :return: the same client.
    """
    # A proxy from the environment has its own transport in `_mounts`.
    for transport in (client._transport, *client._mounts.values()):
        # In-process transports for tests have no pool.
        pool = getattr(transport, "_pool", None)
        if pool is None:
            continue
        inner = pool._network_backend
        if isinstance(client, httpx.Client):
            pool._network_backend = _Backend(inner, guard if transport is client._transport else None)
        else:
            pool._network_backend = _AsyncBackend(inner)
    return client


def resolve(host: str, port: int, timeout: float | None) -> list[str]:
    """The addresses of a host, the preferred one first.

    :param timeout: seconds; ``getaddrinfo`` itself has no timeout.
    :raises httpcore.ConnectError: for a name without an address.
    :raises httpcore.ConnectTimeout: when the resolver takes longer.
    """
    if _is_address(host):
        return [host]
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    # getaddrinfo cannot be interrupted. A daemon thread does not delay the exit of the process.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise httpcore.ConnectTimeout(f"the name {host!r} was not resolved within {timeout:g} s") from None
    if isinstance(answer, list):
        return answer
    raise httpcore.ConnectError(str(answer))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _within(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    exchange = current_exchange()
    if exchange is None:
        return timeout
    if exchange.expired:
        # httpx reports a timeout by its step; the sender replaces this text by one about the total.
        raise late(f"more than {exchange.total:g} s")
    return exchange.within(timeout)


def _piece(max_bytes: int) -> int:
    exchange = current_exchange()
    return exchange.piece(max_bytes) if exchange else max_bytes


def _count(data: bytes) -> bytes:
    exchange = current_exchange()
    if exchange and not exchange.received(len(data)):
        raise httpcore.RemoteProtocolError(f"the head of the response is larger than {MAX_HEAD_BYTES} bytes")
    return data


def _mark_sent() -> None:
    exchange: Exchange | None = current_exchange()
    if exchange:
        exchange.sent = True


def _is_readable(connected: socket.socket | None) -> bool:
    """Whether a read would return at once: data, or the end of a connection that the server has closed."""
    descriptor = -1 if connected is None else connected.fileno()
    if descriptor < 0:
        return True
    # Unlike select(), poll() has no limit of 1024 descriptors.
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(0))


class _Stream(httpcore.NetworkStream):
    """A connection whose steps all end at the deadline of the exchange."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return _count(self._inner.read(_piece(max_bytes), _within(timeout, httpcore.ReadTimeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_PIECE):
            limit = _within(timeout, httpcore.WriteTimeout)
            # Before the write: a write that fails may have sent part of the request.
            _mark_sent()
            self._inner.write(buffer[start : start + _WRITE_PIECE], limit)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = _within(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Opens connections within the deadline: resolves the name and tries one address after the other."""

    def __init__(self, inner: httpcore.NetworkBackend, guard: Guard | None) -> None:
        self._inner, self._guard = inner, guard

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception | None = None
        # The resolver retries after 5 s by default (resolv.conf(5), "timeout"), so the connect timeout of 5 s
        # would be too short for it. Name resolution may use all of the remaining time.
        for address in resolve(host, port, _within(None, httpcore.ConnectTimeout)):
            if self._guard:
                self._guard(address)
            limit = _within(timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(self._inner.connect_tcp(address, port, limit, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError(f"{host!r} has no address")

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _AsyncStream(httpcore.AsyncNetworkStream):
    """Like :class:`_Stream`; the deadline is enforced by the sender's ``asyncio.timeout``."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._socket: socket.socket | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return _count(await self._inner.read(_piece(max_bytes), timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        _mark_sent()
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        # The pool asks this of every idle connection before and after each request. To find the socket, anyio
        # collects all attributes of the connection each time: a tenth of the CPU time of a poll.
        if info != "is_readable":
            return self._inner.get_extra_info(info)
        if self._socket is None:
            self._socket = self._inner.get_extra_info("socket")
        return _is_readable(self._socket)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """Like :class:`_Backend`, for an event loop."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
