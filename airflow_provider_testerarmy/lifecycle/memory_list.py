"""The memories of a place, and what each of them is of: for the command line and the tab."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.lifecycle.memory import AirflowStorage, FolderStorage, storage_fault
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.directory import Entry, ListedStorage
from airflow_provider_testerarmy.runs.memory.model import ABSENT, Memory, TestMemory, Unreadable
from airflow_provider_testerarmy.runs.text import one_line


class MemoryRefused(Exception):
    """A memory that cannot be read or changed as a person wants it; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """A memory of a storage.

    :param service, conn_id, target: whose it is, for people; empty if the memory has no name.
    :param environment: the fields of the environment.
    """

    entry: Entry
    service: str = ""
    conn_id: str = ""
    target: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """All of it on one line."""
        if self.entry.scope is None:
            return "(no name yet; the next night adds it)"
        where = ", ".join(f"{name} {value}" for name, value in self.environment)
        return f"{self.service} {self.conn_id}: {self.target}{f' ({where})' if where else ''}"


class DatabaseStorage(AirflowStorage):
    """Airflow's asset state store, read in its database."""

    def keys(self) -> Iterable[str]:
        """All keys."""
        try:
            found: Iterable[str] = self._store.keys()
        except Exception as error:
            raise storage_fault(error) from error
        return found


def open_storage(memory_path: str | None) -> ListedStorage:
    """The place of the memories.

    :param memory_path: a folder or URL, None for Airflow's own store.
    :raises MemoryRefused: if there is none.
    """
    if folder := parameters.memory_path(memory_path):
        return FolderStorage(folder)
    try:
        return DatabaseStorage(airflow_compat.MemoryDatabase())
    except airflow_compat.NoMemoryStore as error:
        raise MemoryRefused(str(error)) from error
    except Exception as error:
        raise MemoryRefused(f"Airflow's database cannot be read ({storage_fault(error)}).") from error


def load(storage: ListedStorage, found: Found, *, now: float) -> Memory | Unreadable:
    """The content of a memory."""
    return ring.load(storage, found.entry, now=now)


def has_test(memory: Memory | Unreadable, test_id: str) -> bool:
    """Whether something is remembered of a test."""
    return isinstance(memory, Memory) and is_known(memory.test(test_id))


def is_known(test: TestMemory) -> bool:
    """Whether there is anything to show; of a test that was forgotten, only the note that says so is left."""
    held = test.quarantine is not None and not test.quarantine.lifted
    return held or test.letters.strip(ABSENT) != "" or bool(test.passed or test.failing)


def describe(entry: Entry) -> Found:
    """The name of a memory in its parts. ``lifecycle/memory.py`` composes it: hook, connection, kind, target."""
    if entry.scope is None:
        return Found(entry)
    hook, _, rest = entry.scope.target.partition(" ")
    conn_id, _, target = rest.partition(" ")
    service = hook.rpartition(".")[2].removesuffix("Hook")
    fields = _environment(entry.scope.environment)
    return Found(
        entry, one_line(service, 60), one_line(conn_id, 120), one_line(target, 200), tuple(sorted(fields))
    )


def _environment(text: str) -> Iterator[tuple[str, str]]:
    try:
        fields = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        fields = {"environment": text}
    if isinstance(fields, dict):
        for name, value in fields.items():
            yield one_line(name, 60), one_line(str(value), 120)
