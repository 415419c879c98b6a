"""Scripted faults: which calls fail, how often, and how."""

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
"""Kinds that keep the call from the service. With all other kinds the call takes effect."""

MODIFIERS = frozenset({"delay", "delay_after", "list_lag", "date_skew", "edit", "misroute", "foreign_run"})
"""Kinds that only change how a call is served, so they can be combined with one of the others."""


@dataclass(slots=True)
class Fault:
    """One scripted fault.

    :param kind: the kind of fault, one of `KINDS`.
    :param match: an operation name (`trigger_group`, `trigger_*`), or a method and a path below the
        service's root (`POST /groups/*/runs`, `* /runs*`); both are shell patterns.
    :param times: how many matching calls the fault applies to; -1 for all.
    :param after: how many matching calls to skip first.
    :param armed_by: a pattern like `match`; the fault is inactive until such a call was made.
    :param status: the status of the response; by default 500 (`status`), 504 (`status_after`), 502 (`html`),
        200 (`wrong_shape`), else the real one.
    :param code: the error's code; by default the one for the status.
    :param message: the error's text.
    :param body: a body instead of the error envelope: text as it is, anything else as JSON.
    :param content_type: the content type of the body.
    :param headers: additional headers of the response.
    :param retry_after: seconds for a `Retry-After` header.
    :param retry_after_date: write that header as a date, this many sandbox seconds from now.
    :param seconds: for `delay` (before the effect) and `delay_after`, the duration in real seconds. For
        `list_lag`, in sandbox seconds: how long a trigger's runs stay hidden, or how stale a read's response is.
        For `date_skew`, how far the `Date` header runs ahead (negative: behind).
    :param sandbox_seconds: the duration of a `delay` or a `delay_after`, in sandbox seconds.
    :param put: for `edit`, new values by their path in the real response, see `core.edits`.
    :param drop: for `edit`, the paths of values to remove.
    :param change: for `edit`, the names of changes by the path of the value to change.
    :param path: for `misroute`, the path below the service's root whose response is sent.
    :param source: for `foreign_run`, who starts a run of the same target just before this call: `dashboard`,
        `schedule`, ...; they send `body`, by default the body of this call.
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
            raise ValueError(f"unknown fault {self.kind!r}; use one of {', '.join(KINDS)}")
        for name in (self.change or {}).values():
            edits.change_named(name)
        if self.kind == "misroute" and not self.path:
            raise ValueError("a misroute needs a path: the one whose response is sent")

    def matches(self, method: str, path: str, operation: str | None) -> bool:
        """Whether a call matches this fault's pattern; `path` is below the service's root."""
        return _is_named(self.match, method, path, operation)

    def is_armed(self, method: str, path: str, operation: str | None) -> bool:
        """Whether the fault is active; it does not apply to the call that arms it."""
        armed = self.armed or self.armed_by is None
        if self.armed_by is not None and _is_named(self.armed_by, method, path, operation):
            self.armed = True
        return armed

    def applies(self) -> bool:
        """Count a matching call; return whether the fault applies to it."""
        self.seen += 1
        if self.seen <= self.after or (self.times >= 0 and self.hits >= self.times):
            return False
        self.hits += 1
        return True

    def edit(self, document: Any) -> None:
        """Apply an `edit` to a real response."""
        for path, value in (self.put or {}).items():
            edits.put(document, path, value)
        for path in self.drop or ():
            edits.drop(document, path)
        for path, name in (self.change or {}).items():
            edits.change(document, path, name)

    def as_dict(self) -> dict[str, Any]:
        """Return the fault as the control API shows it."""
        return asdict(self)


def _is_named(pattern: str, method: str, path: str, operation: str | None) -> bool:
    if operation is not None and fnmatchcase(operation, pattern):
        return True
    return fnmatchcase(f"{method} {path}", pattern)


@dataclass(frozen=True, slots=True)
class CallFaults:
    """The faults of one call: at most one that replaces the response, and any number of modifiers."""

    answer: Fault | None = None
    modifiers: tuple[Fault, ...] = ()

    def of(self, kind: Kind) -> list[Fault]:
        """Return the modifiers of a kind."""
        return [fault for fault in self.modifiers if fault.kind == kind]

    def total(self, kind: Kind, attribute: str = "seconds") -> float:
        """Return the sum of the seconds of all modifiers of a kind."""
        return float(sum(getattr(fault, attribute) for fault in self.of(kind)))


class FaultPlan:
    """All scripted faults, applied in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, kind: Kind, match: str = "*", **options: Any) -> Fault:
        """Add a fault; the options are the fields of `Fault`. Its `hits` counts the calls it was applied to."""
        return self.append(Fault(kind, match, **options))

    def append(self, fault: Fault) -> Fault:
        """Add an existing fault."""
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        """Return all faults, including those that are used up."""
        with self._lock:
            return list(self._faults)

    def take(self, method: str, path: str, operation: str | None) -> CallFaults:
        """Return the faults for this call, and count the call."""
        with self._lock:
            if not self._faults:
                return CallFaults()
            answer = None
            modifiers: list[Fault] = []
            for fault in self._faults:
                armed = fault.is_armed(method, path, operation)
                if not armed or not fault.matches(method, path, operation):
                    continue
                if fault.kind in MODIFIERS:
                    if fault.applies():
                        modifiers.append(fault)
                elif answer is None and fault.applies():
                    answer = fault
            return CallFaults(answer, tuple(modifiers))
