"""Airflow's scheduler and executor: which task instance gets a worker, which worker is taken for lost."""

from __future__ import annotations

from typing import Any

from airflow_provider_testerarmy import listener
from tests.simulation.apiserver import NamedDagRun
from tests.simulation.database import TERMINAL, Database, TaskInstance
from tests.simulation.kernel import Process, World

#: Seconds between two rounds of the scheduler.
TICK = 1.0
#: Seconds between two checks of deferrals whose time is over.
TIMEOUT_CHECK = 15.0


class Scheduler:
    """One scheduler process.

    :param start_worker: begins a worker for a queued task instance.
    :param lost_after: seconds without a heartbeat after which a running task's worker is taken for lost.
    """

    def __init__(
        self, world: World, database: Database, start_worker: Any, lost_after: float, name: str = "scheduler"
    ) -> None:
        self.world = world
        self.database = database
        self.start_worker = start_worker
        self.lost_after = lost_after
        self.process = Process(world, name, "scheduler")
        self._chance = world.stream(f"scheduling {name}")
        self._checked = 0.0
        world.after(self._chance.uniform(0.1, TICK), self.process, self._tick)

    def _tick(self) -> None:
        self.world.steps["scheduler"] += 1
        self.world.current = self.process
        try:
            for dag_run in self.database.dag_runs:
                if dag_run.state == "queued":
                    dag_run.state = "running"
                if dag_run.state == "running":
                    for task in dag_run.tasks:
                        self._look_at(task)
                    self._finish(dag_run)
        finally:
            self.world.current = None
        # Rounds in which there is nothing to do cost a simulation as much as others.
        rest = (
            TICK if any(each.state in ("queued", "running") for each in self.database.dag_runs) else 4 * TICK
        )
        self.world.after(self._chance.uniform(0.7, 1.3) * rest, self.process, self._tick)

    def _look_at(self, task: TaskInstance) -> None:
        now = self.world.now
        if task.state is None or (
            task.state == "up_for_retry" and now >= task.end_date + task.spec.retry_delay
        ):
            self._schedule(task)
        elif task.state == "scheduled":
            self._queue(task)
        elif task.state in ("running", "restarting") and now - task.heartbeat > self.lost_after:
            self._lost(task)
        elif task.state == "queued" and now - task.heartbeat > self.lost_after:
            # The worker was lost before it began: the executor's event puts it back.
            self.database.set_state(task, "scheduled")
            self._queue(task)
        elif task.state == "deferred" and task.trigger_timeout is not None and now > task.trigger_timeout:
            self._time_out(task)

    def _schedule(self, task: TaskInstance) -> None:
        """Begin with another try."""
        if self.database.paused_dag:
            return
        task.try_number += 1
        self.database.set_state(task, "scheduled")
        self._queue(task)

    def _queue(self, task: TaskInstance) -> None:
        if self.database.paused_dag:
            return
        self.database.set_state(task, "queued")
        task.heartbeat = self.world.now
        delay, id_ = self._chance.uniform(0.2, 1.5), task.id
        # Executors are processes of their own: what is queued is run, whatever becomes of the scheduler.
        self.world.after(delay, None, lambda: self.start_worker(task, id_))

    def _lost(self, task: TaskInstance) -> None:
        self.database.fail_or_retry(task)
        listener.on_task_instance_failed(previous_state="running", task_instance=task.as_listener_sees_it())

    def _time_out(self, task: TaskInstance) -> None:
        if self.world.now - self._checked < TIMEOUT_CHECK:
            return
        self._checked = self.world.now
        self.database.leave_deferral(task)
        task.next_method, task.next_kwargs = "__fail__", {"error": "Trigger timeout"}
        self.database.set_state(task, "scheduled")

    def _finish(self, dag_run: Any) -> None:
        states = {task.state for task in dag_run.tasks}
        if not states <= TERMINAL:
            return
        dag_run.state = "failed" if "failed" in states else "success"
        hook = listener.on_dag_run_failed if dag_run.state == "failed" else listener.on_dag_run_success
        hook(dag_run=NamedDagRun(dag_run.run_id))
