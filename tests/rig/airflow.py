"""A real Airflow on this machine: its processes, its database, and methods to control them in tests."""

import atexit
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.rig import database, procfs
from tests.rig.api import AirflowApi, Json
from tests.rig.processes import ManagedProcess, ProcessDiedError, stop_all
from tests.rig.rest import RestClient, RestError, UnavailableError
from tests.rig.settings import REPOSITORY, Connection, Secrets, Settings, connection_variables
from tests.rig.waiting import TimedOutError, eventually

_DEFINES_DAG = re.compile(r"\bDAG\(|@dag\b|@asset\b")
# All four processes need seconds of CPU time to start. With few cores, the others start one after the other, so
# that the API server keeps a core: it takes as long as the other three together.
_CORES_FOR_ALL_AT_ONCE = 4
_JOB_TYPES = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}


class DagImportError(RuntimeError):
    """A DAG file could not be imported."""


@dataclass(frozen=True)
class WorkerProcess:
    """A running task: the process that runs the operator, and its supervisor."""

    pid: int
    supervisor_pid: int
    run_id: str
    map_index: int
    try_number: int

    def kill(self, sig: int = signal.SIGKILL) -> None:
        """Send a signal to the process that runs the operator."""
        signal_process(self.pid, sig)

    def kill_supervisor(self, sig: int = signal.SIGKILL) -> None:
        """Send a signal to the supervisor, which sends the heartbeats."""
        signal_process(self.supervisor_pid, sig)


