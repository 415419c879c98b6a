"""The commands below `memory`. A command that cannot do what it is asked ends with one line and code 1."""

from __future__ import annotations

import functools
import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from airflow_provider_testerarmy.cli import tables
from airflow_provider_testerarmy.cli.selection import (
    CommandFailed,
    Found,
    has_test,
    load,
    open_storage,
    select,
    select_one,
)
from airflow_provider_testerarmy.lifecycle.reporting import write_local
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.declared import DeclarationInvalid, declare, end_of
from airflow_provider_testerarmy.runs.memory.directory import ListedStorage, describe
from airflow_provider_testerarmy.runs.memory.model import (
    Memory,
    Night,
    NightRef,
    Quarantine,
    Unreadable,
    test_key,
)
from airflow_provider_testerarmy.runs.memory.port import Scope
from airflow_provider_testerarmy.runs.memory.transfer import LIMIT, ExportInvalid, read_export, write_export
from airflow_provider_testerarmy.runs.text import one_line

#: Seconds from now at which a person's note begins. No night that is judged without it may count as later.
_LATER: Final = 30


def _command(action: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    @functools.wraps(action)
    def run(options: Namespace) -> None:
        try:
            action(options)
        except (CommandFailed, DeclarationInvalid, ExportInvalid) as error:
            raise SystemExit(f"Error: {error}") from error

    return run


@_command
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
        _say(json.dumps({"memories": values}, indent=2))
    elif len(loaded) > 1:
        _say(tables.memories_table(loaded))
    else:
        found, memory = loaded[0]
        _say(tables.tests_table(found, tables.memory_value(found, _readable(memory), wanted)))


@_command
def export_command(options: Namespace) -> None:
    """Write memories to a JSON file."""
    storage, now = open_storage(options.memory_path), time.time()
    memories = [
        (_scope(found), _readable(load(storage, found, now=now))) for found in select(storage, options)
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
    _say(f"Exported {_memories(len(memories))} to {options.file}.")


@_command
def import_command(options: Namespace) -> None:
    """Read memories from a file that export wrote."""
    memories = read_export(_read_text(options.file))
    storage, now = open_storage(options.memory_path), time.time()
    existing = [ring.load(storage, scope, now=now) for scope, _ in memories]
    replaced = sum(not (isinstance(memory, Memory) and _is_blank(memory)) for memory in existing)
    if replaced:
        _confirm(f"Replace {_memories(replaced)} that exist already?", options)
    for scope, memory in memories:
        fault = ring.restore(storage, scope, memory, now=now, token=uuid4().hex)
        if fault is not None:
            raise CommandFailed(
                f"{scope.target}: the memory is not imported ({fault}). Run the command again."
            )
        describe(storage, scope)
    _say(f"Imported {_memories(len(memories))}.")


@_command
def forget_command(options: Namespace) -> None:
    """Delete a memory, or what it holds of one test."""
    storage, now = open_storage(options.memory_path), time.time()
    found = select_one(storage, options, now=now)
    if not options.test:
        _confirm(f"Delete the memory {found.entry.id}, {found.name}?", options)
        _check(ring.forget(storage, found.entry, now=now))
        _say(f"Deleted the memory {found.entry.id}.")
        return
    test = _known_test(storage, found, options.test, now=now)
    _confirm(f"Delete what the memory {found.entry.id} holds of the test {test}?", options)
    _check(ring.forget_test(storage, _scope(found), test, now=now, token=uuid4().hex))
    if has_test(load(storage, found, now=now), test):
        raise CommandFailed("Another run wrote the memory meanwhile. Run the command again.")
    _say(f"Deleted what the memory {found.entry.id} holds of the test {test}.")


@_command
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
    held = _readable(load(storage, found, now=now)).test(test).quarantine
    # Of two notes the one with the later begin counts. A gate that judges at this moment does not know this one.
    since = max(int(now) + _LATER, held.since + 1 if held else 0)
    note = (
        replace(wanted, since=since, until=max(since, wanted.until))
        if wanted
        else _lifting(held, test, options, since)
    )
    token = uuid4().hex
    night = Night(NightRef.of(f"note-{token}", now), {}, {test: note})
    _check(ring.remember(storage, _scope(found), night, now=now, token=token))
    if _readable(load(storage, found, now=now)).test(test).quarantine != note:
        raise CommandFailed("Another run wrote the memory meanwhile. Run the command again.")
    ending = tables.until_text(note.until)
    _say(f"{test} is judged again." if options.lift else f"{test} is in quarantine until {ending}.")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _lifting(held: Quarantine | None, test: str, options: Namespace, since: int) -> Quarantine:
    if held is None or held.lifted:
        raise CommandFailed(
            f"The memory has no quarantine of the test {test}. A quarantine in a file ends when its entry is "
            "removed."
        )
    return Quarantine.of(options.owner or held.owner, options.reason or "lifted", since, since, lifted=True)


def _known_test(storage: ListedStorage, found: Found, test_id: str, *, now: float) -> str:
    """The key of a test of the memory. A typo must not look as if it had an effect."""
    if not has_test(_readable(load(storage, found, now=now)), test_id):
        raise CommandFailed(
            f"The memory {found.entry.id} has no test {one_line(test_id, 80)}. The command `show` lists its tests."
        )
    return test_key(test_id)


def _readable(memory: Memory | Unreadable) -> Memory:
    if isinstance(memory, Unreadable):
        raise CommandFailed(f"{memory}. Import an export of it, or delete it with `forget`.")
    return memory


def _scope(found: Found) -> Scope:
    if found.entry.scope is None:
        raise CommandFailed(
            f"The memory {found.entry.id} has no name yet. The next night of its task adds it."
        )
    return found.entry.scope


def _check(fault: str | None) -> None:
    if fault is not None:
        raise CommandFailed(f"The memory is not changed ({fault}).")


def _is_blank(memory: Memory) -> bool:
    return memory.empty and not memory.tests


def _memories(count: int) -> str:
    return "1 memory" if count == 1 else f"{count} memories"


def _confirm(question: str, options: Namespace) -> None:
    if options.yes:
        return
    try:
        answer = input(f"{question} (y/N) ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandFailed("Nothing is changed. Confirm with y, or use --yes.")


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
