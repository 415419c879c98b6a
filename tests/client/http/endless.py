"""Responses that never end in various ways, and compressed bodies that are far larger than received."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterator

Sends = Callable[[int, bytes], Iterator[bytes]]

#: Size of the bombs, decoded.
BOMB = 64 * 1024 * 1024


def _forever(begin: bytes, piece: bytes) -> Sends:
    def answer(_number: int, _request: bytes) -> Iterator[bytes]:
        yield begin
        for _ in itertools.count():
            yield piece
            # A pause of the server.
            yield b""

    return answer


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

ENDLESS: dict[str, Sends] = {
    "header lines": _forever(b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n"),
    "one header line": _forever(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"1"),
    "102 Processing": _forever(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "body": _forever(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b" "),
    "silence": _forever(b"", b""),
    "until closed": _forever(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"projects": []}', b""),
    "trailers": _forever(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Drip: 1\r\n"),
    "chunks": _forever(_CHUNKED, b"1\r\n \r\n"),
}


def _bomb(coding: str) -> bytes:
    plain = b'{"projects": [' + b" " * BOMB + b"]}"
    if coding == "gzip":
        return gzip.compress(plain, 6)
    if coding == "gzip, gzip":
        return gzip.compress(gzip.compress(plain, 6))
    return zlib.compress(plain)


#: A bomb of each coding. Brotli and Zstandard were not asked for, so what is in them does not matter.
BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: _bomb("gzip"),
    "deflate": lambda: _bomb("deflate"),
    "gzip, gzip": lambda: _bomb("gzip, gzip"),
    "br": lambda: bytes(1000),
    "zstd": lambda: bytes(1000),
}
