"""In a cell: `dag.test()` of every example DAG, waiting in the worker and in the triggerer, against the sandbox.

Called with the paths of DAG files; each has a `@dag` function of the file's name.
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
#: The examples that show what happens after a failure.
FAILING = {"regression_news"}
MODES = {False: "in the worker", True: "in the triggerer"}


def main(paths: list[str]) -> None:
    """Run each DAG in both modes, and raise for the first that does not end as it must."""
    # Where Airflow looks for a DAG before it tests it; read once Airflow is imported.
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(paths[0]).parent)
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED))) as server:
        for conn_type, host in (("testerarmy", server.url), ("docket", server.docket_url)):
            fields = {"conn_type": conn_type, "host": host, "password": DEFAULT_API_KEY}
            os.environ[f"AIRFLOW_CONN_{conn_type.upper()}_DEFAULT"] = json.dumps(fields)
        triggers = watch_triggers(server)
        for path in paths:
            counts = {mode: run(path, mode, server, triggers) for mode in MODES}
            assert counts[True] == counts[False], f"{path} starts other runs when it is deferred: {counts}"


def watch_triggers(server: SandboxServer) -> list[str]:
    """Add every trigger that runs from now on to a list, and let the service's time pass while one does."""
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


def run(path: str, deferrable: bool, server: SandboxServer, triggers: list[str]) -> int:
    """One DAG run in one mode; how many test runs it started."""
    server.control.reset()
    # Nothing is over before a trigger waits for it; in the worker, time passes all along.
    server.control.clock.set_manual(deferrable)
    triggers.clear()
    dag = runpy.run_path(path)[Path(path).stem]()
    waiting = [
        task
        for task in dag.tasks
        if hasattr(task, "max_outage") and getattr(task, "wait_for_completion", True)
    ]
    for task in waiting:
        # Airflow guards a task's attributes once it has a DAG; these are set before anything runs.
        task.__dict__.update(deferrable=deferrable, poll_interval=0.2)
    dag_run = dag.test()
    state = str(getattr(dag_run.state, "value", dag_run.state))
    tasks = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
    print(f"{dag.dag_id} {MODES[deferrable]}: {state}, {tasks}, {len(triggers)} triggers", flush=True)
    expected = "failed" if dag.dag_id in FAILING else "success"
    assert state == expected, tasks
    assert all(tasks[task.task_id] == expected for task in waiting), tasks
    assert len(triggers) == (len(waiting) if deferrable else 0), triggers
    started = server.control.log.submitted_run_ids()
    assert started, "nothing was started"
    assert not server.control.store.active_run_ids()
    return len(started)


if __name__ == "__main__":
    main(sys.argv[1:])
