"""What is done to Airflow and to the service: drawn from a seed, and written down when it has been done."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal

Key = tuple[str, str, int]
"""A task instance: its DAG run, its task, its map index."""

Kind = Literal["kill", "user", "fault"]

#: Kills by name, with how often each is drawn; those of a Celery worker only where there is one.
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
#: Faults by name: the sandbox's kind, its options, how often each is drawn.
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
#: Which requests a fault strikes; a submission is what matters most.
MATCHES: Final = {
    "POST /tests/*/runs": 4,
    "POST /groups/*/runs": 1,
    "POST /test_group_run/*": 1,
    "GET *": 3,
    "*": 2,
}


@dataclass(frozen=True)
class Draw:
    """What is to happen, and when.

    :param pause: seconds after what was drawn before.
    :param lot: which of the candidates it strikes, from 0 to below 1.
    :param seconds: how long a SIGSTOP, a late answer or a dead process lasts.
    """

    kind: Kind
    name: str
    pause: float
    lot: float
    seconds: float
    scope: str
    match: str
    times: int


@dataclass
class Deed:
    """What has happened.

    :param at: when it began, and ``until`` when it was over, in epoch seconds.
    :param hit: the task instances that it struck.
    :param certain: whether it is known to have been done; a user's request can lose its answer.
    """

    number: int
    kind: Kind
    name: str
    at: float
    until: float
    hit: tuple[Key, ...] = ()
    detail: str = ""
    certain: bool = True

    def __str__(self) -> str:
        return f"{self.told()}: {', '.join(map(name_of, self.hit)) or '-'}"

    def told(self) -> str:
        """Return it without what it struck."""
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
    """Draw so many kills, with a user's action after every third and a fault after every second.

    :param mean: average seconds between two of them.
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
        lot=random.random(),
        seconds=random.uniform(2, 25),
        scope=pick({"process": 1, "group": 1, "session": 1}),
        match=pick(MATCHES),
        times=random.choice((1, 1, 2)),
    )
