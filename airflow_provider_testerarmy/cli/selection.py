"""Finds the memories that the arguments of a command select."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.lifecycle.memory import AirflowStorage, FolderStorage, storage_fault
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.directory import Entry, ListedStorage, entries
from airflow_provider_testerarmy.runs.memory.model import ABSENT, Memory, TestMemory, Unreadable
from airflow_provider_testerarmy.runs.memory.port import StorageFault
from airflow_provider_testerarmy.runs.text import one_line

#: Memories that a message names.
_SHOWN: Final = 5


class CommandFailed(Exception):
    """A command that cannot do what it is asked; the text says why, and what to do."""


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
    :raises CommandFailed: if there is none.
    """
    if folder := parameters.memory_path(memory_path):
        return FolderStorage(folder)
    try:
        return DatabaseStorage(airflow_compat.MemoryDatabase())
    except airflow_compat.NoMemoryStore as error:
        raise CommandFailed(str(error)) from error
    except Exception as error:
        raise CommandFailed(f"Airflow's database cannot be read ({storage_fault(error)}).") from error


def select(storage: ListedStorage, options: Namespace) -> list[Found]:
    """The memories that the arguments describe, at least one.

    :raises CommandFailed: if there is none.
    """
    try:
        every = [describe(entry) for entry in entries(storage)]
    except StorageFault as fault:
        raise CommandFailed(f"The memories cannot be listed ({fault}).") from fault
    if not every:
        raise CommandFailed("There is no memory yet. A task with a gate that remembers makes one.")
    found = [each for each in every if _matches(each, options)]
    if not found:
        raise CommandFailed(f"No matching memories among {len(every)}. The command `show` lists all.")
    return found


def select_one(storage: ListedStorage, options: Namespace, *, now: float) -> Found:
    """The one memory that the arguments describe; of several, the only one that has the test.

    :raises CommandFailed: if there is none, or if there are several.
    """
    found = select(storage, options)
    if len(found) > 1 and getattr(options, "test", None):
        found = [each for each in found if has_test(load(storage, each, now=now), options.test)] or found
    if len(found) > 1:
        names = "; ".join(f"{each.entry.id} {each.name}" for each in found[:_SHOWN])
        more = "; ..." if len(found) > _SHOWN else ""
        raise CommandFailed(
            f"{len(found)} memories match: {names}{more}. Select one with "
            "--memory, --target, --conn-id or --environment."
        )
    return found[0]


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


def _matches(found: Found, options: Namespace) -> bool:
    wanted = {name: getattr(options, name, None) for name in ("memory", "conn_id", "target", "environment")}
    ids = found.target.partition(" ")[2]
    return all(
        (
            not wanted["memory"]
            or found.entry.prefix.removeprefix("memory-").startswith(wanted["memory"].strip().lower()),
            not wanted["conn_id"] or found.conn_id == wanted["conn_id"].strip(),
            not wanted["target"] or wanted["target"].strip().lower() in (ids.lower(), found.target.lower()),
            not wanted["environment"]
            or wanted["environment"].strip() in [value for _, value in found.environment],
        )
    )
