"""The ledger of a pool, so that tasks that start at once never exceed its budget together.

The storage has no compare-and-set. Therefore a task first announces its runs in a cell of its own
(``runs/memory/cells.py``). Then it reads all cells, and goes only if everything that it sees fits. Of several tasks
that go, the one that announced last has seen all others, so together they fit.

Two tasks that see each other's announcement could both refuse, although one fits. Then the order of their cells
decides: the later one steps back and announces again once the earlier one has decided.

Each day has cells of its own. Three days later its total is stored once, so a month costs little more than a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, TypeAlias, TypeVar

from airflow_provider_testerarmy.runs.budget.entries import (
    Entry,
    LedgerUnreadable,
    Place,
    State,
    Sum,
    entry_of,
    page_prefix,
    sum_of,
)
from airflow_provider_testerarmy.runs.budget.rule import Limits, Period
from airflow_provider_testerarmy.runs.memory.cells import WRITERS, Cell, Delete, Get, Set, claim

R = TypeVar("R")

#: Pages of a day; each surely has room for ``WRITERS`` entries.
PAGES: Final = 16
#: Days after which nothing on a day changes any more: clocks differ by a day, and a task settles within another.
CLOSED_AFTER: Final = 3
#: Days that another worker's clock may be ahead.
_AHEAD: Final = 1
#: Days that are kept: the longest period and a margin.
_KEPT: Final = 35
#: Days before those that are searched for something to delete.
_SWEPT: Final = 35
#: How often a task reads the ledger while others are undecided. One that has died stays undecided.
ATTEMPTS: Final = 12
#: Seconds between two of these reads.
BETWEEN: Final = 1.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Let other tasks decide."""

    seconds: float


#: Work on a ledger, step by step, so that tests can interleave it in every way.
Steps: TypeAlias = Generator[Get | Set | Delete | Wait, Any, R]


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation.

    :param stale: open entries of earlier tries of the same round, which it covers.
    :param started: runs that earlier tries of this round have started.
    """

    place: Place
    runs: int
    stale: tuple[Place, ...] = ()
    started: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A budget that has no room for a round, and what is used of it."""

    used: Sum


@dataclass(frozen=True, slots=True)
class Book:
    """A ledger and the time at which it is used.

    :param pool: the name of the pool.
    :param today: days since the epoch.
    """

    pool: str
    period: Period
    today: int

    @property
    def prefix(self) -> str:
        """What every key of the pool begins with."""
        return f"budget-{hashlib.sha256(self.pool.encode('utf-8', 'replace')).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class _View:
    """What a task has read: the entries of the days that may still change, and the total of the others."""

    closed: Sum = field(default_factory=Sum)
    entries: Mapping[Place, Entry | None] = field(default_factory=dict)

    @property
    def owned(self) -> frozenset[Place]:
        return frozenset(place for place, entry in self.entries.items() if entry is not None)

    def of(self, owner: str, *, but: Place | None = None) -> dict[Place, Entry]:
        return {
            place: entry
            for place, entry in self.entries.items()
            if entry is not None and entry.owner == owner and place != but
        }

    def others(self, owner: str) -> dict[Place, Entry]:
        return {
            place: entry
            for place, entry in self.entries.items()
            if entry is not None and entry.owner != owner
        }

    def pending(self, owner: str) -> list[Place]:
        """Where the undecided entries of others are."""
        return [place for place, entry in self.others(owner).items() if entry.state is State.PENDING]

    def reserved(self, owner: str) -> int:
        """The runs that an earlier try of this owner has reserved, of which it may have started some."""
        own = self.of(owner).values()
        return max((entry.runs for entry in own if entry.state is State.RESERVED), default=0)

    def used(self, owner: str, *, pending: bool) -> Sum:
        """What is used without the open entries of one owner.

        :param pending: whether the undecided entries of the others count.
        """
        own = (entry for entry in self.of(owner).values() if not entry.open)
        others = [
            entry for entry in self.others(owner).values() if pending or entry.state is not State.PENDING
        ]
        return self.closed + total(chain(own, others))


