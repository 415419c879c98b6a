"""What all cases share: one Airflow on PostgreSQL, one sandbox, and fast queries on Airflow's tables."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from tests.chaos.catalog import catalog
from tests.rig.airflow import LocalAirflow
from tests.rig.processes import ManagedProcess, stop_all
from tests.rig.rest import NotFoundError
from tests.rig.waiting import eventually

DAGS = Path(__file__).with_name("dags") / "chaos.py"
TASK = "run"
TRIGGERER = "triggerer"
SPARE = "triggerer-2"

#: Time-outs after which Airflow considers a worker or a triggerer lost. Its defaults (300 s and 30 s) are longer.
LOST_AFTER = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}


def new_service() -> SandboxServer:
    """Return a sandbox with the suite's catalog, not started."""
    return SandboxServer(Sandbox(catalog=catalog()))


def connection(service: SandboxServer, **extra: object) -> dict[str, Any]:
    """Return the fields of a connection to a sandbox."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    return {**fields, "extra": extra} if extra else fields


class Stage:
    """The running Airflow, and the sandbox of its default connection.

    :param spare: a second triggerer that is not running yet, if there is one.
    """

    def __init__(
        self, airflow: LocalAirflow, service: SandboxServer, spare: ManagedProcess | None = None
    ) -> None:
        self.airflow = airflow
        self.service = service
        self._spare = spare
        self._engine = create_engine(airflow.database.url, pool_size=5, max_overflow=30)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def rows(self, dag_id: str, run_id: str, task_id: str = TASK) -> list[Mapping[str, Any]]:
        """Return state, try_number, max_tries and map_index of a task's instances, from the database."""
        query = text(
            "SELECT state, try_number, max_tries, map_index, trigger_id FROM task_instance "
            "WHERE dag_id = :dag_id AND run_id = :run_id AND task_id = :task_id"
        )
        wanted = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}
        with self._engine.connect() as link:
            found = link.execute(query, wanted).mappings().all()
        return [dict(row) for row in found]

    def triggerer_of(self, dag_id: str, run_id: str) -> int | None:
        """Return the id of the triggerer job that runs the task's trigger; None if there is none."""
        query = text(
            "SELECT t.triggerer_id FROM task_instance i JOIN trigger t ON t.id = i.trigger_id "
            "WHERE i.dag_id = :dag_id AND i.run_id = :run_id AND i.task_id = :task_id"
        )
        wanted = {"dag_id": dag_id, "run_id": run_id, "task_id": TASK}
        with self._engine.connect() as link:
            found = link.execute(query, wanted).scalar()
        return None if found is None else int(found)

    def xcom(self, dag_id: str, run_id: str, key: str, map_index: int = -1) -> Any:
        """Return an XCom of the task; None if there is none."""
        try:
            return self.airflow.xcom(dag_id, run_id, TASK, key, map_index)
        except NotFoundError:
            return None

    def set_pool(self, name: str, slots: int) -> None:
        """Create a pool, or change its slots; deferred tasks do not count."""
        body = {"name": name, "slots": slots, "include_deferred": False}
        try:
            self.airflow.rest.get(f"/pools/{name}")
        except NotFoundError:
            self.airflow.rest.post("/pools", body)
        else:
            self.airflow.rest.request("PATCH", f"/pools/{name}", params={"update_mask": "slots"}, body=body)

    @property
    def triggerer(self) -> ManagedProcess:
        """The triggerer that is started first."""
        return self.airflow.processes[TRIGGERER]

    def kill_triggerer(self, sig: signal.Signals) -> None:
        """End the triggerer: SIGKILL goes to all its processes, any other signal to the main process."""
        self.triggerer.kill(sig, scope="group" if sig == signal.SIGKILL else "process")
        self.triggerer.wait(60)

    def start_triggerer(self) -> None:
        """Start the triggerer again, and wait until it is ready."""
        _start(self.triggerer)

    @contextmanager
    def second_triggerer(self) -> Iterator[None]:
        """Run the spare triggerer as well."""
        if self._spare is None:
            raise RuntimeError("this Airflow has no spare triggerer")
        # Processes in this list are stopped on exit, even after an error.
        self.airflow.processes[SPARE] = self._spare
        _start(self._spare)
        yield
        stop_all([self.airflow.processes.pop(SPARE)])


def _start(process: ManagedProcess) -> None:
    seen = process.log_path.stat().st_size if process.log_path.exists() else 0
    process.start()

    def at_work() -> bool:
        process.check_running()
        return "Starting the triggerer" in process.log_path.read_text(errors="replace")[seen:]

    eventually(at_work, 60, f"{process.name} at work", state=process.log_tail)
