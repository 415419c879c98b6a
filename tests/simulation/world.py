"""A whole simulated world: Airflow's processes, the vendor, users, and the incidents of a plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from airflow_provider_testerarmy.triggers import watchers
from tests.simulation.apiserver import ApiServer
from tests.simulation.database import TERMINAL, DagRun, Database, TaskInstance, TaskSpec
from tests.simulation.kernel import Process, World
from tests.simulation.network import Fault, Network, Sent
from tests.simulation.patches import installed
from tests.simulation.plan import Incident, Plan, PlannedTask, id_of_group, id_of_test
from tests.simulation.scheduler import Scheduler
from tests.simulation.triggerer import Triggerer
from tests.simulation.upgrade import downgrade
from tests.simulation.vendor import KEY, ORIGIN, Vendor
from tests.simulation.worker import Worker

#: Seconds after which a world ends, whatever still waits in it.
HORIZON = 8_000.0
#: Seconds for which a world goes on once everything has ended: what is left behind shows then.
CALM = 150.0


@dataclass(slots=True)
class Deed:
    """What a user did to a task, for the judge."""

    at: float
    what: str
    task: str


@dataclass(slots=True)
class Outcome:
    """What a world has come to, as the judge reads it."""

    plan: Plan
    world: World
    vendor: Vendor
    database: Database
    triggerers: list[Triggerer]
    workers: list[Worker]
    faults: list[Fault]
    sent: list[Sent]
    deeds: list[Deed] = field(default_factory=list)
    #: The time from which on nothing was out of order.
    calm_since: float = 0.0


class Simulation:
    """Runs one plan."""

    def __init__(self, plan: Plan, *, keep_history: bool = False) -> None:
        self.plan = plan
        self.world = world = World(plan.seed, keep_history=keep_history)
        self.vendor = Vendor(world, plan.tests, plan.groups, skew=plan.vendor_skew, date_skew=plan.date_skew)
        self.vendor.list_lag = plan.list_lag
        self.network = Network(world, self.vendor)
        self.database = Database(world)
        self.database.connections["testerarmy_default"] = _connection(KEY)
        self.api = ApiServer(world, self.database)
        self.workers: list[Worker] = []
        self.schedulers = [self._new_scheduler(number) for number in range(plan.schedulers)]
        self.triggerers: list[Triggerer] = []
        for _ in range(plan.triggerers):
            self._new_triggerer()
        self.outcome = Outcome(
            plan,
            world,
            self.vendor,
            self.database,
            self.triggerers,
            self.workers,
            self.network.faults,
            self.network.submissions,
        )
        with installed(world, self.database, self.network):
            self._add_tasks()
        for incident in plan.incidents:
            self._arm(incident)

    def _add_tasks(self) -> None:
        dag_runs: dict[str, DagRun] = {}
        for planned in self.plan.tasks:
            if planned.dag_run not in dag_runs:
                dag_runs[planned.dag_run] = DagRun(planned.dag_run)
                self.database.dag_runs.append(dag_runs[planned.dag_run])
            spec = _spec(planned)
            if planned.kind == "sensor":
                spec.parameters["run_ids"] = [self.vendor.start_foreign(id_of_test(planned.target), "api")]
            self.database.add_task(dag_runs[planned.dag_run], spec)

    def _new_scheduler(self, number: int) -> Scheduler:
        lost_after = self.plan.worker_lost_after
        return Scheduler(self.world, self.database, self._start_worker, lost_after, f"scheduler-{number}")

    def _start_worker(self, task: TaskInstance, id_: int) -> None:
        if task.id != id_ or task.state != "queued":
            return
        skew = self.plan.worker_skew if len(self.workers) % 2 else 0.0
        self.workers.append(Worker(self.world, self.database, self.api, task, id_, skew))

    def run(self) -> Outcome:
        """Let the world live until everything in it has ended and stayed so."""
        world = self.world
        with ExitStack() as stack:
            stack.enter_context(installed(world, self.database, self.network))
            try:
                while world.now < HORIZON:
                    world.run(HORIZON, self._is_settled)
                    began = world.now
                    world.run(began + CALM)
                    if self._is_settled():
                        break
            finally:
                self._end()
        return self.outcome

    def _is_settled(self) -> bool:
        return (
            self.world.now > self.outcome.calm_since
            and not self._pending()
            and all(task.state in TERMINAL for task in self.database.tasks)
        )

    def _pending(self) -> bool:
        return any(incident.at > self.world.now for incident in self.plan.incidents if not incident.role)

    def _end(self) -> None:
        for process in self.world.processes:
            if process.role != "triggerer":
                process.alive = False
                for thread in process.threads:
                    thread.unwind()

    def bury(self) -> None:
        """Let go of what the triggerers' loops still hold."""
        for triggerer in self.triggerers:
            triggerer.process.alive = False
            triggerer.loop.bury()
            # A loop's watchers refer to it, which keeps both for the life of a real triggerer.
            watchers._by_loop.pop(triggerer.loop, None)

    # -- incidents

    def _arm(self, incident: Incident) -> None:
        act = self._acts()[incident.what]

        def happen() -> None:
            self.world.note("incident", str(incident))
            act(**incident.details)
            self._not_calm_before(self.world.now)

        if incident.role:
            self.world.watches.append((incident.role, int(incident.at), happen))
        else:
            self.world.after(incident.at, None, happen)

    def _not_calm_before(self, when: float) -> None:
        self.outcome.calm_since = max(self.outcome.calm_since, when)

    def _acts(self) -> dict[str, Callable[..., None]]:
        return {
            "kill_worker": lambda: self._each_worker(Worker.kill_all),
            "kill_task": lambda: self._each_worker(lambda worker: worker.process.kill()),
            "kill_supervisor": lambda: self._each_worker(lambda worker: worker.supervisor.kill()),
            "evict": lambda: self._each_worker(Worker.evict),
            "pause_worker": self._pause_worker,
            "kill_triggerer": self._kill_triggerer,
            "pause_triggerer": self._pause_triggerer,
            "stop_triggerers": self._stop_triggerers,
            "kill_api": self._kill_api,
            "pause_scheduler": self._pause_scheduler,
            "kill_scheduler": self._kill_scheduler,
            "slow_api": self._slow_api,
            "upgrade": lambda: downgrade(self.database),
            "mark_failed": lambda which: self._user("mark_failed", which),
            "mark_success": lambda which: self._user("mark_success", which),
            "clear": lambda which: self._user("clear", which),
            "clear_other": self._clear_other,
            "fail_dag_run": self._fail_dag_run,
            "edit_retries": self._edit_retries,
            "edit_target": self._edit_target,
            "rotate_key": self._rotate_key,
            "lose_connection": self._lose_connection,
            "foreign_run": lambda source: self.vendor.start_foreign(id_of_test(1), source),
            "fault": self._fault,
            "full_database": self._full_database,
            "pause_dag": self._pause_dag,
        }

    def _each_worker(self, act: Callable[[Worker], None]) -> None:
        living = [worker for worker in self.workers if worker.process.alive]
        # It takes Airflow as long to notice.
        self._not_calm_before(self.world.now + 2 * self.plan.worker_lost_after)
        if living:
            act(self.world.stream("victims").choice(living))

    def _pause_worker(self, seconds: float) -> None:
        def act(worker: Worker) -> None:
            worker.pause_all()
            self._later(seconds, worker.go_on)

        self._each_worker(act)

    def _living_triggerer(self) -> Triggerer | None:
        living = [each for each in self.triggerers if each.process.alive and not each.process.paused]
        return self.world.stream("victims").choice(living) if living else None

    def _kill_triggerer(self) -> None:
        if (victim := self._living_triggerer()) is not None:
            victim.process.kill()
            self._later(5.0, self._new_triggerer)

    def _stop_triggerers(self, seconds: float) -> None:
        for triggerer in self.triggerers:
            triggerer.process.kill()
        self._later(seconds, self._new_triggerer)

    def _new_triggerer(self) -> None:
        name, lost_after = f"triggerer-{len(self.triggerers)}", self.plan.triggerer_lost_after
        self.triggerers.append(Triggerer(self.world, self.database, name, lost_after))

    def _pause_triggerer(self, seconds: float) -> None:
        if (victim := self._living_triggerer()) is not None:
            victim.process.pause()
            self._later(seconds, victim.process.go_on)

    def _kill_api(self) -> None:
        self.api.process.kill()
        self._later(4.0, self._new_api)

    def _new_api(self) -> None:
        self.api.process = Process(self.world, "api-server", "api")

    def _pause_scheduler(self, seconds: float) -> None:
        victim = self.world.stream("victims").choice(self.schedulers).process
        victim.pause()
        self._later(seconds, victim.go_on)

    def _kill_scheduler(self) -> None:
        self.world.stream("victims").choice(self.schedulers).process.kill()
        self._later(3.0, lambda: self.schedulers.append(self._new_scheduler(len(self.schedulers))))

    def _slow_api(self, seconds: float) -> None:
        self._set_slow(True)
        self._later(seconds, lambda: self._set_slow(False))

    def _set_slow(self, slow: bool) -> None:
        self.api.slowness = 3.0 if slow else 0.0
        self.database.slow = slow

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._not_calm_before(self.world.now + seconds)
        self.world.after(seconds, None, act)

    def _task(self, which: int) -> TaskInstance:
        tasks = self.database.tasks
        return tasks[which % len(tasks)]

    def _user(self, what: str, which: int) -> None:
        task = self._task(which)

        def act() -> None:
            self.outcome.deeds.append(Deed(self.world.now, what, task.name))
            if what == "clear":
                self.api.clear(task)
            else:
                self.api.mark(task, what.removeprefix("mark_"))

        self.api.user(act)

    def _clear_other(self) -> None:
        """Something else in the DAG run is cleared."""
        self.database.dag_runs[0].clear_number += 1
        self.outcome.deeds.append(Deed(self.world.now, "clear_other", self.database.dag_runs[0].run_id))

    def _fail_dag_run(self) -> None:
        dag_run = self.database.dag_runs[0]

        def act() -> None:
            for task in dag_run.tasks:
                if task.state not in TERMINAL:
                    self.outcome.deeds.append(Deed(self.world.now, "mark_failed", task.name))
            self.api.mark_dag_run(dag_run, "failed")

        self.api.user(act)

    def _edit_retries(self, retries: int) -> None:
        for task in self.database.tasks:
            task.spec.retries = retries
            self.outcome.deeds.append(Deed(self.world.now, "edit", task.name))

    def _edit_target(self, which: int) -> None:
        task = self._task(which)
        if "test_id" in task.spec.parameters:
            task.spec.parameters["test_id"] = id_of_test(2)
            self.outcome.deeds.append(Deed(self.world.now, "edit", task.name))

    def _rotate_key(self, overlap: float) -> None:
        self.vendor.keys.add("sk_second")
        fields = _connection("sk_second")
        delay = max(0.0, -overlap)
        self._later(delay, lambda: self.database.connections.update(testerarmy_default=fields))
        self._later(max(0.0, overlap), lambda: self.vendor.keys.discard(KEY))

    def _lose_connection(self, seconds: float) -> None:
        fields = self.database.connections.pop("testerarmy_default", None)
        if fields is not None:
            self._later(seconds, lambda: self.database.connections.setdefault("testerarmy_default", fields))

    def _full_database(self, seconds: float) -> None:
        self.database.full = True
        self._later(seconds, lambda: setattr(self.database, "full", False))

    def _pause_dag(self, seconds: float) -> None:
        self.database.paused_dag = True
        self._later(seconds, lambda: setattr(self.database, "paused_dag", False))

    def _fault(self, kind: str, match: str, times: int, lasting: float, **more: Any) -> None:
        now = self.world.now
        self.network.faults.append(Fault(kind, match, now, now + lasting, times, **more))
        self._not_calm_before(now + lasting + more.get("seconds", 0.0) + (more.get("retry_after") or 0.0))


