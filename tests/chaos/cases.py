"""What a case is, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tests.chaos.scene import Scene
    from tests.chaos.stage import Stage

Mode = Literal["deferrable", "sync"]
Kind = Literal["test", "group", "prompt", "limited", "mapped", "own"]

#: Where more than one end is right, and the drill itself says which.
ANY = "any"

BOTH: tuple[Mode, ...] = ("deferrable", "sync")


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong with one task, and how it must end.

    :param area: whose failure it is, a heading of the table.
    :param what: what happens, in a few words.
    :param state: the state in which the task must end, or `ANY`.
    :param kind: what the task runs; `own` is a test in a DAG file that belongs to the case alone.
    :param posts: how many submissions must take effect; None where the drill itself judges that.
    :param tries: how many tries of the task there must be at least; Airflow itself may take a busy worker for lost.
    :param active: how many runs may still be active at the end.
    :param retries: Airflow's retries of the task, 0 or 2.
    :param own_service: whether the case has a sandbox of its own, to be broken as a whole.
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
        """The name by which pytest and the table know it."""
        kind = "" if self.kind in ("test", "limited", "own") else f", {self.kind}"
        return f"{self.area}: {self.what}{kind} ({self.mode})"


@dataclass
class Outcome:
    """What came of a case."""

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
        """Say what is not as it must be."""
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
    """What is played at once: one case that needs only its own task, or several that share a fault.

    :param alone: whether nothing else may go on meanwhile.
    """

    cases: tuple[Case, ...]
    play: Callable[[Stage, list[Scene]], None] = field(repr=False)
    alone: bool = False


@dataclass(slots=True)
class Deed:
    """What was done to a task, or to all.

    :param at: in epoch seconds.
    """

    at: float
    what: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Deeds:
    """What was done, in order; costs nothing where no tapes are wanted."""

    done: list[Deed] = field(default_factory=list)

    def add(self, what: str, **details: Any) -> None:
        """Note a deed, just before it is done."""
        self.done.append(Deed(time.time(), what, details))
