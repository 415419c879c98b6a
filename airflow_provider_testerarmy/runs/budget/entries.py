"""An entry of a ledger: what one round of a task has reserved, started and taken; and its JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from airflow_provider_testerarmy.runs.memory.cells import Cell

_VERSION: Final = 1
#: The name of an entry in its cell.
ENTRY: Final = "entry"
_LARGEST: Final = 10**12
_LONGEST_OWNER: Final = 64


class State(StrEnum):
    """The state of an entry.

    ``PENDING``: announced, and not decided. ``RESERVED``: admitted; it is unknown what was started.
    ``STARTED``: the number of runs is known. ``RETURNED``: nothing was started, or the task steps back for another
    one.
    """

    PENDING = "pending"
    RESERVED = "reserved"
    STARTED = "started"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Entry:
    """What one round of a task comes to.

    :param owner: names the round, the same in all tries that continue it.
    :param seconds: how long its runs took that have ended.
    """

    owner: str
    state: State
    runs: int = 0
    seconds: int = 0

    @property
    def open(self) -> bool:
        """Whether it is unknown what was started."""
        return self.state in (State.PENDING, State.RESERVED)

    def text(self) -> str:
        """The entry as JSON."""
        return json.dumps({"version": _VERSION, **asdict(self)})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an entry is: the cell of a page. All places have an order."""

    day: int
    page: int
    cell: Cell

    def key(self, prefix: str) -> str:
        """The key of the entry."""
        return self.cell.key(page_prefix(prefix, self.page), ENTRY)


@dataclass(frozen=True, slots=True)
class Sum:
    """The total of a day on which nothing changes any more."""

    runs: int = 0
    seconds: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.runs + other.runs, self.seconds + other.seconds)

    def text(self) -> str:
        """The total as JSON."""
        return json.dumps({"version": _VERSION, **asdict(self)})


class LedgerUnreadable(Exception):
    """Something in the storage that no ledger has written. Anyone with write access may have stored it."""


def page_prefix(prefix: str, page: int) -> str:
    """What every key of a page begins with."""
    return f"{prefix}-{page}"


def entry_of(text: str) -> Entry:
    """The entry from JSON.

    :raises LedgerUnreadable: for anything else.
    """
    data = _fields(text)
    try:
        state, owner = State(data["state"]), data["owner"]
    except (KeyError, ValueError, TypeError):
        raise LedgerUnreadable("it has an entry of an unknown state") from None
    if not isinstance(owner, str) or len(owner) > _LONGEST_OWNER:
        raise LedgerUnreadable("it has an entry without an owner")
    return Entry(owner, state, _number(data, "runs"), _number(data, "seconds"))


def sum_of(text: str) -> Sum:
    """The total of a day from JSON.

    :raises LedgerUnreadable: for anything else.
    """
    data = _fields(text)
    return Sum(_number(data, "runs"), _number(data, "seconds"))


def _fields(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise LedgerUnreadable("it has a text that is not JSON") from None
    if not isinstance(data, dict) or data.get("version") != _VERSION:
        raise LedgerUnreadable(f"it has a text that is not of version {_VERSION}")
    return data


def _number(data: dict[str, Any], name: str) -> int:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise LedgerUnreadable(f"it has an entry without a valid number of {name}")
    return value
