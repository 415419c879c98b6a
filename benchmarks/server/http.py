"""HTTP/1.1 over TLS, as lean as it can be: the server must never be what is waited for."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from typing import Any, NamedTuple, cast

#: In the kernel's struct tcp_info: bytes received (the peer's, TLS and handshake included), and bytes sent.
_BYTES_RECEIVED, _BYTES_SENT = 128, 200
_REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests"}


class Request(NamedTuple):
    """A request: what the vendors' answers depend on."""

    method: str
    path: str
    query: str
    body: bytes


class Answer(NamedTuple):
    """An answer; every body is JSON."""

    body: bytes
    status: int = 200
    retry_after: int | None = None


#: From a request and the monotonic time, the answer.
Respond = Callable[[Request, float], Answer]


@dataclass
class Counts:
    """What the server was asked, since its start or within a window.

    :param requests: every request, also those that were refused.
    :param refused: answered with 429.
    :param unknown: answered with 404, which no contender should cause.
    :param opened: connections, each with a TLS handshake.
    :param closed: connections that are gone.
    :param bytes_in: bytes from the client on the wire, TLS included where the kernel tells.
    :param bytes_out: bytes to the client.
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
        """The counts as they are now."""
        return Counts(**{**asdict(self), "cpu": time.process_time()})

    def since(self, before: Counts) -> dict[str, Any]:
        """What was counted after an earlier copy, and how many connections were in use at all meanwhile."""
        spent = {name: value - getattr(before, name) for name, value in asdict(self).items()}
        return {**spent, "connections": spent["opened"] + before.opened - before.closed}


@dataclass
class Limit:
    """A limit of requests per second, by a bucket of tokens that holds one second's worth."""

    rate: float
    tokens: float = field(init=False)
    filled: float = -1.0

    def __post_init__(self) -> None:
        self.tokens = self.rate

    def admits(self, now: float) -> bool:
        """Whether a request may pass now; if so, it takes a token."""
        if self.filled >= 0:
            self.tokens = min(self.rate, self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


REFUSED = Answer(b'{"error":"RATE_LIMITED","message":"Too many requests"}', 429, retry_after=1)


@dataclass
class Desk:
    """What all connections share: how to answer, what was counted, and the limit in force."""

    respond: Respond
    counts: Counts = field(default_factory=Counts)
    limit: Limit | None = None

    def answer(self, request: Request) -> Answer:
        """Answer one request, and count it."""
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
    """One connection; it is made when its TLS handshake is done."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._buffer = b""
        self._seen = (0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._transport = cast("asyncio.Transport", transport)
        self._desk.counts.opened += 1
        self._count_bytes()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it as gone."""
        self._desk.counts.closed += 1

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (taken := take_request(self._buffer)) is not None:
            request, self._buffer = taken
            self._transport.write(render(self._desk.answer(request)))
        self._count_bytes()

    def _count_bytes(self) -> None:
        connection = self._transport.get_extra_info("socket")
        received, sent = wire_bytes(connection)
        counts = self._desk.counts
        counts.bytes_in += received - self._seen[0]
        counts.bytes_out += sent - self._seen[1]
        self._seen = received, sent


def take_request(buffer: bytes) -> tuple[Request, bytes] | None:
    """The first request in the buffer and the rest of it; None while the request is not complete."""
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
    """The answer's bytes."""
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
    """What the kernel received and sent over a connection so far; zeros where it does not tell (not Linux)."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return 0, 0
    info = connection.getsockopt(socket.IPPROTO_TCP, option, 256)
    if len(info) < _BYTES_SENT + 8:
        return 0, 0
    return struct.unpack_from("<Q", info, _BYTES_RECEIVED)[0], struct.unpack_from("<Q", info, _BYTES_SENT)[0]
