from __future__ import annotations

import struct
import zlib

from airflow_provider_testerarmy.sandbox.core.screenshots import HEIGHT, WIDTH, draw
from airflow_provider_testerarmy.sandbox.testerarmy import catalog


def test_pictures_are_whole_png_files():
    """Header, pixels and checksums are what a PNG reader expects."""
    png = draw("start")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    position, pixels = 8, b""
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        body = png[position + 4 : position + 8 + length]
        (checksum,) = struct.unpack(">I", png[position + 8 + length : position + 12 + length])
        assert checksum == zlib.crc32(body)
        pixels += body[4:] if body.startswith(b"IDAT") else b""
        position += 12 + length
    assert len(zlib.decompress(pixels)) == HEIGHT * (1 + 3 * WIDTH)


def test_pictures_depend_on_their_name_alone():
    """The same name gives the same picture, another name another one."""
    draw.cache_clear()
    first = draw("start")
    draw.cache_clear()
    assert draw("start") == first != draw("result")


def test_a_run_links_to_pictures_that_exist(server, remote):
    """Links use the origin that the client used, and need no key."""
    remote.post(f"/tests/{catalog.TEST_FAILS}/runs")
    server.control.clock.advance(60)
    output = remote.get("/runs").json()["runs"][0]["output"]
    links = output["screenshots"] + [issue["screenshotUrl"] for issue in output["issues"]]
    remote.headers.pop("Authorization")
    for link in links:
        assert link.startswith(server.origin)
        answer = remote.get(link)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
