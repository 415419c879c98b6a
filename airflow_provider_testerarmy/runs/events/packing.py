"""Run ids with their times as short texts, for cursors with many active runs."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from airflow_provider_testerarmy.runs.cleaning import usable_id
from airflow_provider_testerarmy.runs.results import RunId

#: A run id of 16 bytes, or the digest of one of 9 bytes, and a time in seconds since the epoch.
_RUN: Final = struct.Struct(">16sI")
_DIGEST: Final = struct.Struct(">9sI")
_LATEST: Final = 2**32 - 1


def packed_size(run_id: RunId) -> int:
    """At most how many bytes of JSON a run takes in the result of :func:`pack_runs`."""
    return 28 if _is_uuid(run_id) else len(str(run_id)) + 20


def pack_runs(times: Mapping[RunId, float]) -> list[Any]:
    """Runs with times as JSON: all UUIDs in one text, and a list of the others."""
    packed = [_RUN.pack(UUID(str(key)).bytes, _whole(at)) for key, at in times.items() if _is_uuid(key)]
    others = [[key, _whole(at)] for key, at in times.items() if not _is_uuid(key)]
    return [_text(packed), others]


def unpack_runs(data: Any) -> dict[RunId, float]:
    """Convert back from the result of :func:`pack_runs`.

    :raises TypeError, ValueError: for any other data.
    """
    text, others = data
    found: dict[RunId, float] = {str(UUID(bytes=raw)): float(at) for raw, at in _parts(_RUN, text)}
    return found | read_pairs(others)


def pack_digests(times: Mapping[str, float]) -> str:
    """Digests with times as one text. A key that is no digest is left out."""
    raw = ((_bytes(key), _whole(at)) for key, at in times.items())
    return _text(_DIGEST.pack(key, at) for key, at in raw if len(key) == 9)


def unpack_digests(text: Any) -> dict[str, float]:
    """Convert back from the result of :func:`pack_digests`.

    :raises TypeError, ValueError: for any other data.
    """
    return {base64.urlsafe_b64encode(raw).decode(): float(at) for raw, at in _parts(_DIGEST, text)}


def read_pairs(data: Any) -> dict[RunId, float]:
    """Runs with times from a list of pairs.

    :raises TypeError, ValueError: for any other data.
    """
    pairs = {key: float(created) for key, created in data}
    if not all(map(usable_id, pairs)):
        raise ValueError("run id")
    return pairs


def _is_uuid(run_id: RunId) -> bool:
    try:
        return str(UUID(str(run_id))) == run_id
    except ValueError:
        return False


def _whole(at: float) -> int:
    # Rounded up: a time below the floor would forget that the run was delivered.
    return min(max(math.ceil(at), 0), _LATEST)


def _text(parts: Iterable[bytes]) -> str:
    return base64.urlsafe_b64encode(b"".join(parts)).decode()


def _bytes(digest: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(digest)
    except ValueError:
        return b""


def _parts(layout: struct.Struct, text: Any) -> Iterable[tuple[bytes, int]]:
    raw = base64.urlsafe_b64decode(text)
    if len(raw) % layout.size:
        raise ValueError("length")
    return layout.iter_unpack(raw)
