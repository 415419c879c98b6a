"""Reading and writing a memory, so that runs that write at once never lose each other's night.

Each write has a cell of its own (``cells.py``): its night, the memory as it then is (a *snapshot*), and a *label*
that says what the cell holds. One further key, the *pointer*, names the cell of the newest snapshot. A reader takes
that snapshot and folds in the nights of the cells around its day and since, so it does not matter whose pointer
or whose snapshot was the last: what a snapshot has missed is still in a cell. Days are deleted once no snapshot can
have missed anything in them.

What holds: no night is lost as long as there are at most ``cells.WRITERS`` (64) writes a day, at once or one after
the other, each takes less than a day, and the workers' clocks agree to within a day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from airflow_provider_testerarmy.runs.memory.cells import (
    WRITERS,
    Cell,
    Delete,
    Get,
    Set,
    Steps,
    claim,
    drive,
    entered,
)
from airflow_provider_testerarmy.runs.memory.codec import (
    PARTS,
    VERSION,
    Mistrust,
    decode,
    decode_night,
    encode,
    encode_night,
    fields,
    whole,
)
from airflow_provider_testerarmy.runs.memory.directory import name_key
from airflow_provider_testerarmy.runs.memory.folding import fold, fold_all, without_test
from airflow_provider_testerarmy.runs.memory.model import (
    LATEST,
    NIGHTS,
    Memory,
    Night,
    NightRef,
    Unreadable,
    plain,
)
from airflow_provider_testerarmy.runs.memory.port import Prefixed, Scope, Storage, StorageFault

T = TypeVar("T")

#: Days before a snapshot's own in which there may be nights that it has missed.
BEHIND: Final = 3
#: Days without a night after which a memory is no longer read: each of them costs a question.
OLDEST: Final = 400
#: Days that another worker's clock may be ahead.
_AHEAD: Final = 1
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class _Label:
    """What a cell holds.

    :param night, memory: how many parts of each.
    """

    ref: NightRef
    night: int
    memory: int

    def text(self) -> str:
        return json.dumps(
            {
                "version": VERSION,
                "at": self.ref.at,
                "key": self.ref.key,
                "judged": self.ref.judged,
                "night": self.night,
                "memory": self.memory,
            },
            ensure_ascii=False,
        )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The memory, and where it was read.

    :param since: the first day that was searched.
    :param labels: every cell that has been entered, with its label where it has one.
    """

    memory: Memory
    since: int
    labels: Mapping[Cell, _Label | None] = field(default_factory=dict)


class _Changed(Exception):
    """Another run has written meanwhile, so what was read may not belong together."""


def load(storage: Storage, scope: Prefixed, *, now: float) -> Memory | Unreadable:
    """The memory; an empty one where there is none, and why where it cannot be read.

    :param now: seconds since the epoch.
    """
    try:
        return drive(storage, load_steps(scope, now))
    except StorageFault as fault:
        return Unreadable(_said(fault))


def remember(storage: Storage, scope: Scope, night: Night, *, now: float, token: str) -> str | None:
    """Add a night; None when that is done, else why not. Call it again with the same night to replace it.

    :param token: something that no other call has, e.g. a UUID.
    """
    return _attempt(storage, remember_steps(scope, night, now, token))


def forget(storage: Storage, scope: Prefixed, *, now: float) -> str | None:
    """Delete the memory, one that cannot be read too; None when that is done."""
    return _attempt(storage, forget_steps(scope, now))


def restore(storage: Storage, scope: Scope, memory: Memory, *, now: float, token: str) -> str | None:
    """Put a memory in the place of the one that is there, e.g. one that was exported."""
    failed = forget(storage, scope, now=now)
    return failed or _attempt(storage, restore_steps(scope, memory, now, token))


def forget_test(storage: Storage, scope: Scope, test_id: str, *, now: float, token: str) -> str | None:
    """Delete what is remembered of one test; None when that is done. No other run's night is lost by it."""
    return _attempt(storage, forget_test_steps(scope, test_id, now, token))


def load_steps(scope: Prefixed, now: float) -> Steps[Memory | Unreadable]:
    """As :func:`load`, step by step."""
    found = yield from _load(scope, _day(now))
    return found if isinstance(found, Unreadable) else found.memory


