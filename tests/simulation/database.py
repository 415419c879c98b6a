"""Airflow's metadata database, as far as the lifecycle depends on it; each access is one atomic step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from tests.simulation.kernel import EPOCH, World

TERMINAL = frozenset({"success", "failed", "skipped", "removed"})


@dataclass(slots=True)
class TaskSpec:
    """A task of a DAG file, which users may edit between tries.

    :param make: makes the operator of one try from its parameters.
    """

    task_id: str
    make: Callable[..., Any]
    parameters: dict[str, Any]
    retries: int = 0
    retry_delay: float = 5.0
    execution_timeout: float | None = None
    map_index: int = -1

    def operator(self) -> Any:
        """The operator as the DAG file has it now."""
        return self.make(task_id=self.task_id, **self.parameters)


@dataclass(slots=True)
class TriggerRow:
    """A row of the table of triggers."""

    id: int
    classpath: str
    kwargs: dict[str, Any]
    triggerer: str | None = None


@dataclass(slots=True, eq=False)
class TaskInstance:
    """A task instance, through all of its tries.

    :param id: another one for each try.
    """

    spec: TaskSpec
    dag_run: DagRun
    id: int
    state: str | None = None
    try_number: int = 0
    max_tries: int = 0
    start_date: float = 0.0
    end_date: float = 0.0
    heartbeat: float = 0.0
    next_method: str | None = None
    next_kwargs: dict[str, Any] | None = None
    trigger: TriggerRow | None = None
    trigger_timeout: float | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    rendered: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What names it through all of its tries."""
        index = "" if self.spec.map_index < 0 else f"[{self.spec.map_index}]"
        return f"{self.dag_run.run_id}.{self.spec.task_id}{index}"

    @property
    def retry_eligible(self) -> bool:
        """Whether the scheduler would try again after it has missed the worker."""
        return self.spec.retries > 0 and self.try_number <= self.max_tries

    @property
    def should_retry(self) -> bool:
        """What a worker is told when it begins: whether another try would follow."""
        return self.max_tries != 0 and self.try_number <= self.max_tries

    def as_listener_sees_it(self) -> Any:
        """The task instance as the API server and the scheduler hand it to listeners."""
        return _DatabaseTaskInstance(
            dag_id="dag",
            run_id=self.dag_run.run_id,
            task_id=self.spec.task_id,
            map_index=self.spec.map_index,
            state=self.state,
        )


class _DatabaseTaskInstance(SimpleNamespace):
    """Told from a worker's by the module of its class, as ``airflow_compat.lost_for_good`` does."""


_DatabaseTaskInstance.__module__ = "airflow.models.taskinstance"


@dataclass(slots=True, eq=False)
class DagRun:
    """A DAG run."""

    run_id: str
    state: str = "queued"
    clear_number: int = 0
    tasks: list[TaskInstance] = field(default_factory=list)

    @property
    def run_after(self) -> datetime:
        """When it was planned for: a moment before the world began."""
        return datetime.fromtimestamp(EPOCH - 1.0, UTC)


@dataclass(slots=True)
class Change:
    """A change of a task instance's state, for the judge.

    :param cause: ``itself`` for what Airflow or the task did, ``user`` for what a person did.
    """

    at: float
    task: str
    state: str | None
    cause: str
    try_number: int
    max_tries: int
    id: int


class Database:
    """All tables."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dag_runs: list[DagRun] = []
        self.connections: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, str] = {}
        self.triggers: dict[int, TriggerRow] = {}
        self.heartbeats: dict[str, float] = {}
        self.changes: list[Change] = []
        self.paused_dag = False
        #: While it is so, the state store and Variables take nothing more.
        self.full = False
        #: While it is so, the parent process of a triggerer does not answer.
        self.slow = False
        self._ids = 0

    def next_id(self) -> int:
        """Another id."""
        self._ids += 1
        return self._ids

    @property
    def tasks(self) -> list[TaskInstance]:
        """All task instances."""
        return [task for dag_run in self.dag_runs for task in dag_run.tasks]

    def find(self, name: str) -> TaskInstance:
        """A task instance by its name."""
        return next(task for task in self.tasks if task.name == name)

    def add_task(self, dag_run: DagRun, spec: TaskSpec) -> TaskInstance:
        """A new task instance, as the scheduler makes it with its DAG run."""
        task = TaskInstance(spec, dag_run, self.next_id(), max_tries=spec.retries)
        dag_run.tasks.append(task)
        self.set_state(task, None)
        return task

    def set_state(self, task: TaskInstance, state: str | None, cause: str = "itself") -> None:
        """Change a task's state, and keep a line of it."""
        task.state = state
        if state in TERMINAL:
            task.end_date = self.world.now
        self.changes.append(self._change(task, cause))
        self.world.note("airflow", f"{task.name} is {state} (try {task.try_number}, {cause})")

    def _change(self, task: TaskInstance, cause: str) -> Change:
        return Change(self.world.now, task.name, task.state, cause, task.try_number, task.max_tries, task.id)

    def leave_deferral(self, task: TaskInstance) -> None:
        """A task is to resume. Its trigger's row stays until a triggerer cleans up."""
        task.trigger, task.trigger_timeout = None, None

    def clean_triggers(self) -> None:
        """Remove the triggers that no task waits for; a cleared task keeps its own until it is scheduled."""
        for task in self.tasks:
            if task.state not in ("deferred", None):
                task.trigger = None
        linked = {task.trigger.id for task in self.tasks if task.trigger is not None}
        self.triggers = {id_: row for id_, row in self.triggers.items() if id_ in linked}

    def new_try(self, task: TaskInstance) -> None:
        """Give a task instance another id: the try before can no longer write."""
        task.id = self.next_id()
        task.next_method = task.next_kwargs = None

    def fail_or_retry(self, task: TaskInstance) -> None:
        """The scheduler has missed a task's worker."""
        task.next_method = task.next_kwargs = None
        task.end_date = self.world.now
        if task.state == "restarting":
            # The clear has given it another id already.
            self.set_state(task, "up_for_retry")
        elif task.retry_eligible:
            self.try_again(task)
        else:
            self.set_state(task, "failed")

    def try_again(self, task: TaskInstance) -> None:
        """A try has failed, and another one is to follow: under another id from now on."""
        task.end_date = self.world.now
        self.new_try(task)
        self.set_state(task, "up_for_retry")
