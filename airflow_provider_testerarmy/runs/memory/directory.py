"""The names of memories. Their keys are digests, so each memory stores in readable form whose it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from airflow_provider_testerarmy.runs.memory.codec import VERSION, Mistrust, fields
from airflow_provider_testerarmy.runs.memory.port import Scope, Storage, StorageFault

_KEY: Final = re.compile(r"(memory-[0-9a-f]{24})-(?:pointer|name)")


class ListedStorage(Storage, Protocol):
    """A storage that can list its keys. Workers' access to Airflow's store cannot."""

    def keys(self) -> Iterable[str]:
        """All keys.

        :raises StorageFault: if they cannot be listed.
        """


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory in a storage.

    :param scope: whose it is; None if that is not stored, or does not fit the keys.
    """

    prefix: str
    scope: Scope | None

    @property
    def id(self) -> str:
        """A short name for people."""
        return self.prefix.removeprefix("memory-")[:12]


def describe(storage: Storage, scope: Scope) -> None:
    """Store whose memory it is, unless that is stored already. After a fault, the next night tries again."""
    document = {"version": VERSION, "target": scope.target, "environment": scope.environment}
    text = json.dumps(document)
    key = name_key(scope.prefix)
    try:
        if storage.get(key) != text:
            storage.set(key, text)
    except StorageFault:
        return


def entries(storage: ListedStorage) -> list[Entry]:
    """All memories of a storage, ordered by their names.

    :raises StorageFault: if the storage does not answer.
    """
    prefixes = {found[1] for key in storage.keys() if (found := _KEY.fullmatch(key))}  # noqa: SIM118
    return sorted((Entry(prefix, _scope(storage, prefix)) for prefix in prefixes), key=_by_name)


def _by_name(entry: Entry) -> tuple[bool, str, str]:
    return entry.scope is None, entry.scope.target if entry.scope else "", entry.prefix


def name_key(prefix: str) -> str:
    """The key of a memory's name."""
    return f"{prefix}-name"


def _scope(storage: Storage, prefix: str) -> Scope | None:
    text = storage.get(name_key(prefix))
    if text is None:
        return None
    try:
        document = fields(text, {"target", "environment"})
    except Mistrust:
        return None
    target, environment = document["target"], document["environment"]
    if not isinstance(target, str) or not isinstance(environment, str):
        return None
    scope = Scope(target, environment)
    # The keys are a digest of the name, so nobody can give a memory another one's name.
    return scope if scope.prefix == prefix else None
