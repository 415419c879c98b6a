"""Kills, user actions and faults: drawn from a seed, and recorded when they have happened."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal

Key = tuple[str, str, int]
"""A task instance: its DAG run, its task, its map index."""

Kind = Literal["kill", "user", "fault"]

#: Kills by name, with their weights; those of a Celery worker only where there is one.
KILLS: Final[dict[str, int]] = {
    "SIGKILL of a task's process": 5,
    "SIGSTOP of a task's process": 4,
    "SIGKILL of a supervisor": 3,
    "SIGSTOP of a supervisor": 2,
    "SIGKILL of a task and its supervisor": 3,
    "SIGKILL of the triggerer": 3,
    "SIGSTOP of the triggerer": 2,
    "SIGKILL of the scheduler": 2,
    "SIGSTOP of the scheduler": 1,
    "SIGKILL of the API server": 2,
    "SIGSTOP of the API server": 1,
}
CELERY_KILLS: Final = {"SIGKILL of a Celery worker": 3, "SIGSTOP of a Celery worker": 2}
USERS: Final = {"user clears": 5, "user marks failed": 2, "user marks success": 1}
#: Faults by name: the sandbox's kind, its options, the weight.
FAULTS: Final[dict[str, tuple[str, dict[str, Any], int]]] = {
    "reset before the effect": ("reset_before", {}, 2),
    "reset after the effect": ("reset_after", {}, 3),
    "500": ("status", {"status": 500}, 1),
    "503": ("status", {"status": 503}, 1),
    "504 after the effect": ("status_after", {"status": 504}, 2),
    "429": ("status", {"status": 429, "retry_after": 2}, 1),
    "502 as HTML": ("html", {"status": 502}, 1),
    "late effect and answer": ("delay", {}, 2),
    "late answer": ("delay_after", {}, 2),
}
#: Request patterns of faults, with their weights: submissions matter most.
MATCHES: Final = {
    "POST /tests/*/runs": 4,
    "POST /groups/*/runs": 1,
    "POST /test_group_run/*": 1,
    "GET *": 3,
    "*": 2,
}


#: The name of an event for which there was no task.
NOTHING: Final = "nothing to affect"


@dataclass(frozen=True)
class Draw:
    """A planned event.

    :param pause: seconds after the event before it.
    :param choice: selects one of the candidates; from 0 to below 1.
    :param seconds: how long a SIGSTOP, a late answer or a dead process lasts.
    """

    kind: Kind
    name: str
    pause: float
    choice: float
    seconds: float
    scope: str
    match: str
    times: int


@dataclass
class Event:
    """An event that has happened.

    :param at: when it began, and ``until`` when it was over, in epoch seconds.
    :param affected: the task instances that it affected.
    :param certain: whether it is known to have been done; a user's request can lose its answer.
    """

    number: int
    kind: Kind
    name: str
    at: float
    until: float
    affected: tuple[Key, ...] = ()
    detail: str = ""
    certain: bool = True

    def __str__(self) -> str:
        return f"{self.told()}: {', '.join(map(name_of, self.affected)) or '-'}"

    def told(self) -> str:
        """Return it as text, without the affected task instances."""
        unsure = "" if self.certain else " (no answer)"
        when = f"{clock(self.at)} to {clock(self.until)}"
        return f"{self.number:3} {when} {self.name}{unsure} {self.detail}".rstrip()


def clock(at: float) -> str:
    """Return a moment as a log shows it."""
    return f"{at % 100_000:.1f}"


def name_of(key: Key) -> str:
    """Return a task instance as text."""
    run_id, task_id, index = key
    return f"{run_id}/{task_id}" + (f"[{index}]" if index >= 0 else "")


def draw(seed: int, executor: str, kills: int, mean: float) -> list[Draw]:
    """Draw so many kills, with a user action after about every third and a fault after about every second.

    :param mean: average seconds between two events.
    """
    random = Random(f"{seed} {executor}")
    table = KILLS | (CELERY_KILLS if "Celery" in executor else {})
    faults = {name: weight for name, (_, _, weight) in FAULTS.items()}
    found: list[Draw] = []
    for number in range(kills):
        found.append(_drawn(random, "kill", table, mean))
        if random.random() < 1 / 3 or number == 0:
            found.append(_drawn(random, "user", USERS, mean))
        if random.random() < 1 / 2:
            found.append(_drawn(random, "fault", faults, mean))
    return found


def _drawn(random: Random, kind: Kind, table: dict[str, int], mean: float) -> Draw:
    def pick(weights: dict[str, int]) -> str:
        return random.choices(list(weights), list(weights.values()))[0]

    return Draw(
        kind,
        pick(table),
        pause=min(random.expovariate(1 / mean), 3 * mean),
        choice=random.random(),
        seconds=random.uniform(2, 25),
        scope=pick({"process": 1, "group": 1, "session": 1}),
        match=pick(MATCHES),
        times=random.choice((1, 1, 2)),
    )
