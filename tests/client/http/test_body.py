"""Bodies are decoded piece by piece, up to a limit."""

from __future__ import annotations

import gzip
import zlib

import pytest

from airflow_provider_testerarmy.client.http.body import Body, BodyRefused

TEXT = b"0123456789" * 1000


def read(coding, *chunks, limit=100_000, **options):
    """Return the body after these chunks, and how many steps that took."""
    body = Body(coding, limit=limit, **options)
    steps = sum(1 for chunk in chunks for _ in body.feed(chunk))
    body.finish()
    return body, steps


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        (" GZip ", gzip.compress),
        ("x-gzip", gzip.compress),
        ("identity, gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
def test_a_body_is_the_same_however_it_is_cut(coding, pack):
    """As a whole, and byte by byte."""
    packed = pack(TEXT)
    for chunks in ([packed], [packed[i : i + 1] for i in range(len(packed))]):
        assert read(coding, *chunks)[0].content == TEXT


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "compress", "gzip;q=1"])
def test_other_codings_are_refused_before_anything_is_decoded(coding):
    """Even codings that httpx can decode with optional packages."""
    with pytest.raises(BodyRefused, match="content coding"):
        Body(coding, limit=100)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_picture_is_asked_for_without_a_coding(coding):
    """So a response with a coding is refused."""
    with pytest.raises(BodyRefused, match="the request excludes"):
        Body(coding, limit=100, accepted="identity")


@pytest.mark.parametrize(
    ("coding", "pack"), [("", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_the_limit_is_of_decoded_bytes(coding, pack):
    """A body is read up to its limit plus one step at most."""
    assert read(coding, pack(TEXT), limit=len(TEXT))[0].content == TEXT
    with pytest.raises(BodyRefused, match="larger than 9999 bytes"):
        read(coding, pack(TEXT), limit=len(TEXT) - 1)


def test_a_large_piece_takes_steps():
    """Between steps, the event loop can run."""
    plain = bytes(10 * 1024 * 1024)
    body, steps = read("gzip", gzip.compress(plain), limit=len(plain))
    assert (len(body.content), steps >= 40) == (len(plain), True)


def test_an_errors_body_ends_at_its_limit():
    """Its beginning says what is wrong."""
    body, _ = read("gzip", gzip.compress(TEXT), limit=100, cut=True)
    assert (bytes(body.content), body.full) == (TEXT[:100], True)


def test_bytes_that_decode_to_nothing_are_bounded():
    """Such as those behind the end of the stream."""
    with pytest.raises(BodyRefused, match="larger"):
        read("gzip", gzip.compress(b"x"), *[bytes(1000)] * 20, limit=10_000)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_is_not_of_the_coding_is_refused(coding):
    """At its beginning, in its middle, and when its end is missing."""
    packed = gzip.compress(TEXT) if coding == "gzip" else zlib.compress(TEXT)
    for wrong in (b"\xff\xff plain text", packed[:20] + b"\xff" * 20, packed[:-5]):
        with pytest.raises(BodyRefused, match="cannot be decoded"):
            read(coding, wrong)


def test_an_empty_body_is_empty():
    """Also where a coding is named."""
    assert read("gzip")[0].content == b""
