"""A minimal HTTP/1.1 server over TLS, so that the server is never the bottleneck."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from typing import Any, NamedTuple, cast

#: Offsets of tcpi_bytes_received and tcpi_bytes_sent in Linux's struct tcp_info; both include TLS.
_BYTES_RECEIVED, _BYTES_SENT = 128, 200
_REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests"}


class Request(NamedTuple):
    """The parts of a request that a response depends on."""

    method: str
    path: str
    query: str
    body: bytes


class Answer(NamedTuple):
    """A response; every body is JSON."""

    body: bytes
    status: int = 200
    retry_after: int | None = None


#: Builds the response from a request and the monotonic time.
Respond = Callable[[Request, float], Answer]


@dataclass
class Counts:
    """The server's counters, since its start or within a window.

    :param requests: all requests, including those that got a 429.
    :param refused: requests that got a 429.
    :param unknown: requests that got a 404, which no contender should cause.
    :param opened: connections opened, each with a TLS handshake.
    :param closed: connections closed.
    :param bytes_in: bytes received on the wire, TLS included; 0 if the kernel does not report them.
    :param bytes_out: bytes sent on the wire, likewise.
    :param cpu: CPU-seconds of the server.
    """

    requests: int = 0
    refused: int = 0
    unknown: int = 0
    opened: int = 0
    closed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    cpu: float = 0.0

    def copy(self) -> Counts:
        """A copy of the current counters."""
        return Counts(**{**asdict(self), "cpu": time.process_time()})

    def since(self, before: Counts) -> dict[str, Any]:
        """The difference from an earlier copy, and the number of connections that were in use in between."""
        spent = {name: value - getattr(before, name) for name, value in asdict(self).items()}
        return {**spent, "connections": spent["opened"] + before.opened - before.closed}


@dataclass
class Limit:
    """A limit of requests per second: a token bucket with one second's worth of tokens."""

    rate: float
    tokens: float = field(init=False)
    filled: float = -1.0

    def __post_init__(self) -> None:
        self.tokens = self.rate

    def admits(self, now: float) -> bool:
        """Whether a request is within the limit; if so, it takes a token."""
        if self.filled >= 0:
            self.tokens = min(self.rate, self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


REFUSED = Answer(b'{"error":"RATE_LIMITED","message":"Too many requests"}', 429, retry_after=1)


@dataclass
class Responder:
    """The state that all connections share: the responses, the counters, and the current limit."""

    respond: Respond
    counts: Counts = field(default_factory=Counts)
    limit: Limit | None = None

    def answer(self, request: Request) -> Answer:
        """Respond to one request, and count it."""
        self.counts.requests += 1
        now = time.monotonic()
        if self.limit is not None and not self.limit.admits(now):
            self.counts.refused += 1
            return REFUSED
        answer = self.respond(request, now)
        if answer.status == 404:
            self.counts.unknown += 1
        return answer


class Connection(asyncio.Protocol):
    """One connection; asyncio creates it after the TLS handshake."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._buffer = b""
        self._seen = (0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection as opened."""
        self._transport = cast("asyncio.Transport", transport)
        self._responder.counts.opened += 1
        self._count_bytes()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection as closed."""
        self._responder.counts.closed += 1

    def data_received(self, data: bytes) -> None:
        """Respond to every complete request in the buffer."""
        self._buffer += data
        while (taken := take_request(self._buffer)) is not None:
            request, self._buffer = taken
            self._transport.write(render(self._responder.answer(request)))
        self._count_bytes()

    def _count_bytes(self) -> None:
        connection = self._transport.get_extra_info("socket")
        received, sent = wire_bytes(connection)
        counts = self._responder.counts
        counts.bytes_in += received - self._seen[0]
        counts.bytes_out += sent - self._seen[1]
        self._seen = received, sent


def take_request(buffer: bytes) -> tuple[Request, bytes] | None:
    """The first request in the buffer, and the remaining bytes; None while the request is incomplete."""
    head, end, rest = buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    first, _, fields = head.partition(b"\r\n")
    length = 0
    for line in fields.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if len(rest) < length:
        return None
    method, target, _version = first.decode("latin-1").split(" ", 2)
    path, _, query = target.partition("?")
    return Request(method, path, query, rest[:length]), rest[length:]


def render(answer: Answer) -> bytes:
    """The response as bytes."""
    lines = [
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
        f"Date: {formatdate(usegmt=True)}",
        "Content-Type: application/json",
        f"Content-Length: {len(answer.body)}",
    ]
    if answer.retry_after is not None:
        lines.append(f"Retry-After: {answer.retry_after}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body


def wire_bytes(connection: socket.socket) -> tuple[int, int]:
    """The bytes received and sent on a connection so far; zeros if the kernel does not report them (not Linux)."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return 0, 0
    info = connection.getsockopt(socket.IPPROTO_TCP, option, 256)
    if len(info) < _BYTES_SENT + 8:
        return 0, 0
    return struct.unpack_from("<Q", info, _BYTES_RECEIVED)[0], struct.unpack_from("<Q", info, _BYTES_SENT)[0]
