"""One case of the suite: its DAG run, its test runs, the actions on them, and their outcome."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeVar

from sqlalchemy import Engine, text

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.sandbox.core.faults import Fault, Kind
from airflow_provider_testerarmy.sandbox.core.requestlog import LogEntry
from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.conformance.vendors import Vendor
from tests.rig.airflow import LocalAirflow
from tests.rig.rest import NotFoundError, RestError
from tests.rig.waiting import eventually

T = TypeVar("T")
Mode = Literal["sync", "deferrable"]

TASK = "run"
FINAL = frozenset({"success", "failed", "skipped"})
#: The time limit in seconds for each step of a case; the cases run in parallel and compete for the cores.
PATIENCE = 150.0


@dataclass(frozen=True)
class Plan:
    """A case to run, as pytest's parameter.

    :param drill: what happens after the start of the DAG run.
    :param timeout: the task's ``timeout``, in seconds.
    :param retries: the task's ``retries``: 0 or 2.
    """

    vendor: Vendor
    mode: Mode
    drill: Callable[[Scene], None] = field(repr=False)
    script: str = "endless"
    timeout: int = 3600
    retries: int = 2

    def __str__(self) -> str:
        return f"{self.vendor.name}-{self.mode}"


def conn_id(number: int) -> str:
    """The id of the connection that only one scene uses."""
    return f"scene_{number}"


class Scene:
    """A running plan and its outcome.

    :param number: a unique number, from which its test or blueprint is derived.
    """

    def __init__(self, plan: Plan, number: int, airflow: LocalAirflow, sandbox: Sandbox, eye: Engine) -> None:
        self.plan = plan
        self.vendor = plan.vendor
        self.desk = plan.vendor.desk
        self.number = number
        self.target = self.desk.target(number)
        self.dag_id = f"conformance_{plan.vendor.name}_{plan.mode}_{plan.retries}"
        self.run_id = ""
        self.seconds = 0.0
        self.failure: Exception | None = None
        self.sandbox = sandbox
        self._airflow = airflow
        self._eye = eye
        self._since = 0.0

    def __str__(self) -> str:
        return f"{self.plan.drill.__name__} {self.plan}"

    # playing

    def start(self) -> None:
        """Start the DAG run; an error is stored for the test, here and in :meth:`play`."""
        self.desk.script(self.sandbox, self.target, self.plan.script)
        self._since = time.monotonic()
        conf = {"target": self.target, "timeout": self.plan.timeout, "conn_id": conn_id(self.number)}
        try:
            self.run_id = self._airflow.trigger_dag(self.dag_id, conf)
        except RestError as error:
            self.failure = error

    def play(self) -> None:
        """Run the plan's drill, and wait for the task's end."""
        if self.failure is not None:
            return
        try:
            self.plan.drill(self)
            self.wait_state(FINAL)
        except Exception as error:
            self.failure = error
        self.seconds = time.monotonic() - self._since

    def until(self, predicate: Callable[[], T | None], what: str, timeout: float = PATIENCE) -> T:
        """Wait for a condition; the message of a time-out names this scene."""
        return eventually(predicate, timeout, f"{self}: {what}", state=self.describe, interval=0.2)

    def wait_state(self, states: str | Collection[str]) -> None:
        """Wait until the task is in one of these states."""
        wanted = {states} if isinstance(states, str) else set(states)
        self.until(lambda: self.state() in wanted, f"task in {sorted(wanted)}")

    def wait_waiting(self) -> RunId:
        """Wait until the task waits, in its worker or through its trigger, and return the newest run."""
        self.until(self.runs, "a run")
        if self.plan.mode == "deferrable":
            self.wait_state("deferred")
        return self.wait_polled(self.now())

    def wait_try(self, number: int) -> RunId:
        """Wait until that try of the task waits, and return the newest run."""
        self.until(lambda: self.tries() >= number, f"try {number}")
        if self.plan.mode == "deferrable":
            self.wait_state(FINAL | {"deferred"})
        # Only polls after this point belong to this try, and by then it has submitted its runs.
        return self.wait_polled(self.now())

    def wait_polled(self, since: int) -> RunId:
        """Wait until the newest run is polled after request number ``since``, and return its id."""
        self.until(lambda: self.calls(self.desk.fetch(self.runs()[-1]), since), "a poll of the run")
        return self.runs()[-1]

    def fault(self, kind: Kind, match: str, **options: Any) -> Fault:
        """Add a fault for matching requests."""
        return self.sandbox.faults.add(kind, match, **options)

    def finish(self) -> None:
        """Let every run pass now."""
        for run_id in self.active():
            self.desk.finish(self.sandbox, run_id)

    def stop(self) -> None:
        """Let a person stop every run on the dashboard."""
        for run_id in self.active():
            self.desk.stop(self.sandbox, run_id)

    def mark_failed(self) -> None:
        """Let the user mark the task as failed."""
        self._airflow.set_task_state(self.dag_id, self.run_id, TASK, "failed")

    def clear(self) -> None:
        """Let the user clear the task."""
        self._airflow.clear_task(self.dag_id, self.run_id, TASK)

    def lose_worker(self) -> None:
        """SIGKILL the task together with its supervisor: Airflow only notices that heartbeats stop."""
        self.wait_state("running")
        (worker,) = self._airflow.worker_pids(self.dag_id, TASK, self.run_id)
        worker.kill_supervisor(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)

    # what Airflow has

    def state(self) -> str:
        """The task's state, from the database."""
        return str(self._row()[0])

    def tries(self) -> int:
        """The number of the task's current try."""
        return int(self._row()[1])

    def _row(self) -> tuple[Any, int]:
        query = text(
            "SELECT state, try_number FROM task_instance WHERE dag_id = :dag_id AND run_id = :run_id"
        )
        with self._eye.connect() as link:
            row = link.execute(query, {"dag_id": self.dag_id, "run_id": self.run_id}).one_or_none()
        return (None, 0) if row is None else (row[0], row[1])

    def log(self, try_number: int = 1) -> str:
        """The task's log of one try, including its trigger's lines."""
        return self._airflow.task_log(self.dag_id, self.run_id, TASK, try_number)

    def wait_log(self, words: str, try_number: int = 1) -> None:
        """Wait until a try's log contains this line about the first run.

        A dying process's lines arrive late, and a triggerer whose parent is busy tries again for a while.
        """
        wanted = words.format(run_id=self.runs()[0])

        def said() -> bool:
            return wanted in self.log(try_number)

        eventually(said, 60, f"{self}: {wanted!r} in the log", state=self.describe)

    def verdict(self) -> str | None:
        """The verdict in the task's summary; None if there is none."""
        try:
            return str(self._airflow.xcom(self.dag_id, self.run_id, TASK)["verdict"])
        except NotFoundError:
            return None

    # what the service has

    def statuses(self) -> dict[RunId, str]:
        """The status of every run that the service ever started for this scene, oldest first."""
        return self.desk.statuses(self.sandbox, self.target)

    def runs(self) -> list[RunId]:
        """Every run that the service ever started for this scene, oldest first."""
        return list(self.statuses())

    def active(self) -> list[RunId]:
        """The runs that have not ended."""
        return self.desk.active(self.sandbox, self.target)

    def submissions(self) -> list[LogEntry]:
        """The submissions that took effect, whatever response was sent."""
        mine = set(self.runs())
        return [entry for entry in self.sandbox.log.submissions() if mine & set(entry.run_ids)]

    def cancellations(self) -> list[LogEntry]:
        """The calls that cancelled a run."""
        mine = set(self.runs())
        return [entry for entry in self.sandbox.log.cancellations() if mine & set(entry.run_ids)]

    def calls(self, match: str, since: int = 0) -> list[LogEntry]:
        """The requests, after number ``since``, whose method and path match."""
        entries = self.sandbox.log.entries(since=since)
        return [entry for entry in entries if fnmatchcase(f"{entry.method} {entry.path}", match)]

    def looks(self) -> list[LogEntry]:
        """Every request for the first run."""
        return self.calls(self.desk.fetch(self.runs()[0]))

    def now(self) -> int:
        """The number of the newest request, to look for later ones."""
        entries = self.sandbox.log.entries()
        return entries[-1].sequence if entries else 0

    def describe(self) -> str:
        """The current state of the scene, for messages."""
        if not self.run_id:
            return "not started"
        return f"{self.dag_id} {self.run_id}: {self.state()}, try {self.tries()}, runs {self.statuses()}"

    def story(self) -> str:
        """The history of the scene, for the report of a failed test."""
        lines = [self.describe(), f"played in {self.seconds:.1f} s"]
        for run_id in self.runs():
            lines += [
                f"{e.sequence} {e.at:.1f} {e.method} {e.path} {e.answered} {e.fault or ''}"
                for e in self.calls(f"*/{run_id}*")[-40:]
            ]
        for number in range(1, self.tries() + 1):
            with contextlib.suppress(RestError):
                lines += [f"--- log of try {number}", self.log(number)]
        scheduler = self._airflow.processes["scheduler"].log_path.read_text(errors="replace").splitlines()
        mine = [line for line in scheduler if self.dag_id in line and self.run_id in line]
        lines += ["--- the scheduler on it", *mine[-60:]]
        lines += ["--- helper processes", *self._airflow.task_processes()]
        return "\n".join(lines)
