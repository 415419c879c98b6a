"""A server that responds with raw bytes, which a real HTTP server would not send."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self


def http_answer(
    body: bytes | str | dict[str, object] = b"",
    *,
    status: str = "200 OK",
    headers: Iterable[tuple[str, str]] = (),
    length: int | None = None,
) -> bytes:
    """A whole answer; ``length`` promises another size than the body has."""
    if isinstance(body, dict):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    fields = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(content) if length is None else length)),
        *headers,
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + content


Sends = Iterable[bytes]


class RawServer:
    """Answers the n-th request with ``answer(n, request)``; the connection stays open if asked.

    :param answer: returns the pieces to send. A piece of ``b""`` waits for ``pause`` seconds.
    """

    def __init__(
        self,
        answer: Callable[[int, bytes], Sends],
        *,
        keep_open: bool = False,
        pause: float = 0.05,
    ) -> None:
        self._answer, self._keep_open, self._pause = answer, keep_open, pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._numbers = itertools.count()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self.accepted = 0
        self.requests: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/v1"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while request := self._read(connection):
                self.requests.append(request)
                for piece in self._answer(next(self._numbers), request):
                    if piece:
                        # A large piece takes a while on a busy machine.
                        connection.settimeout(5)
                        connection.sendall(piece)
                    elif self._closing.wait(self._pause):
                        return
                if not self._keep_open:
                    return

    def _read(self, connection: socket.socket) -> bytes:
        request = b""
        connection.settimeout(0.1)
        while b"\r\n\r\n" not in request or not _whole(request):
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                if self._closing.is_set():
                    return b""
                continue
            if not piece:
                return b""
            request += piece
        return request


def _whole(request: bytes) -> bool:
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return not lengths or len(body) >= int(lengths[0].partition(b":")[2])


def always(*pieces: bytes) -> Callable[[int, bytes], Sends]:
    """Every request gets the same answer."""
    return lambda _number, _request: pieces
