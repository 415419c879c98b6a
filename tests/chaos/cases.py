"""Cases, their expected outcomes, and their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.chaos.scene import Scene
    from tests.chaos.stage import Stage

Mode = Literal["deferrable", "sync"]
Kind = Literal["test", "group", "prompt", "limited", "mapped", "own"]

#: More than one outcome is allowed, and the drill itself checks it.
ANY = "any"

BOTH: tuple[Mode, ...] = ("deferrable", "sync")


@dataclass(frozen=True)
class Case:
    """One failure that affects one task, and its expected outcome.

    :param area: the component that fails, the first word of the table's row.
    :param what: what happens, in a few words.
    :param state: the expected final state of the task, or `ANY`.
    :param kind: what the task runs; `own` is a test in a DAG file that only this case uses.
    :param posts: the number of submissions that must take effect; None if the drill itself checks that.
    :param tries: the minimum number of tries; there may be more, because Airflow may consider a busy worker lost.
    :param active: the number of runs that may still be active at the end.
    :param retries: the task's `retries`, 0 or 2.
    :param own_service: whether the case has its own sandbox, because it breaks the whole service.
    """

    area: str
    what: str
    mode: Mode
    state: str = "success"
    kind: Kind = "test"
    posts: int | None = 1
    tries: int = 1
    active: int = 0
    retries: int = 2
    own_service: bool = False

    @property
    def name(self) -> str:
        """The name of the case in pytest and in the table."""
        kind = "" if self.kind in ("test", "limited", "own") else f", {self.kind}"
        return f"{self.area}: {self.what}{kind} ({self.mode})"


@dataclass
class Outcome:
    """The outcome of a case."""

    case: Case
    posts: int = 0
    active: int = 0
    tries: int = 0
    state: str = "-"
    seconds: float = 0.0
    note: str = ""
    error: str = ""
    details: str = field(default="", repr=False)

    def problems(self) -> list[str]:
        """Return the differences from the expected outcome."""
        found = [self.error] if self.error else []
        for name in ("state", "posts", "active"):
            got, wanted = getattr(self, name), getattr(self.case, name)
            if wanted not in (got, ANY, None):
                found.append(f"{name}: {got}, must be {wanted}")
        if self.tries < self.case.tries:
            found.append(
                f"tries: {self.tries}, must be {self.case.tries}: the worker was not stopped in time"
            )
        return found


@dataclass(frozen=True)
class Drill:
    """The function that runs a case, or several cases that share a fault.

    :param alone: whether no other drill may run at the same time.
    """

    cases: tuple[Case, ...]
    play: Callable[[Stage, list[Scene]], None] = field(repr=False)
    alone: bool = False