def remember_steps(scope: Scope, night: Night, now: float, token: str) -> Steps[str | None]:
    """As :func:`remember`, step by step."""
    prefix, today = scope.prefix, _day(now)
    loaded = yield from _load(scope, today)
    if isinstance(loaded, Unreadable):
        # Whatever is there, it is a person's decision to throw it away.
        return loaded.reason
    owned = {cell for cell, label in loaded.labels.items() if label}
    cell = yield from claim(prefix, today, token, owned)
    if cell is None:
        return f"there were more than {WRITERS} writes today"
    parts = encode_night(night)
    yield from _write(prefix, cell, "night", parts)
    label = _Label(night.ref, len(parts), 0)
    yield Set(cell.key(prefix, "label"), label.text())
    old = [each for each in loaded.labels if each.day < today - BEHIND]
    since = loaded.since if old else today - BEHIND
    if (yield from _publish(prefix, cell, label, fold(loaded.memory, night), since)) and old:
        yield from _delete(prefix, old, loaded.labels)
        # Only now need nobody search those days again for what a writer that died has left.
        if _pointed((yield Get(_pointer_key(prefix)))) == (cell, since):
            yield Set(_pointer_key(prefix), _pointer(cell, today - BEHIND))
    return None


def restore_steps(scope: Scope, memory: Memory, now: float, token: str) -> Steps[str | None]:
    """Store a memory where there is none, step by step."""
    cell = yield from claim(scope.prefix, _day(now), token, ())
    if cell is None:
        return f"there were more than {WRITERS} writes today"
    ref = memory.nights[-1] if memory.nights else NightRef.of(token, now)
    yield from _publish(scope.prefix, cell, _Label(ref, 0, 0), memory, cell.day)
    return None


def forget_test_steps(scope: Scope, test_id: str, now: float, token: str) -> Steps[str | None]:
    """As :func:`forget_test`, step by step."""
    loaded = yield from _load(scope, _day(now))
    if isinstance(loaded, Unreadable):
        return loaded.reason
    owned = {cell for cell, label in loaded.labels.items() if label}
    cell = yield from claim(scope.prefix, _day(now), token, owned)
    if cell is None:
        return f"there were more than {WRITERS} writes today"
    memory = without_test(loaded.memory, test_id, int(now))
    since = min(loaded.since, cell.day)
    if not (yield from _publish(scope.prefix, cell, _Label(NightRef.of(token, now), 0, 0), memory, since)):
        return "another run has written meanwhile"
    return None


def forget_steps(scope: Prefixed, now: float) -> Steps[str | None]:
    """As :func:`forget`, step by step."""
    prefix, today = scope.prefix, _day(now)
    try:
        pointed = _pointed((yield Get(_pointer_key(prefix))))
    except Mistrust:
        pointed = None
    yield Delete(_pointer_key(prefix))
    yield Delete(name_key(prefix))
    cell, since = pointed or (Cell(today), today)
    first = max(min(since, cell.day - BEHIND, today - BEHIND), today - OLDEST - BEHIND)
    for day in sorted({cell.day, *range(first, today + _AHEAD + 1)}):
        cells = yield from entered(prefix, day)
        yield from _delete(prefix, cells, {})
    return None


# -- parts of it


def _attempt(storage: Storage, steps: Steps[str | None]) -> str | None:
    try:
        return drive(storage, steps)
    except StorageFault as fault:
        return _said(fault)
    except Mistrust as error:
        # The pointer was changed for something else while this was at work.
        return plain(str(error), 200)


def _said(fault: StorageFault) -> str:
    return plain(str(fault), 200) or "the storage did not answer"


def _load(scope: Prefixed, today: int) -> Steps[_Loaded | Unreadable]:
    # Each writer changes the pointer twice, so those of a whole day cannot keep a reader from its end.
    for _ in range(2 * WRITERS + 1):
        try:
            return (yield from _load_once(scope.prefix, today))
        except _Changed:
            continue
        except Mistrust as error:
            return Unreadable(plain(str(error), 200))
    return Unreadable("other runs write it without a pause")


def _load_once(prefix: str, today: int) -> Steps[_Loaded]:
    pointer = yield Get(_pointer_key(prefix))
    pointed = _pointed(pointer)
    cell, since = pointed or (Cell(today), today)
    if cell.day > today + _AHEAD:
        raise Mistrust("it was written on a day that is yet to come; compare the workers' clocks")
    if cell.day < today - OLDEST:
        raise Mistrust(f"its last night is more than {OLDEST} days old; delete the memory to start again")
    first = max(min(since, cell.day - BEHIND), today - OLDEST - BEHIND)
    labels: dict[Cell, _Label | None] = {}
    memory = Memory()
    try:
        if pointed:
            memory = yield from _snapshot(prefix, cell)
        nights: list[Night] = []
        for day in range(first, today + _AHEAD + 1):
            for each in (yield from entered(prefix, day)):
                text = yield Get(each.key(prefix, "label"))
                labels[each] = label = None if text is None else _label(text)
                if label and label.night and not _is_folded(memory, label.ref):
                    nights.append((yield from _read_night(prefix, each, label)))
    except Mistrust as error:
        # Days are deleted after the pointer has changed, and then anything may have been missing.
        if (yield Get(_pointer_key(prefix))) != pointer:
            raise _Changed from error
        raise
    if (yield Get(_pointer_key(prefix))) != pointer:
        raise _Changed
    return _Loaded(fold_all(memory, nights), first, labels)


