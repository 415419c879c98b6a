"""Airflow's API server: what workers ask of it, and what users do through it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow_provider_testerarmy import listener
from tests.simulation.database import TERMINAL, DagRun, Database, TaskInstance
from tests.simulation.kernel import Process, World


class Refused(RuntimeError):
    """The API server says no: the task instance is another try's by now, or not running."""


class Unreachable(RuntimeError):
    """The API server did not answer in time."""


#: Seconds of a usual way there and back, and for which a worker's supervisor repeats a request.
LATENCY = (0.005, 0.03)
PATIENCE = 60.0


class ApiServer:
    """One API server, in a process of its own that can be killed and paused.

    :param restart: begins a new process in place of a killed one.
    """

    def __init__(self, world: World, database: Database) -> None:
        self.world = world
        self.database = database
        self.process = Process(world, "api-server", "api")
        #: Seconds that each answer takes longer than usual.
        self.slowness = 0.0

    def call(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Ask from the running process; `done` gets the result, or the exception."""
        world, client = self.world, self.world.process
        chance, began = world.stream(f"api {client.name}"), world.now

        def send() -> None:
            server = self.process
            answered: list[bool] = []

            def serve() -> None:
                before, world.current = world.current, server
                try:
                    result: Any = work()
                except Refused as error:
                    result = error
                finally:
                    world.current = before
                answered.append(True)
                world.after(chance.uniform(*LATENCY) + self.slowness, client, lambda: done(result))

            def repeat() -> None:
                if answered:
                    return
                if world.now - began > PATIENCE:
                    done(Unreachable("the API server does not answer"))
                elif not server.alive:
                    send()
                else:
                    world.after(5.0, client, repeat)

            world.after(chance.uniform(*LATENCY), server, serve)
            world.after(5.0, client, repeat)

        send()

    def ask(self, work: Callable[[], Any]) -> Any:
        """Ask from a thread of the running process, which waits for the answer.

        :raises Refused, Unreachable: as the server does.
        """
        result = self.world.wait_for(lambda done: self.call(work, done))
        if isinstance(result, Exception):
            raise result
        return result

    # -- what a worker asks; each runs in the server, in one step

    def run(self, task: TaskInstance, id_: int) -> dict[str, Any]:
        """A worker begins with a try."""
        if task.id != id_ or task.state not in ("queued", "restarting"):
            raise Refused(f"{task.name} is {task.state}")
        self.database.set_state(task, "running")
        task.heartbeat = self.world.now
        if task.next_method is None:
            task.xcoms = {}
            task.start_date = self.world.now
        context = {
            "try_number": task.try_number,
            "max_tries": task.max_tries,
            "should_retry": task.should_retry,
            "start_date": self.world.now,
            "clear_number": task.dag_run.clear_number,
            "next_method": task.next_method,
            "next_kwargs": task.next_kwargs,
        }
        task.next_method = task.next_kwargs = None
        return context

    def heartbeat(self, task: TaskInstance, id_: int) -> None:
        """A supervisor says that its task is alive."""
        if task.id != id_ or task.state != "running":
            raise Refused(f"{task.name} is {task.state}")
        task.heartbeat = self.world.now

    def finish(self, task: TaskInstance, id_: int, state: str) -> None:
        """A worker reports the end of a try."""
        if task.id != id_ or task.state != "running":
            raise Refused(f"{task.name} is {task.state}")
        if state == "up_for_retry":
            self.database.try_again(task)
        else:
            self.database.set_state(task, state)

    def defer(self, task: TaskInstance, id_: int, row: Any, method: str, timeout: float | None) -> None:
        """A worker hands the wait over to a trigger."""
        if task.id != id_ or task.state != "running":
            raise Refused(f"{task.name} is {task.state}")
        self.database.triggers[row.id] = task.trigger = row
        task.next_method = method
        task.trigger_timeout = None if timeout is None else self.world.now + timeout
        self.database.set_state(task, "deferred")

    def store_set(self, task: TaskInstance, id_: int, key: str, value: Any) -> None:
        """Store something with the task; a try that another one has followed is refused."""
        if task.id != id_:
            raise Refused("the task instance is not found")
        if self.database.full:
            raise Refused("the database is full")
        task.store[key] = json.loads(json.dumps(value))

    def state_of(self, task: TaskInstance) -> str | None:
        """The state of a task, whoever asks."""
        return task.state

    def set_variable(self, key: str, value: str) -> None:
        """Write an Airflow Variable."""
        if self.database.full:
            raise Refused("the database is full")
        self.database.variables[key] = value

    # -- what users do

    def mark(self, task: TaskInstance, state: str) -> None:
        """A user marks a task instance; listeners are called without a previous state."""
        if task.state == state:
            return
        task.next_method = task.next_kwargs = None
        self.database.set_state(task, state, "user")
        self._tell(state, task)

    def _tell(self, state: str, task: TaskInstance) -> None:
        hook = {
            "failed": listener.on_task_instance_failed,
            "success": listener.on_task_instance_success,
            "skipped": listener.on_task_instance_skipped,
        }[state]
        hook(previous_state=None, task_instance=task.as_listener_sees_it())

    def clear(self, task: TaskInstance) -> None:
        """A user clears a task instance."""
        dag_run = task.dag_run
        dag_run.clear_number += 1
        if dag_run.state != "running":
            dag_run.state = "queued"
        if task.state == "running":
            task.id = self.database.next_id()
            self.database.set_state(task, "restarting", "user")
            return
        self.database.new_try(task)
        task.max_tries = task.try_number + task.spec.retries
        self.database.set_state(task, None, "user")

    def mark_dag_run(self, dag_run: DagRun, state: str) -> None:
        """A user marks a whole DAG run."""
        for task in dag_run.tasks:
            if task.state not in TERMINAL:
                self.mark(task, state if task.state in ("running", "deferred") else "skipped")
        dag_run.state = state
        hook = listener.on_dag_run_failed if state == "failed" else listener.on_dag_run_success
        hook(dag_run=NamedDagRun(dag_run.run_id))

    def user(self, work: Callable[[], None]) -> None:
        """Let a user do something: it happens in the API server's process, when that is there."""

        def act() -> None:
            before, self.world.current = self.world.current, self.process
            try:
                work()
            finally:
                self.world.current = before

        self.world.after(0.0, self.process, act)


class NamedDagRun:
    """A DAG run as listeners get it."""

    dag_id = "dag"

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
