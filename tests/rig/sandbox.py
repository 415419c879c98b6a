"""Runs the sandbox as a process, and configures an Airflow that is connected to it."""

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_testerarmy.airflow_compat.features import INSTALLED
from tests.rig.airflow import LocalAirflow
from tests.rig.processes import ManagedProcess, stop_all
from tests.rig.settings import REPOSITORY, Connection, base_environment
from tests.rig.waiting import eventually

API_KEY = "sk_sandbox_key"
EXAMPLE_DAGS = REPOSITORY / "example_dags"

_ADDRESS = re.compile(r"https?://\S+/api/v1")
_NEEDED = re.compile(r"It needs Airflow (\d+)\.(\d+)")


def dag_files(*folders: Path) -> list[Path]:
    """Return the DAG files of these folders that the installed Airflow can run, and the lists that they read."""
    return [
        path
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix == ".yaml" or (path.suffix == ".py" and _needed_airflow(path) <= INSTALLED)
    ]


def _needed_airflow(path: Path) -> tuple[int, ...]:
    found = _NEEDED.search(path.read_text())
    return tuple(map(int, found.groups())) if found else (0,)


@contextmanager
def sandbox(*options: str, log_directory: Path | None = None) -> Iterator[str]:
    """Run `python -m airflow_provider_testerarmy.sandbox --port 0` and yield its API address.

    Args:
        options: further command line options, such as "--speed", "10".
        log_directory: where `sandbox.log` goes; by default a temporary directory.
    """
    with tempfile.TemporaryDirectory(prefix="sandbox-") as temporary:
        directory = log_directory or Path(temporary)
        command = [sys.executable, "-m", "airflow_provider_testerarmy.sandbox", "--port", "0", *options]
        process = ManagedProcess("sandbox", command, base_environment(directory), directory / "sandbox.log")
        process.log_path.unlink(missing_ok=True)  # an old log has an old address
        try:
            process.start()
            yield eventually(lambda: _address(process), 20, "sandbox ready", state=process.log_tail)
        finally:
            stop_all([process])


def sandbox_connection(address: str) -> Connection:
    """Return the fields of a TesterArmy connection to the sandbox at this address."""
    # Airflow logs a warning for values shorter than five characters in the extra of a connection from a variable.
    return {
        "conn_type": "testerarmy",
        "host": address,
        "password": API_KEY,
        "extra": {"workspace": "acme-corp", "project_short_id": "webshop"},
    }


def docket_connection(address: str) -> Connection:
    """Return the fields of a Docket connection to the sandbox whose TesterArmy API is at this address."""
    return {
        "conn_type": "docket",
        "host": address.removesuffix("/api/v1") + "/docket",
        "password": API_KEY,
    }


def example_airflow(address: str, home: Path | None = None, port: int | None = None) -> LocalAirflow:
    """Return an Airflow (not started) with the example DAGs, connected to the sandbox at this address."""
    return LocalAirflow(
        EXAMPLE_DAGS,
        home=home,
        port=port,
        connections={
            "testerarmy_default": sandbox_connection(address),
            "docket_default": docket_connection(address),
        },
        # The example DAGs have schedules, but only a DAG that the user starts should run.
        env={"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"},
    )


def _address(process: ManagedProcess) -> str | None:
    process.check_running()
    found = _ADDRESS.search(process.log_path.read_text(errors="replace"))
    return found.group() if found else None
