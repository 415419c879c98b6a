"""A worker: a supervisor process, and the task process in which the operator's own code runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from tests.simulation.apiserver import ApiServer, Refused, Unreachable
from tests.simulation.database import Database, TaskInstance, TriggerRow
from tests.simulation.kernel import EPOCH, Killed, Process, World

#: Seconds between two heartbeats of a supervisor, heartbeats that may fail, and from SIGTERM to SIGKILL.
HEARTBEAT = 5.0
MAX_FAILED = 3
GRACE = 5.0


class SupervisorGone(RuntimeError):
    """The task process has lost its supervisor, through which it talks to Airflow."""


class RuntimeTaskInstance:
    """The task instance as a worker's context has it."""

    dag_id = "dag"

    def __init__(self, worker: Worker, started: dict[str, Any]) -> None:
        task = worker.task
        self._worker = worker
        self.run_id = task.dag_run.run_id
        self.task_id = task.spec.task_id
        self.map_index = task.spec.map_index
        self.try_number = started["try_number"]
        self.max_tries = started["max_tries"]
        self.start_date = datetime.fromtimestamp(EPOCH + started["start_date"], UTC)
        self._ti_context_from_server = SimpleNamespace(should_retry=started["should_retry"])

    def xcom_push(self, key: str, value: Any) -> None:
        """Push an XCom."""
        text = json.dumps(value)
        self._worker.ask(lambda: self._worker.task.xcoms.__setitem__(key, json.loads(text)))

    def xcom_pull(self, task_ids: Any, key: str, map_indexes: Any) -> Any:
        """Pull one of this task's own."""
        return self._worker.ask(lambda: self._worker.task.xcoms.get(key))

    def get_first_reschedule_date(self, _context: Any) -> None:
        """It never reschedules itself."""


