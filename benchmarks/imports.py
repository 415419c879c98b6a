"""Measures what importing a provider's operators costs a DAG file, each time in a new interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import CONTENDERS
from benchmarks.stage import OUTPUT, REPOSITORY, airflow_environment, clean_environment

TIMES = 7
#: Imports what every DAG file has loaded anyway, then measures the import of the module.
PROBE = """if True:
    import json, sys, time
    from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator, Connection, task
    from benchmarks import usage

    usage.reset_peak_memory()
    used, known, begin = usage.peak_memory(), len(sys.modules), time.perf_counter()
    __import__(sys.argv[1])
    seconds = time.perf_counter() - begin
    found = {"seconds": seconds, "modules": len(sys.modules) - known, "memory": usage.peak_memory() - used}
    print(json.dumps(found))
"""


@dataclass(frozen=True)
class ImportCost:
    """The median of several imports.

    :param seconds: the duration of the import.
    :param modules: the number of modules that it loaded.
    :param memory: the growth of the peak memory in bytes.
    """

    contender: str
    module: str
    seconds: float
    modules: int
    memory: int


def import_costs(times: int = TIMES) -> list[ImportCost]:
    """Import every contender's operators several times, in turn, so that a busy moment affects all of them."""
    environment = clean_environment() | airflow_environment(OUTPUT / "airflow")
    environment["PYTHONPATH"] = str(REPOSITORY)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    # The first round writes bytecode and fills the disk cache, so it does not count.
    for counts in [False, *[True] * times]:
        for name, contender in CONTENDERS.items():
            cost = _import_once(contender.operators, environment)
            if counts:
                found[name].append(cost)
    return [
        ImportCost(
            name,
            CONTENDERS[name].operators,
            median(cost["seconds"] for cost in costs),
            int(median(cost["modules"] for cost in costs)),
            int(median(cost["memory"] for cost in costs)),
        )
        for name, costs in found.items()
    ]


def _import_once(module: str, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-c", PROBE, module]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=REPOSITORY
    )
    if ended.returncode:
        raise RuntimeError(f"{module} cannot be imported:\n{ended.stderr[-2000:]}")
    cost: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return cost
