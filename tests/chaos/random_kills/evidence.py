"""The judge's evidence: the service's log and runs, Airflow's task instances and tries, and the events."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.chaos.random_kills.events import Event, Key


@dataclass(frozen=True)
class Post:
    """A request that starts runs, as the service's log has it.

    :param family: the task instances whose target it names.
    :param accepted: whether it started runs, whatever was answered.
    :param unclear: whether its answer did not say so.
    :param runs: what it started.
    """

    at: float
    family: str
    accepted: bool
    unclear: bool
    runs: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Read:
    """A list of runs that was read; ``family`` is None for the list of a whole project."""

    at: float
    family: str | None


@dataclass(frozen=True)
class Run:
    """A run of the service.

    :param ended: when it ended; None while it is active.
    :param passes: whether it passed, or would have had nobody stopped it.
    """

    id: str
    family: str
    test: str
    created: float
    ended: float | None
    passed: bool
    passes: bool
    status: str = ""


@dataclass(frozen=True)
class Try:
    """One try of a task instance.

    :param error: the class of the exception in its log, without one empty.
    """

    number: int
    start: float | None
    end: float | None
    state: str
    error: str = ""
    log: str = field(default="", repr=False)


@dataclass(frozen=True)
class Task:
    """A task instance.

    :param siblings: how many task instances share its target.
    :param tolerates: how many runs that do not pass its gate lets through.
    :param ends: whether its runs end by themselves.
    :param can_cancel: whether its service can stop runs.
    :param can_list: whether its service can list runs.
    :param own_runs: the runs that its summary names; None without a summary.
    :param run_ended: when its DAG run ended.
    """

    key: Key
    family: str
    state: str
    retries: int
    tries: tuple[Try, ...]
    run_ended: float
    own_runs: tuple[str, ...] | None = None
    siblings: int = 1
    tolerates: int = 0
    ends: bool = True
    can_cancel: bool = True
    can_list: bool = True


@dataclass(frozen=True)
class Evidence:
    """Everything that the judge knows.

    :param read: when the states and runs were read.
    :param named: the runs that a line of any of Airflow's logs names.
    """

    read: float
    tasks: tuple[Task, ...]
    posts: tuple[Post, ...] = ()
    reads: tuple[Read, ...] = ()
    runs: tuple[Run, ...] = ()
    events: tuple[Event, ...] = ()
    named: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Violation:
    """A promise that was not kept to a task instance."""

    rule: str
    key: Key
    text: str
