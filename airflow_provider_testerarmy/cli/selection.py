"""Finds the memories that the arguments of a command select."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

from airflow_provider_testerarmy.cli.command import CommandFailed
from airflow_provider_testerarmy.lifecycle.memory_list import Found, describe, has_test, load
from airflow_provider_testerarmy.runs.memory.directory import ListedStorage, entries
from airflow_provider_testerarmy.runs.memory.port import StorageFault

#: Memories that a message names.
_SHOWN: Final = 5


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
