"""Memories as one JSON file, to move or keep them: written as a whole, and read as a whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_testerarmy.runs.memory.codec import Mistrust, decode, encode, loads
from airflow_provider_testerarmy.runs.memory.model import Memory, Unreadable, plain
from airflow_provider_testerarmy.runs.memory.port import Scope

KIND: Final = "gate-memories"
VERSION: Final = 1
#: Bytes of a file, and memories in it.
LIMIT: Final = 64 * 1024 * 1024
MEMORIES: Final = 100
#: Characters of a target and of an environment.
_NAME: Final = 4_000


class ExportInvalid(ValueError):
    """A file that no export has written, or that was changed; nothing of it is believed."""


def write_export(memories: Iterable[tuple[Scope, Memory]], *, now: float) -> str:
    """The memories as the text of a file.

    :param now: seconds since the epoch.
    """
    document = {
        "kind": KIND,
        "version": VERSION,
        "exported_at": datetime.fromtimestamp(int(now), UTC).isoformat(),
        "memories": [
            {
                "target": scope.target,
                "environment": scope.environment,
                "parts": [json.loads(part) for part in encode(memory)],
            }
            for scope, memory in memories
        ],
    }
    # Without escapes a part has the size that the codec has limited, also when it is read again.
    return _dump(document) + "\n"


def read_export(text: str) -> list[tuple[Scope, Memory]]:
    """The memories of a file.

    :raises ExportInvalid: naming what is wrong, and in which memory.
    """
    try:
        document = loads(text, LIMIT)
    except Mistrust as error:
        raise ExportInvalid(f"{_sentence(error)}.") from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ExportInvalid("It was not written by `memory export`.")
    version = document.get("version")
    if isinstance(version, bool | float) or version != VERSION:
        shown = version if isinstance(version, int) and 0 <= version < 10**6 else "unknown"
        raise ExportInvalid(f"It has version {shown}; this package reads {VERSION}.")
    memories = document.get("memories")
    if not isinstance(memories, list) or not 1 <= len(memories) <= MEMORIES:
        raise ExportInvalid(f"It must have 1 to {MEMORIES} memories.")
    found = [_memory(number, each) for number, each in enumerate(memories, 1)]
    if len({scope.prefix for scope, _ in found}) < len(found):
        raise ExportInvalid("It has a memory twice.")
    return found


def _memory(number: int, entry: Any) -> tuple[Scope, Memory]:
    if not isinstance(entry, dict) or entry.keys() != {"target", "environment", "parts"}:
        raise ExportInvalid(f"Memory {number} has unknown or missing fields.")
    target, environment, parts = entry["target"], entry["environment"], entry["parts"]
    named = isinstance(target, str) and isinstance(environment, str)
    if not named or not target or max(len(target), len(environment)) > _NAME or not isinstance(parts, list):
        raise ExportInvalid(f"Memory {number} has no name, or no content.")
    memory = decode([_dump(part) for part in parts])
    if isinstance(memory, Unreadable):
        raise ExportInvalid(f"Memory {number} is not valid: {memory.reason}.")
    return Scope(target, environment), memory


def _dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _sentence(error: Exception) -> str:
    said = plain(str(error), 200)
    return said[:1].upper() + said[1:]
