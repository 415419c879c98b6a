"""Runs two nights of a gate with `memory_path` by `dag.test()` in a cell, against the sandbox.

The first night fails, because no night is remembered. The second one knows the failures, and passes.
The argument is the path of `remembers.py`.
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
TASKS = 4


def main(path: str) -> None:
    """Run both nights.

    :raises AssertionError: for a night with an unexpected end.
    """
    # `dag.test()` looks the DAG up in this folder. Airflow reads the setting when it is imported.
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(path).parent)
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED))) as server:
        for conn_type, host in (("testerarmy", server.url), ("docket", server.docket_url)):
            fields = {"conn_type": conn_type, "host": host, "password": DEFAULT_API_KEY}
            os.environ[f"AIRFLOW_CONN_{conn_type.upper()}_DEFAULT"] = json.dumps(fields)
        dag = runpy.run_path(path)["remembers"]()
        # A failure that counts runs once more. A known one does not.
        assert night(dag, server) == {"state": "failed", "requests": 2 * TASKS, "files": True}
        assert night(dag, server) == {"state": "success", "requests": TASKS, "files": True}
        assert not server.control.store.active_run_ids()


def night(dag: Any, server: SandboxServer) -> dict[str, Any]:
    """Run the DAG once. All its tasks must end in the same state."""
    before = len(server.control.log.submissions())
    dag_run = dag.test()
    tasks = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
    requests = len(server.control.log.submissions()) - before
    print(f"{dag.dag_id}: {tasks}, {requests} requests", flush=True)
    (state,) = set(tasks.values())
    pointers = list((Path(os.environ["AIRFLOW_HOME"]) / "memory").glob("memory-*-pointer.json"))
    return {"state": state, "requests": requests, "files": len(pointers) == TASKS}


if __name__ == "__main__":
    main(sys.argv[1])
