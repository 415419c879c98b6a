"""A scheduler and a triggerer of Airflow 2.11 on PostgreSQL, and a sandbox that its connection leads to.

The rig of the other suites speaks the API of Airflow 3. What a user does there is done here by the functions that
the pages of Airflow 2 call.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from tests.chaos.catalog import case_test
from tests.chaos.stage import connection, new_service
from tests.rig import procfs
from tests.rig.processes import ManagedProcess, stop_all
from tests.rig.settings import REPOSITORY, base_environment, connection_variables
from tests.rig.waiting import eventually

DATABASE_VARIABLE = "TESTERARMY_TEST_DATABASE_URL"
USUAL_DATABASE = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
DAGS = Path(__file__).with_name("dags")
TASK = "run"

_USER = {
    "mark": (
        "from airflow.models import DagBag\n"
        "dag = DagBag({dags!r}).get_dag({dag_id!r})\n"
        "dag.set_task_instance_state(task_id='run', run_id={run_id!r}, state={state!r}, commit=True)\n"
    ),
    "clear": (
        "from airflow.models import DagBag, DagRun\n"
        "from airflow.utils.session import create_session\n"
        "dag = DagBag({dags!r}).get_dag({dag_id!r})\n"
        "with create_session() as session:\n"
        "    [run] = DagRun.find(dag_id={dag_id!r}, run_id={run_id!r}, session=session)\n"
        "    day = run.execution_date\n"
        "    dag.clear(task_ids=['run'], start_date=day, end_date=day, session=session)\n"
    ),
}


class Airflow2:
    """The running Airflow; each DAG run has a test of its own, whose runs the sandbox counts.

    :param home: AIRFLOW_HOME.
    :param service: the running sandbox.
    :param database_url: an empty database.
    """

    def __init__(self, home: Path, service: SandboxServer, database_url: str) -> None:
        self._service = service
        self._engine = create_engine(database_url)
        self._env = base_environment(home) | {
            "AIRFLOW_HOME": str(home),
            "PYTHONPATH": str(REPOSITORY),
            "NO_PROXY": "*",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
            # A lost worker is noticed after seconds; the default is minutes.
            "AIRFLOW__SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "3",
        }
        self._env |= connection_variables({"testerarmy_default": connection(service)})
        self._log = home / "commands.log"
        self.scheduler, self.triggerer = (self._process(home, name) for name in ("scheduler", "triggerer"))

    def _process(self, home: Path, name: str) -> ManagedProcess:
        command = [sys.executable, "-m", "airflow", name, "--skip-serve-logs"]
        return ManagedProcess(name, command, self._env, home / f"{name}.log")

    def start(self) -> None:
        """Make the tables, start both processes and wait until the DAGs are there."""
        self._call("-m", "airflow", "db", "migrate")
        self.scheduler.start()
        self.triggerer.start()
        both = "SELECT dag_id FROM serialized_dag"
        eventually(lambda: len(self._query(both)) == 2, 90, "both DAGs", state=self.scheduler.log_tail)

    def stop(self) -> None:
        """Stop both processes, and the tasks they run."""
        stop_all([self.scheduler, self.triggerer])
        self._engine.dispose()

    def _call(self, *arguments: str) -> None:
        with self._log.open("ab") as log:
            subprocess.run([sys.executable, *arguments], env=self._env, check=True, stdout=log, stderr=log)

    def _query(self, query: str, **values: object) -> list[Any]:
        with self._engine.connect() as link:
            return list(link.execute(text(query), values).all())

    # -- what a user does

    def trigger(self, dag_id: str, number: int) -> str:
        """Start a DAG run whose test runs without end; returns the run's id once the test is started."""
        run_id = f"run-{number}-{uuid.uuid4().hex[:8]}"
        self._service.control.store.override_script(case_test(number), "endless")
        conf = json.dumps({"test_id": case_test(number)})
        self._call("-m", "airflow", "dags", "trigger", dag_id, "--run-id", run_id, "--conf", conf)
        wanted = "deferred" if dag_id == "deferrable" else "running"
        eventually(lambda: self.state(run_id)[0] == wanted and self.runs(number), 60, f"{run_id} {wanted}")
        return run_id

    def act(self, what: str, dag_id: str, run_id: str, state: str = "") -> None:
        """Mark or clear the task, as the pages of Airflow do."""
        code = _USER[what].format(dags=str(DAGS), dag_id=dag_id, run_id=run_id, state=state)
        self._call("-c", code)

    def kill_worker(self, run_id: str) -> None:
        """SIGKILL everything of a task."""
        # Airflow 2 puts the task's whole command, and so the run's id, into the title of each of its processes.
        mine = [each.pid for each in procfs.processes() if run_id in each.command_line]
        assert mine, "no process of the task"
        for pid in mine:
            os.kill(pid, signal.SIGKILL)

    # -- what there is to see

    def state(self, run_id: str) -> tuple[str, int]:
        """State and try number of the task."""
        found = self._query(
            "SELECT state, try_number FROM task_instance WHERE run_id = :run_id", run_id=run_id
        )
        return tuple(found[0]) if found else ("", 0)

    def ends_well(self, run_id: str, number: int) -> None:
        """Let what is active pass, and wait until the task has succeeded."""
        for active in self.active(number):
            self._service.control.store.force(active, script="passes")
        eventually(lambda: self.state(run_id)[0] == "success", 120, f"{run_id} success")

    def records(self) -> int:
        """How many records of tasks the Variables hold."""
        return len(self._query("SELECT key FROM variable WHERE key LIKE 'testerarmy_runs%'"))

    def runs(self, number: int) -> list[str]:
        """The ids of the runs of a test, in the order in which they were started."""
        runs = self._service.control.store.runs.values()
        return [run.id for run in runs if run.test and run.test.id == case_test(number)]

    def active(self, number: int) -> list[str]:
        """Those that have not ended."""
        active = self._service.control.store.active_run_ids()
        return [run_id for run_id in self.runs(number) if run_id in active]


@contextmanager
def new_database() -> Iterator[str]:
    """An empty database on the PostgreSQL server, dropped at the end."""
    server = make_url(os.environ.get(DATABASE_VARIABLE, USUAL_DATABASE))
    name = f"testerarmy_airflow2_{uuid.uuid4().hex[:8]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as link:
        link.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as link:
            link.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@contextmanager
def running_airflow(home: Path) -> Iterator[Airflow2]:
    """Airflow 2.11 with its sandbox; everything is stopped at the end."""
    with new_database() as url, new_service() as service:
        airflow = Airflow2(home, service, url)
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()
