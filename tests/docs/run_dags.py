"""Runs DAG files by `dag.test()` against the sandbox, as somebody who copies them from the documentation.

    python -m tests.docs.run_dags FILE...

Called with an AIRFLOW_HOME whose database is there. What the pages speak of beside TesterArmy is stood in for: an
object store in memory, and a GitHub that keeps its comments.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox

SPEED = 20


def main(paths: list[str]) -> None:
    """Write a document of JSON beside each file: how its DAG run ended, and what it left behind.

    Standard output has the lines of Airflow's log. A thread of the listener may write one at any moment.
    """
    # Where Airflow looks for a DAG before it tests it; read once Airflow is imported.
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(paths[0]).parent)
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED))) as server, github() as (address, comments):
        connections = {
            "testerarmy_default": {
                "conn_type": "testerarmy",
                "host": server.url,
                "password": DEFAULT_API_KEY,
            },
            "docket_default": {"conn_type": "docket", "host": server.docket_url, "password": DEFAULT_API_KEY},
            "shop_login": {
                "conn_type": "generic",
                "login": "jane@acme.example",
                "password": "battery-staple",
            },
            "github_default": {"conn_type": "github", "host": address, "password": "ghp_1"},
            "github": {"conn_type": "http", "host": address, "password": "ghp_1"},
        }
        for name, fields in connections.items():
            os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(fields)
        bucket = attach_bucket()
        for path in paths:
            server.control.reset()
            comments.clear()
            # One file that does not work must not hide how the others end.
            try:
                found = run(path)
            except Exception:
                found = {"path": path, "state": traceback.format_exc()[-2000:], "tasks": {}}
            started = len(server.control.log.submitted_run_ids())
            active = len(server.control.store.active_run_ids())
            objects = sorted(bucket.find("/"))
            bucket.store.clear()
            left = {"started": started, "active": active, "objects": objects, "comments": list(comments)}
            result_of(Path(path)).write_text(json.dumps(found | left))


def result_of(path: Path) -> Path:
    """The file with the result of a DAG file."""
    return path.with_suffix(".result")


def run(path: str) -> dict[str, Any]:
    """Test the one DAG of a file."""
    (name,) = re.findall(r"^(\w+)\(\)$", Path(path).read_text(), re.MULTILINE)
    dag = runpy.run_path(path)[name]()
    # This file has called the function, and files of a task are beside the file of its DAG.
    dag.fileloc = path
    for task in dag.tasks:
        if hasattr(task, "max_outage"):
            task.__dict__.update(poll_interval=0.2)
    dag_run = dag.test()
    tasks = {f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in dag_run.get_task_instances()}
    return {"path": path, "state": str(getattr(dag_run.state, "value", dag_run.state)), "tasks": tasks}


def attach_bucket() -> Any:
    """An object store behind `s3://aws_default@...`."""
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    class Bucket(MemoryFileSystem):
        cachable = False
        protocol = ("s3",)
        store: dict[str, Any] = {}  # noqa: RUF012

    bucket = Bucket()
    attach(protocol="s3", conn_id="aws_default", fs=bucket)
    return bucket


@contextmanager
def github() -> Iterator[tuple[str, list[Any]]]:
    """The address of a server that takes comments, and the comments."""
    comments: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            # The status of a commit has no body.
            if "body" in body:
                comments.append([self.path, self.headers["Authorization"], body["body"]])
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", comments
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main(sys.argv[1:])