def total(entries: Iterator[Entry] | list[Entry]) -> Sum:
    """What entries come to. Open ones of the same owner are one reservation, which a later try has repeated."""
    runs = seconds = 0
    reserved: dict[str, int] = {}
    for entry in entries:
        seconds += entry.seconds
        if entry.open:
            reserved[entry.owner] = max(reserved.get(entry.owner, 0), entry.runs)
        elif entry.state is State.STARTED:
            runs += entry.runs
    return Sum(runs + sum(reserved.values()), seconds)


def reserve(book: Book, limits: Limits, owner: str, runs: int, token: str) -> Steps[Reserved | Refused]:
    """Reserve runs before they are started.

    :param owner: names the round, the same in all tries that continue it.
    :param runs: those that this try may start.
    :param token: something that no other call has, e.g. a UUID.
    :raises LedgerUnreadable: if the ledger cannot be used.
    """
    # A task that is refused at once needs no cell, of which a day has a limited number.
    view = yield from _read(book)
    runs = max(runs, view.reserved(owner))
    if not _fits(limits, view.used(owner, pending=False), runs):
        return Refused(view.used(owner, pending=False))
    place = yield from _claim(book, token, view.owned)
    announced = yield from _announce(book, place, owner, runs)
    for _ in range(ATTEMPTS):
        view = yield from _read(book, but=place)
        if not _fits(limits, view.used(owner, pending=False), runs):
            break
        earlier = any(each < place for each in view.pending(owner))
        if announced and _fits(limits, view.used(owner, pending=True), runs):
            yield Set(place.key(book.prefix), Entry(owner, State.RESERVED, runs).text())
            return _reserved(view, place, owner, runs)
        if not announced and not earlier:
            announced = yield from _announce(book, place, owner, runs)
            continue
        if announced and earlier:
            yield from withdraw(place.key(book.prefix), owner)
            announced = False
        yield Wait(BETWEEN)
    yield from withdraw(place.key(book.prefix), owner)
    return Refused(view.used(owner, pending=True))


def _announce(book: Book, place: Place, owner: str, runs: int) -> Steps[bool]:
    yield Set(place.key(book.prefix), Entry(owner, State.PENDING, runs).text())
    return True


def settle(book: Book, reserved: Reserved, owner: str, runs: int) -> Steps[None]:
    """Replace a reservation by what was started.

    :param runs: those of the whole round, including what earlier tries have started; 0 gives the reservation back.
    """
    state = State.STARTED if runs else State.RETURNED
    yield Set(reserved.place.key(book.prefix), Entry(owner, state, runs).text())
    for place in reserved.stale:
        yield Set(place.key(book.prefix), Entry(owner, State.RETURNED).text())


def withdraw(key: str, owner: str) -> Steps[None]:
    """Take back an announcement that was interrupted."""
    yield Set(key, Entry(owner, State.RETURNED).text())


def book_time(book: Book, owner: str, seconds: int, token: str) -> Steps[None]:
    """Store how long the runs of a round took. Call it again with the same round to replace it.

    The time belongs to the entry of the round. If that is older than yesterday, or of an earlier period, the time
    counts today.

    :raises LedgerUnreadable: if the ledger cannot be used.
    """
    first = max(book.today - 1, book.period.first)
    found: dict[Place, Entry | None] = {}
    for day in range(first, min(book.today + _AHEAD, book.period.last) + 1):
        found.update((yield from _scan(book.prefix, day)))
    own = {place: entry for place, entry in found.items() if entry and entry.owner == owner}
    if own:
        # An earlier booking of the same round is replaced.
        place = max(own, key=lambda each: (own[each].seconds > 0, own[each].state is State.STARTED, each))
        kept = own[place]
    else:
        owned = frozenset(each for each, entry in found.items() if entry is not None)
        place = yield from _claim(book, token, owned)
        kept = Entry(owner, State.STARTED)
    yield Set(place.key(book.prefix), Entry(owner, kept.state, kept.runs, seconds).text())


