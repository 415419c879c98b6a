"""Measures what a task costs beyond Airflow itself: one that only defers, ours and the peers', in turns."""

from __future__ import annotations

import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import sizes, whole
from benchmarks.entrants import FLOOR, NAMES, Entrant, entrants
from benchmarks.stage import Stage
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

ROUNDS = 3
#: A request to the API for tasks, in the log of the API server, and the codes for colours in that log.
_CALL = re.compile(r"path\W{1,4}/execution/([\w-]+)(/\S*)?")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Round:
    """One DAG run; durations in seconds.

    :param name: the entrant.
    :param deferring: the time from the start of the DAG run until every task waits.
    :param resuming: the time from the end of all waits until the end of the DAG run.
    :param cpu: CPU-seconds of each of Airflow's processes; those of tasks are with the scheduler, which forks them.
    :param requests: requests to the service.
    :param calls: requests of tasks and triggers to Airflow's API server, by the first part of their path.
        Heartbeats are left out, because their number depends on the duration.
    """

    name: str
    tasks: int
    deferring: float
    resuming: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    requests: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)


def floor(
    tasks: int, rounds: int = ROUNDS, names: Sequence[str] = NAMES, database_url: str | None = None
) -> list[Round]:
    """Start an Airflow, and measure the DAGs of all entrants in turns."""
    os.environ[sizes.VARIABLE] = str(tasks)
    stage = Stage()
    found: list[Round] = []
    # A task that is retried starts another run.
    with entrants(names, 2 * rounds * tasks, stage) as taking_part:
        airflow = whole.benchmark_airflow(
            {conn_id: fields for one in taking_part for conn_id, fields in one.connections.items()},
            tasks,
            [one.dag for one in taking_part],
            database_url,
            stage.certificates.environment(),
        )
        with airflow:
            for number in range(rounds):
                for one in taking_part:
                    found.append(_round(airflow, one, tasks, number))
                    print(f"  {found[-1]}", flush=True)
    return found


def _round(airflow: LocalAirflow, entrant: Entrant, tasks: int, number: int) -> Round:
    cpu_before, requests_before, calls_before = _cpu(airflow), entrant.requests(), _calls(airflow)
    patience, begin = 180 + 6.0 * tasks, time.monotonic()
    run_id = airflow.trigger_dag(entrant.dag_id, conf=entrant.conf(number))
    eventually(
        lambda: whole.states(airflow, entrant.dag_id, run_id).get("deferred", 0) == tasks,
        patience,
        "every task deferred",
        state=lambda: str(whole.states(airflow, entrant.dag_id, run_id)),
        interval=0.5,
    )
    deferring, freed = time.monotonic() - begin, time.monotonic()
    entrant.end(number)
    airflow.wait_dag_run(entrant.dag_id, run_id, timeout=patience)
    return Round(
        entrant.name,
        tasks,
        deferring,
        time.monotonic() - freed,
        {name: seconds - cpu_before[name] for name, seconds in _cpu(airflow).items()},
        entrant.requests() - requests_before,
        dict(_calls(airflow) - calls_before),
    )


def _cpu(airflow: LocalAirflow) -> dict[str, float]:
    return {name: whole.cpu_seconds(process.pid) for name, process in airflow.processes.items()}


def _calls(airflow: LocalAirflow) -> Counter[str]:
    return count_calls(Path(airflow.processes["api-server"].log_path).read_text(errors="replace"))


def count_calls(log: str) -> Counter[str]:
    """The requests in the log of an API server, by the first part of their path; without heartbeats."""
    found = _CALL.finditer(_COLOUR.sub("", log))
    return Counter(
        one[1]
        for one in found
        if one[1] != "health" and not (one[2] or "").rstrip("'\",").endswith("/heartbeat")
    )


def _names(rounds: Iterable[Round]) -> list[str]:
    there = {one.name for one in rounds}
    return [name for name in NAMES if name in there]


def median_of(rounds: Sequence[Round], name: str, tasks: int, value: str, part: str = "") -> float:
    """The median of one figure over all rounds of an entrant at one number of tasks.

    :param value: the name of a field of :class:`Round`.
    :param part: the key, if that field is a mapping.
    """
    same = [getattr(one, value) for one in rounds if (one.name, one.tasks) == (name, tasks)]
    return float(statistics.median(figures.get(part, 0) if part else figures for figures in same))


def table(rounds: list[Round]) -> list[str]:
    """The medians and their ratios to the floor, as Markdown."""
    names = _names(rounds)
    head = [name if name == FLOOR else f"{name} (times the floor)" for name in names]
    lines = [
        f"| tasks | what | {' | '.join(f'{one}, s' for one in head)} |",
        "| --- " * (len(names) + 2) + "|",
    ]
    for tasks in sorted({one.tasks for one in rounds}):
        for what in ("deferring", "resuming"):
            lowest = median_of(rounds, FLOOR, tasks, what) if FLOOR in names else None
            cells = []
            for name in names:
                seconds = median_of(rounds, name, tasks, what)
                ratio = "" if lowest is None or name == FLOOR else f" ({seconds / lowest:.1f})"
                cells.append(f"{seconds:.1f}{ratio}")
            lines.append(f"| {tasks} | {what} | {' | '.join(cells)} |")
    return lines


def cost_table(rounds: list[Round]) -> list[str]:
    """The medians of the cost of one task, as Markdown: CPU by process, requests, and calls to the API server."""
    processes = sorted({name for one in rounds for name in one.cpu})
    kinds = sorted({name for one in rounds for name in one.calls})
    head = ["tasks", "operator", *(f"{name}, CPU ms" for name in processes), "requests", *kinds]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for tasks in sorted({one.tasks for one in rounds}):
        for name in _names(rounds):
            costs = [f"{1000 * median_of(rounds, name, tasks, 'cpu', one) / tasks:.0f}" for one in processes]
            requests = f"{median_of(rounds, name, tasks, 'requests') / tasks:.1f}"
            calls = [f"{median_of(rounds, name, tasks, 'calls', kind) / tasks:.1f}" for kind in kinds]
            lines.append(f"| {' | '.join([str(tasks), name, *costs, requests, *calls])} |")
    return lines
