"""Packs run ids: Airflow stores them in trigger rows and in task records, and a group may have thousands."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from airflow_provider_testerarmy.runs.results import RunId

#: Fewer ids than this stay readable.
PACK_FROM: Final = 20
_KEY: Final = "uuids"
_SIZE: Final = 16

Packed: TypeAlias = Mapping[str, str]


class PackingUnknown(ValueError):
    """The ids are in a format that this version does not know, e.g. one of a newer version."""


def pack(run_ids: Sequence[RunId]) -> list[RunId] | dict[str, str]:
    """The ids as a list, or many UUIDs in base64, which takes little more than half of the space."""
    if len(run_ids) < PACK_FROM or not all(_is_canonical(run_id) for run_id in run_ids):
        return list(run_ids)
    packed = b"".join(UUID(str(run_id)).bytes for run_id in run_ids)
    return {_KEY: base64.b64encode(packed).decode("ascii")}


def unpack(given: Sequence[RunId] | Packed) -> list[RunId]:
    """The inverse of :func:`pack`.

    :raises PackingUnknown: for a format that :func:`pack` does not produce.
    """
    if not isinstance(given, Mapping):
        if isinstance(given, str | bytes) or not isinstance(given, Sequence):
            raise PackingUnknown(f"run ids of the type {type(given).__name__}")
        return list(given)
    try:
        packed = base64.b64decode(given[_KEY], validate=True)
        return [str(UUID(bytes=packed[at : at + _SIZE])) for at in range(0, len(packed), _SIZE)]
    except (KeyError, TypeError, ValueError) as error:
        raise PackingUnknown(f"run ids packed as {sorted(map(str, given))}") from error


def _is_canonical(run_id: RunId) -> bool:
    """Whether it is a UUID in canonical form, which :func:`unpack` restores exactly."""
    try:
        return isinstance(run_id, str) and str(UUID(run_id)) == run_id
    except ValueError:
        return False
