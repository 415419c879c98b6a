"""Measures what a task costs beyond Airflow itself: ours and one that only defers, in turns, in one Airflow."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from benchmarks import catalog, whole
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

DAGS = Path(__file__).with_name("dags")
ROUNDS = 3


@dataclass(frozen=True)
class Round:
    """One DAG run; durations in seconds.

    :param dag: ``floor`` or ours.
    :param deferring: the time from the start of the DAG run until every task waits.
    :param resuming: the time from the end of all waits until the end of the DAG run.
    :param cpu: CPU-seconds of each of Airflow's processes; those of tasks are with the scheduler, which forks them.
    :param requests: requests to the service.
    """

    dag: str
    tasks: int
    deferring: float
    resuming: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    requests: int = 0


def floor(tasks: int, rounds: int = ROUNDS, database_url: str | None = None) -> list[Round]:
    """Start an Airflow, and measure both DAGs in turns."""
    os.environ[catalog.VARIABLE] = str(tasks)
    found: list[Round] = []
    with (
        SandboxServer(Sandbox(catalog=catalog.catalog())) as service,
        whole.benchmark_airflow(
            service, tasks, [DAGS / "mapped.py", DAGS / "floor.py"], database_url
        ) as airflow,
        tempfile.TemporaryDirectory() as folder,
    ):
        for number in range(rounds):
            file = Path(folder) / f"round-{number}"
            found.append(_round(airflow, service, "floor", tasks, {"file": str(file)}, file.touch))
            found.append(_round(airflow, service, whole.DAG_ID, tasks, {}, lambda: _end_runs(service)))
    return found


def _end_runs(service: SandboxServer) -> None:
    service.control.clock.advance(2 * catalog.RUN_SECONDS)


def _round(
    airflow: LocalAirflow,
    service: SandboxServer,
    dag_id: str,
    tasks: int,
    conf: dict[str, str],
    free: Callable[[], object],
) -> Round:
    cpu_before, requests_before = _cpu(airflow), len(service.control.log)
    patience, begin = 120 + 6.0 * tasks, time.monotonic()
    run_id = airflow.trigger_dag(dag_id, conf=conf)
    eventually(
        lambda: whole.states(airflow, dag_id, run_id).get("deferred", 0) == tasks,
        patience,
        "every task deferred",
        state=lambda: str(whole.states(airflow, dag_id, run_id)),
        interval=0.5,
    )
    deferring, freed = time.monotonic() - begin, time.monotonic()
    free()
    airflow.wait_dag_run(dag_id, run_id, timeout=patience)
    resuming = time.monotonic() - freed
    cpu = {name: seconds - cpu_before[name] for name, seconds in _cpu(airflow).items()}
    return Round(dag_id, tasks, deferring, resuming, cpu, len(service.control.log) - requests_before)


def _cpu(airflow: LocalAirflow) -> dict[str, float]:
    return {name: whole.cpu_seconds(process.pid) for name, process in airflow.processes.items()}


def cost_table(rounds: list[Round]) -> list[str]:
    """The medians of the cost of one task, as Markdown: CPU milliseconds by process, and requests."""
    names = sorted({name for one in rounds for name in one.cpu})
    lines = [
        f"| tasks | operator | {' | '.join(f'{name}, CPU ms' for name in names)} | requests |",
        "| --- " * (len(names) + 3) + "|",
    ]
    for tasks, dag in sorted({(one.tasks, one.dag) for one in rounds}):
        same = [one for one in rounds if (one.tasks, one.dag) == (tasks, dag)]
        costs = [f"{1000 * statistics.median(one.cpu[name] for one in same) / tasks:.0f}" for name in names]
        requests = statistics.median(one.requests for one in same) / tasks
        who = "floor" if dag == "floor" else "ours"
        lines.append(f"| {tasks} | {who} | {' | '.join(costs)} | {requests:.1f} |")
    return lines


def table(rounds: list[Round]) -> list[str]:
    """The medians and their ratios, as Markdown."""
    lines = ["| tasks | what | floor, s | ours, s | ratio |", "| --- | --- | --- | --- | --- |"]
    for tasks in sorted({one.tasks for one in rounds}):
        for name in ("deferring", "resuming"):
            lowest, ours = (
                statistics.median(
                    getattr(one, name) for one in rounds if (one.dag, one.tasks) == (dag, tasks)
                )
                for dag in ("floor", whole.DAG_ID)
            )
            lines.append(f"| {tasks} | {name} | {lowest:.1f} | {ours:.1f} | {ours / lowest:.1f} |")
    return lines
