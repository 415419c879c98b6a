"""The body of an answer as it comes in: decoded piece by piece, and given up at its limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

#: Of decoded bytes. A page of 100 runs with long texts is a few MB; past this the answer is not the API's.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
#: Of an error's body, only this much is kept: its code and message are short.
MAX_ERROR_BYTES: Final = 64 * 1024
#: What requests ask for. Both are decoded with zlib, which can stop at a limit.
ACCEPT_ENCODING: Final = "gzip, deflate"
#: Decoded bytes per step: about 1 ms of work.
_PIECE: Final = 256 * 1024
_ZLIB_HEADER: Final = 2
_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyRefused(Exception):
    """A body that is not read, or not further, and why."""


class Body:
    """The decoded bytes of one answer.

    :param coding: the answer's ``Content-Encoding``.
    :param limit: bytes, decoded or not, at which the body is given up.
    :param accepted: the codings that were asked for.
    :param cut: whether a body over the limit ends there instead of being refused.
    :raises BodyRefused: for a coding that was not asked for, or more than one.
    """

    def __init__(
        self, coding: str, *, limit: int, accepted: str = ACCEPT_ENCODING, cut: bool = False
    ) -> None:
        self.content = bytearray()
        #: Whether the body was cut off at its limit.
        self.full = False
        self._limit, self._cut = limit, cut
        self._received = 0
        self._decode = _decoder(coding, accepted)

    def feed(self, chunk: bytes) -> Iterator[None]:
        """Take a piece as it came in; yields between steps of bounded work.

        :raises BodyRefused: past the limit, and for bytes that are not of the coding.
        """
        self._received += len(chunk)
        for piece in self._decode.pieces(chunk):
            self.content += piece
            if len(self.content) > self._limit:
                self._end()
                return
            yield
        # Bytes that decode to nothing are bounded too.
        if self._received > self._limit:
            self._end()

    def finish(self) -> None:
        """Say that the answer is whole.

        :raises BodyRefused: when the coding has no end.
        """
        if not (self.full or self._decode.complete):
            raise BodyRefused("the body cannot be decoded: it is cut off")

    def _end(self) -> None:
        if not self._cut:
            raise BodyRefused(f"the answer is larger than {self._limit} bytes")
        self.full = True
        del self.content[self._limit :]


class _Plain:
    complete = True

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


class _Deflated:
    """A zlib decoder that never makes more than one step's bytes at once."""

    def __init__(self, *, gzip: bool) -> None:
        self._zlib = zlib.decompressobj(_GZIP) if gzip else None
        self._head = b""

    @property
    def complete(self) -> bool:
        """Whether the end of the stream was seen; an empty body has none."""
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
    """Whether zlib's header begins the bytes (RFC 1950, 2.2): some servers send "deflate" without it."""
    return chunk[0] & 0x0F == zlib.DEFLATED and int.from_bytes(chunk[:2]) % 31 == 0


def _decoder(coding: str, accepted: str) -> _Plain | _Deflated:
    given = [name for name in (part.strip().lower() for part in coding.split(",")) if name]
    names = ["gzip" if name == "x-gzip" else name for name in given if name != "identity"]
    if not names:
        return _Plain()
    if len(names) > 1:
        raise BodyRefused(f"the answer has {len(names)} content codings ({coding[:80]!r}); one was asked for")
    if names[0] not in (part.strip() for part in accepted.split(",")):
        raise BodyRefused(f"the answer has a content coding that was not asked for: {coding[:80]!r}")
    return _Deflated(gzip=names[0] == "gzip")