def usage(book: Book) -> Steps[Sum]:
    """What is used of the budget, including what is only reserved.

    :raises LedgerUnreadable: if the ledger cannot be used.
    """
    view = yield from _read(book)
    return view.used("", pending=True)


def sweep(book: Book) -> Steps[None]:
    """Delete days that no period contains any more. Call it once a day."""
    last = book.today - _KEPT
    for day in range(last - _SWEPT, last):
        found = yield from _scan(book.prefix, day)
        if found:
            yield Delete(_sum_key(book.prefix, day))
        # The last ones first: behind a cell that is gone nobody would find the others.
        for place in sorted(found, key=lambda each: (-each.page, -each.cell.right - each.cell.down)):
            page = page_prefix(book.prefix, place.page)
            for key in (place.key(book.prefix), place.cell.lock(page), place.cell.door(page)):
                yield Delete(key)


def is_first(place: Place) -> bool:
    """Whether a reservation is the first one of its day."""
    return place.page == 0 and place.cell == Cell(place.day)


# -- parts of it


def _fits(limits: Limits, used: Sum, runs: int) -> bool:
    if limits.seconds is not None and used.seconds >= limits.seconds:
        return False
    return limits.runs is None or used.runs + runs <= limits.runs


def _reserved(view: _View, place: Place, owner: str, runs: int) -> Reserved:
    own = view.of(owner, but=place)
    stale = tuple(each for each, entry in own.items() if entry.open)
    started = sum(entry.runs for entry in own.values() if entry.state is State.STARTED)
    return Reserved(place, runs, stale, started)


def _claim(book: Book, token: str, owned: frozenset[Place]) -> Steps[Place]:
    for page in range(PAGES):
        taken = {each.cell for each in owned if (each.day, each.page) == (book.today, page)}
        cell = yield from claim(page_prefix(book.prefix, page), book.today, token, taken)
        if cell is not None:
            return Place(book.today, page, cell)
    raise LedgerUnreadable(f"it has {PAGES * WRITERS} entries of today, and no room for another one")


def _read(book: Book, *, but: Place | None = None) -> Steps[_View]:
    """What is used in the period.

    :param but: the task's own place.
    """
    closed, entries = Sum(), dict[Place, Entry | None]()
    for day in range(book.period.first, min(book.today + _AHEAD, book.period.last) + 1):
        if day <= book.today - CLOSED_AFTER:
            closed += yield from _closed(book.prefix, day)
        else:
            entries.update((yield from _scan(book.prefix, day)))
    if but is not None:
        entries.pop(but, None)
    return _View(closed, entries)


def _closed(prefix: str, day: int) -> Steps[Sum]:
    """The total of a day on which nothing changes any more; stored, so that it is added up once."""
    text = yield Get(_sum_key(prefix, day))
    if text is not None:
        return sum_of(text)
    found = yield from _scan(prefix, day)
    added = total([entry for entry in found.values() if entry is not None])
    if found:
        yield Set(_sum_key(prefix, day), added.text())
    return added


def _scan(prefix: str, day: int) -> Steps[dict[Place, Entry | None]]:
    """Every place of a day that a task has entered, with its entry where it has one."""
    found: dict[Place, Entry | None] = {}
    for page in range(PAGES):
        before = len(found)
        pending = [Cell(day)]
        seen = set(pending)
        while pending:
            place = Place(day, page, pending.pop(0))
            text = yield Get(place.key(prefix))
            # A task reaches a cell only through cells that it entered. An entry shows that as well as a door.
            if text is None and (yield Get(place.cell.door(page_prefix(prefix, page)))) is None:
                continue
            found[place] = None if text is None else entry_of(text)
            further = [each for each in place.cell.next() if each.right + each.down < WRITERS]
            pending += [each for each in further if each not in seen]
            seen.update(further)
        if len(found) == before:
            break
    return found


def _sum_key(prefix: str, day: int) -> str:
    return f"{prefix}-sum-{day}"
