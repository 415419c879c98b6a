"""Measures a whole Airflow on PostgreSQL, with a task mapped over many groups, against the sandbox."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from benchmarks import catalog, sizes
from tests.rig import procfs
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

DAG_ID = "mapped_groups"
DATABASE_VARIABLE = "TESTERARMY_TEST_DATABASE_URL"
USUAL_DATABASE = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
#: The length of the two windows in seconds: one with an idle triggerer, and one with every task waiting.
WINDOW = 25.0
_PARALLELISM = 8
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Whole:
    """The result; all durations in seconds.

    :param deferring: the time from the start of the DAG run until every task waits.
    :param resuming: the time from the end of all runs until the end of the DAG run.
    :param idle_cpu: CPU-seconds of the triggerer in a window without a task.
    :param waiting_cpu: CPU-seconds of the triggerer in a window with every task waiting.
    :param waiting_requests: requests to the sandbox in that window.
    :param triggerer_cpu: CPU-seconds of the triggerer during the whole DAG run.
    :param requests: requests to the sandbox during the whole DAG run, by operation.
    :param states: the number of tasks per final state.
    :param submissions: requests that started runs.
    """

    groups: int
    runs: int
    deferring: float
    resuming: float
    idle_cpu: float
    waiting_cpu: float
    waiting_requests: int
    triggerer_cpu: float
    requests: Mapping[str, int]
    states: Mapping[str, int]
    submissions: int


def whole(groups: int, database_url: str | None = None) -> Whole:
    """Start an Airflow, map a task over this many groups, and measure."""
    os.environ[sizes.VARIABLE] = str(groups)
    dag = Path(__file__).with_name("dags") / "mapped.py"
    with (
        SandboxServer(Sandbox(catalog=catalog.catalog())) as service,
        benchmark_airflow(
            {"testerarmy_default": connection(service)}, groups, [dag], database_url
        ) as airflow,
    ):
        return _run(airflow, service, groups)


def connection(service: SandboxServer) -> dict[str, str]:
    """The fields of an Airflow connection to the sandbox."""
    return {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}


def benchmark_airflow(
    connections: Mapping[str, Mapping[str, Any]],
    tasks: int,
    dags: list[Path],
    database_url: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> LocalAirflow:
    """An Airflow that is not started yet.

    :param connections: the fields of each Airflow connection, by id.
    :param tasks: the number of tasks that each DAG maps.
    :param environment: further environment variables of all processes.
    """
    return LocalAirflow(
        dags,
        database_url=database_url or os.environ.get(DATABASE_VARIABLE, USUAL_DATABASE),
        parallelism=_PARALLELISM,
        connections=dict(connections),
        env={sizes.VARIABLE: str(tasks), **(environment or {})},
    )


def _run(airflow: LocalAirflow, service: SandboxServer, groups: int) -> Whole:
    triggerer = airflow.processes["triggerer"].pid
    patience = 120 + 6.0 * groups
    idle_cpu, _ = _window(triggerer, service)
    cpu_before, requests_before = cpu_seconds(triggerer), service.control.log.counts()
    begin = time.monotonic()
    run_id = airflow.trigger_dag(DAG_ID)
    eventually(
        lambda: states(airflow, DAG_ID, run_id).get("deferred", 0) == groups,
        patience,
        "every task deferred",
        state=lambda: str(states(airflow, DAG_ID, run_id)),
        interval=1,
    )
    deferring = time.monotonic() - begin
    waiting_cpu, waiting_requests = _window(triggerer, service)
    freed = time.monotonic()
    service.control.clock.advance(2 * catalog.RUN_SECONDS)
    airflow.wait_dag_run(DAG_ID, run_id, timeout=patience)
    log = service.control.log
    return Whole(
        groups=groups,
        runs=len(log.submitted_run_ids()),
        deferring=deferring,
        resuming=time.monotonic() - freed,
        idle_cpu=idle_cpu,
        waiting_cpu=waiting_cpu,
        waiting_requests=waiting_requests,
        triggerer_cpu=cpu_seconds(triggerer) - cpu_before,
        requests={
            name: number - requests_before.get(name, 0) for name, number in sorted(log.counts().items())
        },
        states=states(airflow, DAG_ID, run_id),
        submissions=len(log.submissions()),
    )


def _window(triggerer: int, service: SandboxServer) -> tuple[float, int]:
    cpu, requests = cpu_seconds(triggerer), len(service.control.log)
    time.sleep(WINDOW)
    return cpu_seconds(triggerer) - cpu, len(service.control.log) - requests


def states(airflow: LocalAirflow, dag_id: str, run_id: str) -> dict[str, int]:
    """The number of tasks per state, from the database: for hundreds of tasks, the API would use a whole core."""
    query = text(
        "SELECT coalesce(state, 'none'), count(*) FROM task_instance "
        "WHERE dag_id = :dag_id AND run_id = :run_id GROUP BY 1"
    )
    engine = create_engine(airflow.database.url)
    try:
        with engine.connect() as link:
            found: list[Any] = list(link.execute(query, {"dag_id": dag_id, "run_id": run_id}))
            return {str(state): int(count) for state, count in found}
    finally:
        engine.dispose()


def cpu_seconds(session: int) -> float:
    """CPU-seconds, user and system, of a session's processes and of the children that they waited for."""
    return sum(_cpu_ticks(member.pid) for member in procfs.family({session})) / _TICKS


def _cpu_ticks(pid: int) -> int:
    try:
        stat = (procfs.PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # utime, stime, cutime and cstime are fields 14 to 17 (proc_pid_stat(5)). The name before them may contain ")".
    return sum(int(field) for field in stat[stat.rindex(")") + 2 :].split()[11:15])
