"""The commands below `memory`. A command that cannot do what it is asked ends with one line and code 1."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from pathlib import Path
from uuid import uuid4

from airflow_provider_testerarmy.cli import tables
from airflow_provider_testerarmy.cli.command import CommandFailed, command, confirm, say
from airflow_provider_testerarmy.cli.selection import select, select_one
from airflow_provider_testerarmy.lifecycle.memory_list import (
    Found,
    has_test,
    load,
    open_storage,
)
from airflow_provider_testerarmy.lifecycle.memory_quarantine import (
    check,
    known_test,
    lift,
    quarantine,
    readable,
)
from airflow_provider_testerarmy.lifecycle.reporting import write_local
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.declared import declare, end_of
from airflow_provider_testerarmy.runs.memory.directory import ListedStorage, describe
from airflow_provider_testerarmy.runs.memory.model import Memory, test_key
from airflow_provider_testerarmy.runs.memory.port import Scope
from airflow_provider_testerarmy.runs.memory.transfer import LIMIT, read_export, write_export
from airflow_provider_testerarmy.runs.text import one_line


@command
def show_command(options: Namespace) -> None:
    """List memories; for a single one, list its tests."""
    storage, now = open_storage(options.memory_path), time.time()
    loaded = [(found, load(storage, found, now=now)) for found in select(storage, options)]
    wanted = test_key(options.test) if options.test else None
    if wanted:
        loaded = [(found, memory) for found, memory in loaded if has_test(memory, wanted)]
        if not loaded:
            raise CommandFailed(f"No matching memory has the test {one_line(options.test, 80)}.")
    if options.output == "json":
        values = [tables.memory_value(found, memory, wanted) for found, memory in loaded]
        say(json.dumps({"memories": values}, indent=2))
    elif len(loaded) > 1:
        say(tables.memories_table(loaded))
    else:
        found, memory = loaded[0]
        say(tables.tests_table(found, tables.memory_value(found, readable(memory), wanted)))


@command
def export_command(options: Namespace) -> None:
    """Write memories to a JSON file."""
    storage, now = open_storage(options.memory_path), time.time()
    memories = [
        (_scope(found), readable(load(storage, found, now=now))) for found in select(storage, options)
    ]
    text = write_export(memories, now=now)
    if options.file == "-":
        sys.stdout.write(text)
        return
    try:
        # Addresses and commits may be secret, so only the owner reads the file.
        write_local(Path(options.file).expanduser(), text.encode(), mode=0o600)
    except OSError as error:
        raise CommandFailed(f"{options.file} cannot be written ({error.strerror or error}).") from error
    say(f"Exported {_memories(len(memories))} to {options.file}.")


@command
def import_command(options: Namespace) -> None:
    """Read memories from a file that export wrote."""
    memories = read_export(_read_text(options.file))
    storage, now = open_storage(options.memory_path), time.time()
    existing = [ring.load(storage, scope, now=now) for scope, _ in memories]
    replaced = sum(not (isinstance(memory, Memory) and _is_blank(memory)) for memory in existing)
    if replaced:
        confirm(f"Replace {_memories(replaced)} that exist already?", options)
    for scope, memory in memories:
        fault = ring.restore(storage, scope, memory, now=now, token=uuid4().hex)
        if fault is not None:
            raise CommandFailed(
                f"{scope.target}: the memory is not imported ({fault}). Run the command again."
            )
        describe(storage, scope)
    say(f"Imported {_memories(len(memories))}.")


@command
def forget_command(options: Namespace) -> None:
    """Delete a memory, or what it holds of one test."""
    storage, now = open_storage(options.memory_path), time.time()
    found = select_one(storage, options, now=now)
    if not options.test:
        confirm(f"Delete the memory {found.entry.id}, {found.name}?", options)
        check(ring.forget(storage, found.entry, now=now))
        say(f"Deleted the memory {found.entry.id}.")
        return
    test = _known_test(storage, found, options.test, now=now)
    confirm(f"Delete what the memory {found.entry.id} holds of the test {test}?", options)
    check(ring.forget_test(storage, _scope(found), test, now=now, token=uuid4().hex))
    if has_test(load(storage, found, now=now), test):
        raise CommandFailed("Another run wrote the memory meanwhile. Run the command again.")
    say(f"Deleted what the memory {found.entry.id} holds of the test {test}.")


@command
def quarantine_command(options: Namespace) -> None:
    """Exclude a test from the verdict until a date, or lift its quarantine."""
    storage, now = open_storage(options.memory_path), time.time()
    if options.lift and options.until:
        raise CommandFailed("--until and --lift exclude each other. Set one.")
    # Before anything is read, so that a mistake in the arguments shows at once.
    wanted = (
        None
        if options.lift
        else declare(options.owner, options.reason, since=int(now), until=end_of(options.until, now))
    )
    found = select_one(storage, options, now=now)
    test = _known_test(storage, found, options.test, now=now)
    memory = readable(load(storage, found, now=now))
    if wanted:
        note = quarantine(storage, _scope(found), memory, test, wanted, now=now)
    else:
        owner, reason = options.owner or "", options.reason or ""
        note = lift(storage, _scope(found), memory, test, owner, reason, now=now)
    ending = tables.until_text(note.until)
    say(f"{test} is judged again." if options.lift else f"{test} is in quarantine until {ending}.")


def _known_test(storage: ListedStorage, found: Found, test_id: str, *, now: float) -> str:
    memory = readable(load(storage, found, now=now))
    name = f"The memory {found.entry.id}"
    return known_test(memory, test_id, name, "The command `show` lists its tests.")


def _scope(found: Found) -> Scope:
    if found.entry.scope is None:
        raise CommandFailed(
            f"The memory {found.entry.id} has no name yet. The next night of its task adds it."
        )
    return found.entry.scope


def _is_blank(memory: Memory) -> bool:
    return memory.empty and not memory.tests


def _memories(count: int) -> str:
    return "1 memory" if count == 1 else f"{count} memories"


def _read_text(name: str) -> str:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(LIMIT + 1)
        else:
            with Path(name).expanduser().open("rb") as file:
                content = file.read(LIMIT + 1)
    except OSError as error:
        raise CommandFailed(f"{name} cannot be read ({error.strerror or error}).") from error
    if len(content) > LIMIT:
        raise CommandFailed(f"{name} has more than {LIMIT} bytes; no export has as many.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CommandFailed(f"{name} is not UTF-8 text.") from None
