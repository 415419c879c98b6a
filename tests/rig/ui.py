"""`make ui`: keeps the demo's Airflow running until Ctrl-C. Its state persists in `.local/airflow`."""

import fcntl
import socket
import sys

from tests.rig.airflow import LocalAirflow, free_port
from tests.rig.api import Json
from tests.rig.sandbox import example_airflow, sandbox
from tests.rig.settings import REPOSITORY
from tests.rig.waiting import TimedOutError, eventually

HOME = REPOSITORY / ".local" / "airflow"
PORT = 8080


def main() -> int:
    """Run until Ctrl-C."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another `make ui` is already running with {HOME}. Stop it first.", file=sys.stderr)
            return 1
        try:
            _serve()
        except KeyboardInterrupt:
            print("\nStopped.", flush=True)
    return 0


def _serve() -> None:
    with sandbox(log_directory=HOME / "logs") as address:
        print("Starting Airflow; this takes about 15 s ...", flush=True)
        with example_airflow(address, home=HOME, port=_port()) as airflow:
            print(_greeting(airflow, address, airflow.dags()), flush=True)
            _until_a_process_ends(airflow)


def _greeting(airflow: LocalAirflow, address: str, dags: list[Json]) -> str:
    user = next(iter(airflow.users))
    return "\n".join(
        [
            "",
            f"  Airflow    {airflow.url}",
            f"  user       {user}, password {airflow.password}",
            f"  sandbox    {address}",
            f"  DAGs       {', '.join(sorted(dag['dag_id'] for dag in dags)) or 'none'}",
            f"  logs       {airflow.home / 'logs'}",
            "",
            "  Press Ctrl-C to stop. Runs and connections are kept.",
        ]
    )


def _until_a_process_ends(airflow: LocalAirflow) -> None:
    while True:
        try:
            eventually(lambda: [p for p in airflow.processes.values() if not p.running], 3600, "", interval=1)
        except TimedOutError:
            continue
        for process in airflow.processes.values():
            process.check_running()


def _port() -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return free_port()
    return PORT


if __name__ == "__main__":
    sys.exit(main())
