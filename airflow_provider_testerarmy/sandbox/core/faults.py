"""Scripted faults: which call goes wrong, how often, and how."""

from __future__ import annotations

import itertools
import threading
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from airflow_provider_testerarmy.sandbox.core import edits

Kind = Literal[
    "status",
    "status_after",
    "html",
    "empty",
    "garbage",
    "wrong_shape",
    "truncated",
    "reset_before",
    "reset_after",
    "timeout",
    "timeout_after",
    "delay",
    "delay_after",
    "list_lag",
    "date_skew",
    "edit",
    "misroute",
    "foreign_run",
]

KINDS: tuple[str, ...] = get_args(Kind)

WITHOUT_EFFECT = frozenset({"status", "html", "reset_before", "timeout"})
"""Kinds whose call never reaches the service; with the other ones it does, and its effect stays."""

MODIFIERS = frozenset({"delay", "delay_after", "list_lag", "date_skew", "edit", "misroute", "foreign_run"})
"""Kinds that only change how a call is served, and so go together with one of the others."""


@dataclass(slots=True)
class Fault:
    """One scripted fault.

    :param kind: what goes wrong, see `KINDS`.
    :param match: an operation name (`trigger_group`, `trigger_*`), or a method and a path below the
        service's root (`POST /groups/*/runs`, `* /runs*`); both are shell patterns.
    :param times: how many matching calls it strikes; -1: all.
    :param after: how many matching calls it lets pass first.
    :param armed_by: a pattern as `match`: the fault sleeps until such a call was made.
    :param status: the status of the answer; by default 500 (`status`), 504 (`status_after`), 502 (`html`),
        200 (`wrong_shape`), else the true one.
    :param code: the error's code; by default the one that belongs to the status.
    :param message: the error's text.
    :param body: the body instead of an error envelope: text as it is, anything else as JSON.
    :param content_type: the body's type.
    :param headers: further headers of the answer.
    :param retry_after: seconds for a `Retry-After` header.
    :param retry_after_date: write that header as a date, this many sandbox seconds from now.
    :param seconds: how long a `delay` before the effect, or a `delay_after` it, lasts, in real seconds. Of a
        `list_lag`, in sandbox seconds: of a trigger, how long its runs stay hidden; of a read, how old the
        answer is. Of a `date_skew`, by how much the `Date` header runs ahead (negative: behind).
    :param sandbox_seconds: how long a `delay` or a `delay_after` lasts, in sandbox seconds.
    :param put: of an `edit`, values by their path in the true answer, see `core.edits`.
    :param drop: of an `edit`, paths of values that are left out.
    :param change: of an `edit`, names of changes by the path of the value they change.
    :param path: of a `misroute`, the path below the service's root whose answer is given.
    :param source: of a `foreign_run`, who starts a run of the same target just before this call: `dashboard`,
        `schedule`, ...; `body` is what they send, by default what this call sends.
    """

    kind: Kind
    match: str = "*"
    times: int = 1
    after: int = 0
    armed_by: str | None = None
    status: int | None = None
    code: str | None = None
    message: str = "A scripted fault"
    body: Any = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    retry_after: float | None = None
    retry_after_date: float | None = None
    seconds: float = 0.0
    sandbox_seconds: float = 0.0
    put: dict[str, Any] | None = None
    drop: list[str] | None = None
    change: dict[str, str] | None = None
    path: str | None = None
    source: str = "dashboard"
    armed: bool = field(default=False, init=False)
    id: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(KINDS)}")
        for name in (self.change or {}).values():
            edits.change_named(name)
        if self.kind == "misroute" and not self.path:
            raise ValueError("a misroute needs the path whose answer is given")

    def matches(self, method: str, path: str, operation: str | None) -> bool:
        """Whether a call is one that this fault looks for; `path` is below the service's root."""
        return _is_named(self.match, method, path, operation)

    def is_armed(self, method: str, path: str, operation: str | None) -> bool:
        """Whether the fault is awake; the call that arms it is not struck itself."""
        armed = self.armed or self.armed_by is None
        if self.armed_by is not None and _is_named(self.armed_by, method, path, operation):
            self.armed = True
        return armed

    def strikes(self) -> bool:
        """Count a matching call; return whether the fault strikes it."""
        self.seen += 1
        if self.seen <= self.after or (self.times >= 0 and self.hits >= self.times):
            return False
        self.hits += 1
        return True

    def edit(self, document: Any) -> None:
        """Make an `edit` of a true answer."""
        for path, value in (self.put or {}).items():
            edits.put(document, path, value)
        for path in self.drop or ():
            edits.drop(document, path)
        for path, name in (self.change or {}).items():
            edits.change(document, path, name)

    def as_dict(self) -> dict[str, Any]:
        """Return the fault as the control routes show it."""
        return asdict(self)


def _is_named(pattern: str, method: str, path: str, operation: str | None) -> bool:
    if operation is not None and fnmatchcase(operation, pattern):
        return True
    return fnmatchcase(f"{method} {path}", pattern)


@dataclass(frozen=True, slots=True)
class Strike:
    """What goes wrong with one call: at most one answer fault, and any number of modifiers."""

    answer: Fault | None = None
    modifiers: tuple[Fault, ...] = ()

    def of(self, kind: Kind) -> list[Fault]:
        """Return the modifiers of a kind."""
        return [fault for fault in self.modifiers if fault.kind == kind]

    def total(self, kind: Kind, attribute: str = "seconds") -> float:
        """Return the sum of the seconds of all modifiers of a kind."""
        return float(sum(getattr(fault, attribute) for fault in self.of(kind)))


class FaultPlan:
    """All scripted faults; they are tried in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, kind: Kind, match: str = "*", **options: Any) -> Fault:
        """Add a fault; the options are the fields of `Fault`. Its `hits` tells later whether it struck."""
        return self.append(Fault(kind, match, **options))

    def append(self, fault: Fault) -> Fault:
        """Add a fault that was made before."""
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        """Return all faults, used up ones too."""
        with self._lock:
            return list(self._faults)

    def take(self, method: str, path: str, operation: str | None) -> Strike:
        """Return what goes wrong with this call, and count it."""
        with self._lock:
            if not self._faults:
                return Strike()
            answer = None
            modifiers: list[Fault] = []
            for fault in self._faults:
                armed = fault.is_armed(method, path, operation)
                if not armed or not fault.matches(method, path, operation):
                    continue
                if fault.kind in MODIFIERS:
                    if fault.strikes():
                        modifiers.append(fault)
                elif answer is None and fault.strikes():
                    answer = fault
            return Strike(answer, tuple(modifiers))