class LocalAirflow(AirflowApi):
    """An Airflow 3 with API server, scheduler, DAG processor and triggerer as separate processes.

    Use it as a context manager. Entering starts it and waits until every DAG is parsed. Leaving stops every
    process, including those of running tasks, and drops the database.

    Args:
        dags: the DAG folder, or files to copy into one.
        home: AIRFLOW_HOME, which is kept. By default a temporary directory, which is removed unless a test fails.
        database_url: a URL of a PostgreSQL server whose user may create databases. By default SQLite, which fails
            with "database is locked" if many tasks run at once.
        executor: "LocalExecutor" or "CeleryExecutor" (needs PostgreSQL and Redis).
        schedulers: number of schedulers. More than one needs PostgreSQL.
        triggerers: number of triggerers.
        workers: number of Celery workers.
        broker_url: the Celery broker.
        parallelism: the most tasks that run at once.
        connections: Airflow connections by id, each a URI or a mapping of fields. They become AIRFLOW_CONN_*.
        env: further environment variables for every process. They override those of the rig.
        users: role (admin, op, user, viewer) by user name. All have the password `self.password`. The REST methods
            act as the first user.
        port: the port of the API server, by default a free one.
        ready_timeout: seconds to wait for readiness on entering.
    """

    def __init__(
        self,
        dags: Path | Sequence[Path],
        *,
        home: Path | None = None,
        database_url: str | None = None,
        executor: str = "LocalExecutor",
        schedulers: int = 1,
        triggerers: int = 1,
        workers: int = 2,
        broker_url: str = "redis://127.0.0.1:6379/0",
        parallelism: int = 8,
        connections: Mapping[str, Connection] | None = None,
        env: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        port: int | None = None,
        ready_timeout: float = 120,
    ) -> None:
        self._temporary = home is None
        self.home = (home or Path(tempfile.mkdtemp(prefix="airflow-rig-"))).resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        self.dags_folder = _dags_folder(dags, self.home)
        self.secrets = Secrets.of_home(self.home)
        self.users = dict(users or {"admin": "admin", "viewer": "viewer"})
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready_timeout = ready_timeout
        self.database = database.database(database_url, self.home)
        settings = Settings(
            home=self.home,
            dags_folder=self.dags_folder,
            database_url=self.database.url,
            port=self.port,
            executor=executor,
            parallelism=parallelism,
            users=self.users,
            broker_url=broker_url,
            queue=f"rig-{secrets.token_hex(4)}",
            connections=connections or {},
            extra=env or {},
        )
        self.env = settings.environment(self.secrets)
        celery_workers = workers if "Celery" in executor else 0
        self.processes = self._processes(schedulers, triggerers, celery_workers)
        super().__init__(RestClient(self.url, next(iter(self.users)), self.password))

    @property
    def password(self) -> str:
        """The password of every user."""
        return self.secrets.password

    # start and stop

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            error.add_note(f"Logs of this Airflow: {self.home / 'logs'}")
        elif self._temporary:
            shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        """Prepare the database and start every process, without waiting until they are ready."""
        atexit.register(self.stop)
        (self.home / "airflow.cfg").touch()  # or else all processes write one at the same time
        self.database.prepare(
            lambda url: database.run_migration(url, self.env, self._process_log("db-migrate"))
        )
        self.processes["api-server"].start()
        threading.Thread(target=self._warm_up, daemon=True).start()
        for process in self.processes.values():
            if not process.running:
                process.start()
            if process.name in _JOB_TYPES and (os.cpu_count() or 1) < _CORES_FOR_ALL_AT_ONCE:
                self._await_start(process)

    def stop(self, grace: float = 4) -> None:
        """Stop every process (SIGTERM, then SIGKILL after `grace` seconds) and drop the database."""
        atexit.unregister(self.stop)
        self.rest.close()
        if self.processes["api-server"].running:
            # It keeps no state, and a normal shutdown takes seconds.
            self.processes["api-server"].kill()
        # A scheduler waits for its running tasks, but these cannot finish without an API server.
        stop_all(self.processes.values(), grace=min(grace, 1) if self._tasks_at_work() else grace)
        self.database.drop()

    def wait_ready(self, timeout: float | None = None, *, allow_import_errors: bool = False) -> None:
        """Wait until every process has registered with Airflow and every DAG file is parsed.

        This works after a `restart()` of a process too: only registrations since its last start count.

        Raises:
            DagImportError: a DAG file cannot be imported (unless allowed).
            ProcessDiedError: a process has ended. The message contains the end of its log.
            TimedOutError: a process or DAG file is not ready in time. The message names it.
        """
        eventually(
            lambda: not self._missing(allow_import_errors),
            self.ready_timeout if timeout is None else timeout,
            "Airflow ready",
            state=lambda: f"waiting for {', '.join(self._missing(allow_import_errors))}; {self._tails()}",
            retry_on=(UnavailableError,),
        )

    def add_dag(self, path: Path) -> None:
        """Copy a DAG file into the DAG folder, if the rig has created that folder. `wait_ready` waits for it."""
        if self.home not in self.dags_folder.parents:
            raise ValueError(f"{self.dags_folder} was not created by the rig, so no file is copied into it.")
        shutil.copy(path, self.dags_folder)

    def cli(self, *args: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `airflow ARGS` in this Airflow's environment, and return the exit status and the output."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *args],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=timeout,
        )

    # inspection

    def worker_pids(
        self, dag_id: str, task_id: str, run_id: str = "~", timeout: float = 20
    ) -> list[WorkerProcess]:
        """Wait until the task runs in a worker (not deferred), and return its processes for all map indexes."""
        return eventually(
            lambda: self._workers_now(dag_id, task_id, run_id),
            timeout,
            f"a process that runs task {task_id} of {dag_id}",
            state=lambda: str([(t["task_id"], t["state"]) for t in self.task_instances(dag_id, run_id)]),
            retry_on=(UnavailableError,),
        )

    def trigger_rows(self) -> list[dict[str, Any]]:
        """Return the trigger table: `classpath`, `triggerer_id`, `kwargs` (decrypted), `stored` (raw)."""
        return database.trigger_rows(self.database.url, self.secrets.fernet_key)

    def describe(self) -> str:
        """Return one line per process, for messages."""
        return "\n".join(repr(process) for process in self.processes.values())

    def task_processes(self) -> list[str]:
        """Return the titles of all helper processes, including those that run a task, for messages."""
        main = {process.pid for process in self.processes.values() if process.started}
        return sorted(
            f"{info.pid} {info.command_line}" for info in procfs.family(main) if info.pid not in main
        )

    def set_connection_variable(self, name: str, value: Connection) -> None:
        """Change an AIRFLOW_CONN_* variable for processes that start from now on."""
        for environment in (self.env, *(process.env for process in self.processes.values())):
            environment.update(connection_variables({name: value}))

    # helpers

    def _processes(self, schedulers: int, triggerers: int, workers: int) -> dict[str, ManagedProcess]:
        commands = {"api-server": ["api-server", "--port", str(self.port), "--workers", "1"]}
        # The log servers serve other machines. Here every log is in one directory.
        commands |= {name: ["scheduler", "--skip-serve-logs"] for name in _names("scheduler", schedulers)}
        commands |= {"dag-processor": ["dag-processor"]}
        commands |= {name: ["triggerer", "--skip-serve-logs"] for name in _names("triggerer", triggerers)}
        for name in _names("worker", workers):
            hostname = f"{name}@{secrets.token_hex(4)}"
            commands[name] = ["celery", "worker", "--skip-serve-logs", "--celery-hostname", hostname]
        processes = {
            name: ManagedProcess(
                name, [sys.executable, "-m", "airflow", *arguments], self.env, self._process_log(name)
            )
            for name, arguments in commands.items()
        }
        processes["api-server"].env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = self.database.api_server_url
        return processes

    def _tasks_at_work(self) -> bool:
        main = {process.pid for process in self.processes.values() if process.started}
        return any(member.group not in main for member in procfs.family(main))

    def _process_log(self, name: str) -> Path:
        return self.home / "logs" / "processes" / f"{name}.log"

    def _warm_up(self) -> None:
        # The server builds the API for tasks at the first request, which takes seconds. Without this request, that
        # of the first task would time out.
        deadline = time.monotonic() + self.ready_timeout
        while self.processes["api-server"].running and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.url}/execution/health", timeout=60, trust_env=False)
                return
            time.sleep(0.2)

    def _await_start(self, process: ManagedProcess) -> None:
        def begun() -> bool:
            process.check_running()
            return "Starting the" in process.log_path.read_text(errors="replace")

        eventually(begun, self.ready_timeout, f"start of {process.name}", state=process.log_tail)

    def _missing(self, allow_import_errors: bool) -> list[str]:
        for process in self.processes.values():
            process.check_running()
        missing = [name for name in self.processes if not self._reported(name)]
        return missing or self._unparsed_files(allow_import_errors)

    def _reported(self, name: str) -> bool:
        """Whether this process has registered its job since it was started."""
        kind = re.sub(r"-\d+$", "", name)
        if kind == "api-server":
            # The server builds this API at the first request, which can take seconds; see _warm_up.
            return bool(self.rest.request("GET", "//execution/health", timeout=60))
        if kind == "worker":
            return "ready." in self.processes[name].log_path.read_text(errors="replace")
        if kind not in _JOB_TYPES:
            return True
        since = self.processes[name].started_at
        peers = [p for n, p in self.processes.items() if n.startswith(kind) and p.started_at >= since]
        jobs = self.rest.get(
            "/jobs", job_type=_JOB_TYPES[kind], job_state="running", start_date_gte=since.isoformat()
        )
        return int(jobs["total_entries"]) >= len(peers)

    def _unparsed_files(self, allow_import_errors: bool) -> list[str]:
        expected = {
            str(path.relative_to(self.dags_folder))
            for path in self.dags_folder.rglob("*.py")
            if _DEFINES_DAG.search(path.read_text())
        }
        errors = self.import_errors()
        if errors and not allow_import_errors:
            raise DagImportError("\n".join(f"{name}:\n{trace}" for name, trace in errors.items()))
        return sorted(expected - {str(dag["relative_fileloc"]) for dag in self.dags()} - set(errors))

    def _tails(self) -> str:
        return "\n".join(
            f"--- end of {process.log_path}\n{process.log_tail(12)}" for process in self.processes.values()
        )

    def _workers_now(self, dag_id: str, task_id: str, run_id: str) -> list[WorkerProcess]:
        # A process that has a task sets its title to "airflow worker -- <task instance id>". Its children inherit
        # the title, so only the process whose parent has another title counts.
        table = {info.pid: info for info in procfs.processes() if info.alive}
        tasks: dict[str, Json] = {
            f"airflow worker -- {task['id']}": task
            for task in self.task_instances(dag_id, run_id, state="running")
            if task["task_id"] == task_id
        }
        found = []
        for info in table.values():
            title = info.command_line
            parent = table.get(info.parent)
            if title in tasks and (parent is None or parent.command_line != title):
                task = tasks[title]
                found.append(
                    WorkerProcess(
                        info.pid, info.parent, task["dag_run_id"], task["map_index"], task["try_number"]
                    )
                )
        return sorted(found, key=lambda worker: worker.map_index)


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def signal_process(pid: int, sig: int) -> None:
    """Send a signal to one process."""
    os.kill(pid, sig)


def _names(kind: str, count: int) -> list[str]:
    return [kind if number == 1 else f"{kind}-{number}" for number in range(1, count + 1)]


def _dags_folder(dags: Path | Sequence[Path], home: Path) -> Path:
    if isinstance(dags, Path):
        return dags.resolve()
    folder = home / "dags"
    folder.mkdir(exist_ok=True)
    for path in dags:
        shutil.copy(path, folder)
    return folder


__all__ = [
    "REPOSITORY",
    "DagImportError",
    "LocalAirflow",
    "ProcessDiedError",
    "RestError",
    "TimedOutError",
    "WorkerProcess",
    "free_port",
]