def _connection(key: str) -> dict[str, Any]:
    extra = '{"allow_http": true}'
    return {
        "conn_type": "testerarmy",
        "host": ORIGIN,
        "password": key,
        "schema": "",
        "port": None,
        "extra": extra,
        "extra_dejson": {"allow_http": True},
        "login": None,
    }


def _spec(planned: PlannedTask) -> TaskSpec:
    parameters: dict[str, Any] = {
        "deferrable": planned.deferrable,
        "timeout": planned.timeout,
        "max_outage": planned.max_outage,
    }
    if planned.poll_interval is not None:
        parameters["poll_interval"] = planned.poll_interval
    if planned.kind != "sensor":
        parameters["retry_failed_tests"] = planned.retry_failed_tests
    if planned.confirm:
        parameters["gate"] = {"confirm": {"times": 2, "of": 2, "unless_failing": 1.0}}
    if planned.kind == "sensor":
        make: Any = TesterArmyRunSensor
    elif planned.kind == "group":
        make = TesterArmyRunGroupOperator
        parameters["group_id"] = id_of_group(planned.target)
        parameters["stop_after_failures"] = planned.stop_after
        if planned.address:
            parameters["target_url"] = "https://preview.acme.example/"
    else:
        make = TesterArmyRunTestOperator
        parameters["test_id"] = id_of_test(planned.target)
    spec = TaskSpec(planned.task_id, make, parameters, planned.retries, planned.retry_delay)
    spec.map_index = planned.map_index
    spec.execution_timeout = planned.execution_timeout
    return spec
