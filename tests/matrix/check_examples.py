"""Runs `dag.test()` of every example DAG in a cell, in the worker and in the triggerer, against the sandbox.

The arguments are paths of DAG files. A file has a `@dag` function of its own name, or `SEVERAL` names those to run.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox

SPEED = 20  # sandbox seconds per real second
#: The examples that demonstrate a failure.
FAILING = {"regression_news"}
#: The DAGs of other files. Those that an asset starts are left out: tests/integration/test_examples.py starts them.
SEVERAL = {"promote_commit": ("web_gate", "mobile_gate"), "react_to_runs": ()}
MODES = {False: "in the worker", True: "in the triggerer"}


def main(paths: list[str]) -> None:
    """Run each DAG in both modes.

    :raises AssertionError: for the first DAG run with an unexpected end.
    """
    # `dag.test()` looks the DAG up in this folder. Airflow reads the setting when it is imported.
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(paths[0]).parent)
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED))) as server:
        for conn_type, host in (("testerarmy", server.url), ("docket", server.docket_url)):
            fields = {"conn_type": conn_type, "host": host, "password": DEFAULT_API_KEY}
            os.environ[f"AIRFLOW_CONN_{conn_type.upper()}_DEFAULT"] = json.dumps(fields)
        triggers = watch_triggers(server)
        login = {"conn_type": "generic", "login": "jane@acme.example", "password": "battery-staple"}
        os.environ["AIRFLOW_CONN_SHOP_LOGIN"] = json.dumps(login)
        for path in paths:
            for name in SEVERAL.get(Path(path).stem, (Path(path).stem,)):
                counts = {mode: run(path, name, mode, server, triggers) for mode in MODES}
                assert counts[True] == counts[False], (
                    f"{name} starts another number of runs when deferred: {counts}"
                )


def watch_triggers(server: SandboxServer) -> list[str]:
    """Return a list that records every trigger that runs. While one runs, the clock of the service runs too."""
    from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger

    ran, run = [], AwaitRunsTrigger.run

    async def watched(self: Any) -> Any:
        ran.append(self.batch_id or str(self.run_ids))
        server.control.clock.set_manual(False)
        async for event in run(self):
            server.control.clock.set_manual(True)
            yield event

    AwaitRunsTrigger.run = watched
    return ran


def run(path: str, name: str, deferrable: bool, server: SandboxServer, triggers: list[str]) -> int:
    """Run a DAG of the file once in one mode, and return the number of test runs that it has started."""
    server.control.reset()
    # With a manual clock, no test run ends before a trigger waits for it. In the worker, the clock always runs.
    server.control.clock.set_manual(deferrable)
    triggers.clear()
    dag = runpy.run_path(path)[name]()
    waiting = [
        task
        for task in dag.tasks
        if all(hasattr(task, name) for name in ("deferrable", "max_outage"))
        and getattr(task, "wait_for_completion", True)
    ]
    for task in waiting:
        # Airflow refuses to set attributes of a task that belongs to a DAG, so this writes to its `__dict__`.
        task.__dict__.update(deferrable=deferrable, poll_interval=0.2)
    dag_run = dag.test()
    state = str(getattr(dag_run.state, "value", dag_run.state))
    tasks = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
    print(f"{dag.dag_id} {MODES[deferrable]}: {state}, {tasks}, {len(triggers)} triggers", flush=True)
    expected = "failed" if dag.dag_id in FAILING else "success"
    assert state == expected, tasks
    assert all(tasks[task.task_id] == expected for task in waiting), tasks
    # Tasks that share a started group may find their runs ended, while another of them waited.
    starts = {_start_of(task) for task in waiting}
    fewest, most = (len(starts), len(waiting)) if deferrable else (0, 0)
    assert fewest <= len(triggers) <= most, triggers
    started = server.control.log.submitted_run_ids()
    assert started, "no test run was started"
    assert not server.control.store.active_run_ids()
    return len(started)


def _start_of(task: Any) -> str:
    """The id of the task that starts what this one waits for."""
    upstream = sorted(task.upstream_task_ids) if hasattr(task, "run_ids") else []
    return getattr(task, "start_task_id", (upstream or [task.task_id])[0])


if __name__ == "__main__":
    main(sys.argv[1:])