def _is_folded(memory: Memory, ref: NightRef) -> bool:
    """Whether a night is in the memory already, or was judged before all that are kept."""
    if len(memory.nights) == NIGHTS and ref.judged < min(each.judged for each in memory.nights):
        return True
    return any((each.key, each.judged) == (ref.key, ref.judged) for each in memory.nights)


def _publish(prefix: str, cell: Cell, label: _Label, memory: Memory, since: int) -> Steps[bool]:
    """Store a snapshot in a cell, and point to it unless a later day's is pointed to."""
    parts = encode(memory)
    yield from _write(prefix, cell, "memory", parts)
    yield Set(cell.key(prefix, "label"), _Label(label.ref, label.night, len(parts)).text())
    pointed = _pointed((yield Get(_pointer_key(prefix))))
    if pointed and pointed[0].day > cell.day:
        return False
    yield Set(_pointer_key(prefix), _pointer(cell, since))
    return True


def _write(prefix: str, cell: Cell, name: str, parts: Sequence[str]) -> Steps[None]:
    for number, text in enumerate(parts):
        yield Set(cell.key(prefix, f"{name}-{number}"), text)


def _read(prefix: str, cell: Cell, name: str, count: int) -> Steps[list[str | None]]:
    parts: list[str | None] = []
    for number in range(count):
        text: str | None = yield Get(cell.key(prefix, f"{name}-{number}"))
        parts.append(text)
    return parts


def _delete(prefix: str, cells: Sequence[Cell], labels: Mapping[Cell, _Label | None]) -> Steps[None]:
    """Remove cells, the last ones first: behind a cell that is gone nobody would find the others."""
    for cell in sorted(cells, key=lambda each: (each.day, -each.right - each.down)):
        label = labels.get(cell)
        # A cell whose writer has died may hold parts that no label counts.
        counts = ("night", label.night if label else PARTS), ("memory", (label and label.memory) or PARTS)
        for name, parts in counts:
            for number in range(parts):
                yield Delete(cell.key(prefix, f"{name}-{number}"))
        for name in ("label", "lock", "door"):
            yield Delete(cell.key(prefix, name))


def _snapshot(prefix: str, cell: Cell) -> Steps[Memory]:
    text = yield Get(cell.key(prefix, "label"))
    if text is None:
        raise Mistrust("its newest part is missing")
    count = _label(text).memory
    parts = yield from _read(prefix, cell, "memory", count)
    return _believed(decode(parts))


def _read_night(prefix: str, cell: Cell, label: _Label) -> Steps[Night]:
    parts = yield from _read(prefix, cell, "night", label.night)
    night = _believed(decode_night(parts))
    if (night.ref.key, night.ref.judged) != (label.ref.key, label.ref.judged):
        raise Mistrust("a night that is not the one that its label names")
    return night


def _label(text: str) -> _Label:
    document = fields(text, {"at", "key", "judged", "night", "memory"}, absent={"judged": "at"})
    key = document["key"]
    if not isinstance(key, str) or NightRef.of(key, 0).key != key:
        raise Mistrust("a label without the night's key")
    night, memory = (whole(document[name], 0, PARTS) for name in ("night", "memory"))
    at, judged = (whole(document[name], 0, LATEST) for name in ("at", "judged"))
    return _Label(NightRef(at, key, judged=judged), night, memory)


def _believed(found: T | Unreadable) -> T:
    if isinstance(found, Unreadable):
        raise Mistrust(found.reason)
    return found


def _pointer(cell: Cell, since: int) -> str:
    return json.dumps({"version": VERSION, "cell": [cell.day, cell.right, cell.down], "since": since})


def _pointed(text: str | None) -> tuple[Cell, int] | None:
    """The cell of the newest snapshot, and the first day on which there may be anything."""
    if text is None:
        return None
    document = fields(text, {"cell", "since"})
    if not isinstance(document["cell"], list) or len(document["cell"]) != 3:
        raise Mistrust("a pointer that names no cell")
    day, right, down = document["cell"]
    cell = Cell(whole(day, 0, LATEST), whole(right, 0, WRITERS), whole(down, 0, WRITERS))
    return cell, whole(document["since"], 0, cell.day)


def _pointer_key(prefix: str) -> str:
    return f"{prefix}-pointer"


def _day(now: float) -> int:
    return int(now // _DAY)
