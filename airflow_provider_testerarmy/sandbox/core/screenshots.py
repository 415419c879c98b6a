"""Screenshots: PNG images generated from their names alone, so that every link works."""

import hashlib
import struct
import zlib
from functools import lru_cache

from fastapi import APIRouter
from starlette.responses import Response

WIDTH, HEIGHT = 320, 200
BAR_HEIGHT = 24


router = APIRouter()


@router.get("/screenshots/{name}.png")
async def get_screenshot(name: str) -> Response:
    """Serve the image for a name; every name has one."""
    return Response(draw(name[:200]), media_type="image/png", headers={"Cache-Control": "max-age=3600"})


@lru_cache(maxsize=64)
def draw(name: str) -> bytes:
    """Return a PNG that resembles a browser window; the same name gives the same bytes."""
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    rows = b"".join(b"\x00" + _row(y, digest) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _row(y: int, digest: bytes) -> bytes:
    """Return the pixels of a row: the address bar, then cards on a coloured page."""
    if y < BAR_HEIGHT:
        return b"\xe6\xe6\xe6" * 12 + b"\xff\xff\xff" * (WIDTH - 24) + b"\xe6\xe6\xe6" * 12
    page, card, ink = _scaled(digest, 70, 3), _scaled(digest, 170, 3), _scaled(digest, 20, 4)
    line, inside = divmod(y - BAR_HEIGHT, 44)
    if inside < 8:
        return page * WIDTH
    text = 40 + digest[10 + line] % 180 if inside in range(18, 24) else 0
    return page * 16 + card * 12 + ink * text + card * (WIDTH - 44 - text) + page * 16


def _scaled(digest: bytes, floor: int, divisor: int) -> bytes:
    return bytes(floor + value // divisor for value in digest[:3])
