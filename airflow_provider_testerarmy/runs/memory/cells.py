"""Cells: a place in the storage for each write, which no other write can take, without compare-and-set.

A storage with nothing but get and set cannot tell a writer that another one was faster, so two that choose the same
key lose one of their texts. What it can do is the *splitter* of Moir and Anderson ("Wait-free algorithms for fast,
long-lived renaming", 1995): a writer puts its token at a door, goes right when the door is closed, closes it, and
goes down when another token is at the door by then; else the cell is its own. Of k writers at most one stops in a
cell, at most k - 1 go right and at most k - 1 go down, however their steps interleave. So in a triangle of cells
the k-th writer of a day stops at the latest k - 1 steps from the corner, and none waits for another.

Doors are never opened again: each day has a triangle of its own, whose keys are deleted as a whole when it is old.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from airflow_provider_testerarmy.runs.memory.port import Storage

R = TypeVar("R")

#: Writes of one scope on one day that surely find a cell.
WRITERS: Final = 64
_CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True)
class Get:
    """Read a key."""

    key: str


@dataclass(frozen=True, slots=True)
class Set:
    """Write a key."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key."""

    key: str


#: Work on a storage, step by step, so that tests can interleave it in every way.
Steps: TypeAlias = Generator[Get | Set | Delete, Any, R]


def drive(storage: Storage, steps: Steps[R]) -> R:
    """Do the steps one after the other."""
    answer: str | None = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            found: R = end.value
            return found
        answer = apply(storage, step)


def apply(storage: Storage, step: Get | Set | Delete) -> str | None:
    """Do one step."""
    if isinstance(step, Get):
        return storage.get(step.key)
    if isinstance(step, Set):
        storage.set(step.key, step.text)
    else:
        storage.delete(step.key)
    return None


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One place of a day's triangle.

    :param day: days since the epoch, in UTC.
    """

    day: int
    right: int = 0
    down: int = 0

    def key(self, prefix: str, name: str) -> str:
        """The key under which something of this cell is kept."""
        return f"{prefix}-{self.day}-{self.right}-{self.down}-{name}"

    def door(self, prefix: str) -> str:
        """Where the token of the writer that came last is."""
        return self.key(prefix, "door")

    def lock(self, prefix: str) -> str:
        """Whether the door is closed."""
        return self.key(prefix, "lock")

    def next(self) -> tuple[Cell, Cell]:
        """The cells to the right and below."""
        return Cell(self.day, self.right + 1, self.down), Cell(self.day, self.right, self.down + 1)


def claim(prefix: str, day: int, token: str, owned: Collection[Cell]) -> Steps[Cell | None]:
    """Claim a cell that no other write has; None when the day already has too many writes.

    :param token: of this write alone; a retry has another one.
    :param owned: cells known to have an owner. Their doors stay closed, so they need no requests.
    """
    cell = Cell(day)
    while cell.right + cell.down < WRITERS:
        right, down = cell.next()
        if cell in owned:
            cell = right
            continue
        yield Set(cell.door(prefix), token)
        if (yield Get(cell.lock(prefix))) is not None:
            cell = right
            continue
        yield Set(cell.lock(prefix), _CLOSED)
        if (yield Get(cell.door(prefix))) == token:
            return cell
        cell = down
    return None


def entered(prefix: str, day: int) -> Steps[list[Cell]]:
    """Every cell of a day that a writer has entered, whether or not it claimed it.

    A writer reaches a cell only through one that it entered, so there is nothing behind a cell that none entered.
    """
    found: list[Cell] = []
    pending = [Cell(day)]
    seen = set(pending)
    while pending:
        cell = pending.pop(0)
        if (yield Get(cell.door(prefix))) is None:
            continue
        found.append(cell)
        further = [each for each in cell.next() if each not in seen and each.right + each.down < WRITERS]
        seen.update(further)
        pending += further
    return found
