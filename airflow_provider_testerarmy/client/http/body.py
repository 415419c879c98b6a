"""Decodes a response body piece by piece as it arrives, and stops at a size limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

#: The limit for decoded bytes. A page of 100 runs with long texts takes a few MB.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
#: An error body is truncated at this size; its code and message are short.
MAX_ERROR_BYTES: Final = 64 * 1024
#: The codings that requests accept. httpx decodes a whole chunk at once, and a small chunk can expand to gigabytes
#: (1,827 bytes of doubly compressed gzip took 2.4 GiB). Both codings are decoded with zlib, which can stop at a
#: limit.
ACCEPT_ENCODING: Final = "gzip, deflate"
#: The limit for decoded bytes per step; a step takes about 1 ms.
_PIECE: Final = 256 * 1024
_ZLIB_HEADER: Final = 2
_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyRefused(Exception):
    """The body cannot be decoded or is too large; the message says why."""


class Body:
    """The decoded bytes of one response.

    :param coding: the response's ``Content-Encoding``.
    :param limit: the limit in bytes, for received and for decoded bytes.
    :param accepted: the codings that the request accepts.
    :param cut: whether a body over the limit is truncated instead of refused.
    :raises BodyRefused: for more than one coding, or one that the request does not accept.
    """

    def __init__(
        self, coding: str, *, limit: int, accepted: str = ACCEPT_ENCODING, cut: bool = False
    ) -> None:
        self.content = bytearray()
        #: Whether the body was truncated at its limit.
        self.full = False
        self._limit, self._cut = limit, cut
        self._received = 0
        self._decode = _decoder(coding, accepted)

    def feed(self, chunk: bytes) -> Iterator[None]:
        """Decode a received chunk; yields after each step of about 1 ms.

        :raises BodyRefused: above the limit, and for bytes that the coding cannot decode.
        """
        self._received += len(chunk)
        for piece in self._decode.pieces(chunk):
            self.content += piece
            if len(self.content) > self._limit:
                self._end()
                return
            yield
        # Empty deflate blocks decode to nothing, so received bytes need a limit as well.
        if self._received > self._limit:
            self._end()

    def finish(self) -> None:
        """Check at the end of the response that the body is complete.

        :raises BodyRefused: when the compressed stream has no end marker.
        """
        if not (self.full or self._decode.complete):
            raise BodyRefused("the body cannot be decoded: it is truncated")

    def _end(self) -> None:
        if not self._cut:
            raise BodyRefused(f"the response is larger than {self._limit} bytes")
        self.full = True
        del self.content[self._limit :]


class _Plain:
    complete = True

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


class _Deflated:
    """A zlib decoder that never produces more than the bytes of one step at once."""

    def __init__(self, *, gzip: bool) -> None:
        self._zlib = zlib.decompressobj(_GZIP) if gzip else None
        self._head = b""

    @property
    def complete(self) -> bool:
        """Whether the stream has ended; an empty body counts as complete."""
        return not self._head if self._zlib is None else self._zlib.eof or not self._head

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        if self._zlib is None:
            chunk = self._head + chunk
            if len(chunk) >= _ZLIB_HEADER:
                self._zlib = zlib.decompressobj(zlib.MAX_WBITS if _has_header(chunk) else -zlib.MAX_WBITS)
        self._head = self._head or chunk[:_ZLIB_HEADER]
        while self._zlib and chunk and not self._zlib.eof:
            try:
                piece = self._zlib.decompress(chunk, _PIECE)
            except zlib.error as error:
                raise BodyRefused(f"the body cannot be decoded: {error}") from None
            chunk = self._zlib.unconsumed_tail
            yield piece


def _has_header(chunk: bytes) -> bool:
    """Whether the bytes begin with a zlib header (RFC 1950, 2.2).

    RFC 9110, 8.4.1.2 requires one for ``deflate``, and notes that some servers omit it.
    """
    return chunk[0] & 0x0F == zlib.DEFLATED and int.from_bytes(chunk[:2]) % 31 == 0


def _decoder(coding: str, accepted: str) -> _Plain | _Deflated:
    given = [name for name in (part.strip().lower() for part in coding.split(",")) if name]
    names = ["gzip" if name == "x-gzip" else name for name in given if name != "identity"]
    if not names:
        return _Plain()
    if len(names) > 1:
        raise BodyRefused(f"the response has {len(names)} content codings ({coding[:80]!r}); expected one")
    if names[0] not in (part.strip() for part in accepted.split(",")):
        raise BodyRefused(f"the response has a content coding that the request excludes: {coding[:80]!r}")
    return _Deflated(gzip=names[0] == "gzip")
