"""Quarantines by people in a memory: for the command line and the tab.

A change is a note of its own, so no night that a task writes at the same time is lost. Of two notes about one test
the later one counts, and the writer of the other one gets an error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import uuid4

from airflow_provider_testerarmy.lifecycle.memory_list import MemoryRefused, has_test
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.model import (
    Memory,
    Night,
    NightRef,
    Quarantine,
    TestMemory,
    Unreadable,
    test_key,
)
from airflow_provider_testerarmy.runs.memory.port import Scope, Storage
from airflow_provider_testerarmy.runs.text import one_line

#: Seconds from now at which a person's note begins. No night that is judged without it may count as later.
_LATER: Final = 30
#: The message to the writer whose note does not count.
MEANWHILE: Final = "Another run or person wrote the memory meanwhile. Try it again."


def quarantine(
    storage: Storage, scope: Scope, memory: Memory, test: str, wanted: Quarantine, *, now: float
) -> Quarantine:
    """Exclude a test from the verdict, or extend or shorten its quarantine.

    :param memory: as it was read for this change.
    :param test: the test's key.
    :param now: seconds since the epoch.
    :return: the quarantine as it is stored.
    :raises MemoryRefused: if it is not stored, or if another note counts.
    """
    since = _since(memory.test(test).quarantine, now)
    note = replace(wanted, since=since, until=max(since, wanted.until))
    return _write(storage, scope, test, note, now)


def lift(
    storage: Storage, scope: Scope, memory: Memory, test: str, owner: str, reason: str, *, now: float
) -> Quarantine:
    """End a test's quarantine; the parameters are those of :func:`quarantine`.

    :param owner: who lifts it; empty for the owner of the quarantine.
    :raises MemoryRefused: if there is no quarantine, if the change is not stored, or if another note counts.
    """
    held = in_force(memory.test(test))
    if held is None:
        raise MemoryRefused(
            f"The memory has no quarantine of the test {test}. A quarantine in a file ends when its entry is "
            "removed."
        )
    since = _since(held, now)
    note = Quarantine.of(owner or held.owner, reason or "lifted", since, since, lifted=True)
    return _write(storage, scope, test, note, now)


def in_force(test: TestMemory) -> Quarantine | None:
    """A test's quarantine that nobody has lifted; it may be past its end."""
    return test.quarantine if test.quarantine and not test.quarantine.lifted else None


def known_test(memory: Memory, test_id: str, name: str, hint: str) -> str:
    """The key of a test of the memory. A typo must not appear to have an effect.

    :param name: the memory's name in the message.
    :param hint: where to find the tests.
    :raises MemoryRefused: if the memory has no result of it.
    """
    if not has_test(memory, test_id):
        raise MemoryRefused(f"{name} has no test {one_line(test_id, 80)}. {hint}")
    return test_key(test_id)


def readable(memory: Memory | Unreadable) -> Memory:
    """The memory.

    :raises MemoryRefused: if it cannot be read.
    """
    if isinstance(memory, Unreadable):
        raise MemoryRefused(f"{memory}. Import an export of it, or delete it with `forget`.")
    return memory


def check(fault: str | None) -> None:
    """Raise what a change of a memory returned.

    :raises MemoryRefused: if it is a fault.
    """
    if fault is not None:
        raise MemoryRefused(f"The memory is not changed ({fault}).")


def _since(held: Quarantine | None, now: float) -> int:
    """When a note begins. A gate that judges at this moment does not know it."""
    return max(int(now) + _LATER, held.since + 1 if held else 0)


def _write(storage: Storage, scope: Scope, test: str, note: Quarantine, now: float) -> Quarantine:
    token = uuid4().hex
    night = Night(NightRef.of(f"note-{token}", now), {}, {test: note})
    check(ring.remember(storage, scope, night, now=now, token=token))
    if readable(ring.load(storage, scope, now=now)).test(test).quarantine != note:
        raise MemoryRefused(MEANWHILE)
    return note