class StateStore:
    """``context["task_state_store"]``."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def get(self, key: str) -> Any:
        """What is stored, None for nothing."""
        worker = self._worker
        return worker.ask(lambda: json.loads(json.dumps(worker.task.store.get(key))))

    def set(self, key: str, value: Any) -> None:
        """Store a value; refused for a try that another one has followed."""
        worker = self._worker
        worker.ask(lambda: worker.api.store_set(worker.task, worker.id, key, value))

    def delete(self, key: str) -> None:
        """Remove it."""
        self._worker.ask(lambda: self._worker.task.store.pop(key, None))


class Worker:
    """One try of a task instance on a worker.

    :param airflow: gives the running worker to what stands in for Airflow's functions.
    """

    def __init__(
        self, world: World, database: Database, api: ApiServer, task: TaskInstance, id_: int, skew: float
    ) -> None:
        self.world = world
        self.database = database
        self.api = api
        self.task = task
        self.id = id_
        self.try_number = task.try_number
        name = f"{task.name} try {task.try_number}.{id_}"
        self.supervisor = Process(world, f"{name} supervisor", "supervisor")
        self.process = Process(world, name, "worker", skew)
        self._operator: Any = None
        self._should_retry = False
        self._failed_heartbeats = 0
        #: When it was started, and what its try ended with.
        self.began = world.now
        self.error = ""
        #: What left the operator and is no exception that Airflow knows of.
        self.escaped: BaseException | None = None
        self._terminated = False
        self._reported = False
        self._over = False
        self.process.on_exit.append(self._task_process_ended)
        self.supervisor.on_exit.append(self._supervisor_ended)
        self.process.worker = self  # type: ignore[attr-defined]
        self.process.spawn(self._main)
        world.after(HEARTBEAT, self.supervisor, self._beat)

    def ask(self, work: Callable[[], Any]) -> Any:
        """Ask Airflow from the task process, by way of the supervisor."""
        if not self.supervisor.alive:
            raise SupervisorGone("the supervisor is gone")
        return self.api.ask(work)

    # -- the task process

    def _main(self) -> None:
        try:
            started = self.ask(lambda: self.api.run(self.task, self.id))
        except (Refused, Unreachable, SupervisorGone):
            self._reported = True
            self.process.exit()
            return
        state, deferral = self._run_task(started)
        self._over = True
        try:
            if deferral is not None:
                self._defer(deferral)
            else:
                self.ask(lambda: self.api.finish(self.task, self.id, state))
            self._reported = True
        except (Refused, Unreachable, SupervisorGone) as error:
            self.world.note(self.process.name, f"cannot report {state}: {error}")
            self._reported = isinstance(error, Refused)
        self.process.exit()

    def _run_task(self, started: dict[str, Any]) -> tuple[str, TaskDeferred | None]:
        self._operator = operator = self.task.spec.operator()
        self._should_retry = started["should_retry"]
        ti = RuntimeTaskInstance(self, started)
        self.task.rendered = {name: getattr(operator, name) for name in operator.template_fields}
        context = {
            "ti": ti,
            "task": operator,
            "dag_run": SimpleNamespace(
                clear_number=started["clear_number"], run_after=self.task.dag_run.run_after
            ),
            "task_state_store": StateStore(self),
        }
        limit = self.task.spec.execution_timeout
        if limit is not None:
            self.world.after(limit, self.process, self._time_out)
        try:
            if started["next_method"] is None:
                result = operator.execute(context)
            else:
                result = operator.resume_execution(started["next_method"], started["next_kwargs"], context)
            ti.xcom_push("return_value", result)
        except TaskDeferred as deferred:
            return "deferred", deferred
        except AirflowSkipException as error:
            return self._say("skipped", error), None
        except AirflowFailException as error:
            return self._say("failed", error), None
        except (Exception, AirflowTaskTimeout) as error:
            return self._say(self._failed(), error), None
        except Killed:
            raise
        except BaseException as error:
            self.escaped = error
            return self._say(self._failed(), error), None
        return "success", None

    def _failed(self) -> str:
        return "up_for_retry" if self._should_retry else "failed"

    def _time_out(self) -> None:
        def handler() -> None:
            if not self._over:
                raise AirflowTaskTimeout("Timeout")

        self.process.signal(handler)

    def _say(self, state: str, error: BaseException) -> str:
        self.error = type(error).__name__
        self.world.note(self.process.name, f"ends with {type(error).__name__}: {str(error)[:300]}")
        return state

    def _defer(self, deferred: TaskDeferred) -> None:
        classpath, kwargs = deferred.trigger.serialize()
        row = TriggerRow(self.database.next_id(), classpath, json.loads(json.dumps(kwargs)))
        timeout = None if deferred.timeout is None else deferred.timeout.total_seconds()
        self.ask(lambda: self.api.defer(self.task, self.id, row, deferred.method_name, timeout))

    def terminate(self) -> None:
        """SIGTERM to the task process: its handler calls ``on_kill``, and the task goes on."""

        def handler() -> None:
            self.world.note(self.process.name, "gets SIGTERM")
            if self._operator is None:
                raise Killed
            self._operator.on_kill()

        self.process.signal(handler)

    def evict(self) -> None:
        """The machine is taken away: SIGTERM, and some seconds later SIGKILL to everything."""
        self.terminate()
        self.world.after(30.0, None, self.kill_all)

    def kill_all(self) -> None:
        """SIGKILL to both processes, as a lost machine looks."""
        self.supervisor.kill()
        self.process.kill()

    def pause_all(self) -> None:
        """SIGSTOP to both."""
        self.supervisor.pause()
        self.process.pause()

    def go_on(self) -> None:
        """SIGCONT to both."""
        self.supervisor.go_on()
        self.process.go_on()

    # -- the supervisor

    def _beat(self) -> None:
        if not self.process.alive:
            return
        if self._operator is None:
            # The supervisor sends no heartbeat before Airflow has answered that the try may begin.
            self.world.after(HEARTBEAT, self.supervisor, self._beat)
            return
        self.world.current = self.supervisor
        try:
            self.api.call(lambda: self.api.heartbeat(self.task, self.id), self._beaten)
        finally:
            self.world.current = None

    def _beaten(self, result: Any) -> None:
        if isinstance(result, Refused):
            self._stop_task()
            return
        self._failed_heartbeats = self._failed_heartbeats + 1 if isinstance(result, Unreachable) else 0
        if self._failed_heartbeats >= MAX_FAILED:
            self._stop_task()
            return
        self.world.after(HEARTBEAT, self.supervisor, self._beat)

    def _stop_task(self) -> None:
        if self._terminated or not self.process.alive:
            return
        self._terminated = True
        self.terminate()
        self.world.after(GRACE, self.supervisor, self.process.kill)

    def _task_process_ended(self) -> None:
        if not self.supervisor.alive:
            return
        if self._reported:
            self.world.after(0.05, self.supervisor, self.supervisor.exit)
        else:
            self.world.after(0.5, self.supervisor, self._report_crash)

    def _report_crash(self) -> None:
        """A process that was killed is reported as failed, or for a retry, by its supervisor."""
        self.world.current = self.supervisor
        try:
            self.api.call(
                lambda: self.api.finish(self.task, self.id, self._failed()),
                lambda _result: self.supervisor.exit(),
            )
        finally:
            self.world.current = None

    def _supervisor_ended(self) -> None:
        """The executor hears that its worker is over, and tells the scheduler."""

        def event() -> None:
            task = self.task
            if task.try_number == self.try_number and task.state == "restarting":
                task.max_tries = task.try_number + task.spec.retries
                self.database.set_state(task, None)

        if self._reported or not self.process.alive:
            self.world.after(1.0, None, event)
