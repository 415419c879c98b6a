"""An Airflow for the browser tests, with the sandbox as its service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import docket_connection, sandbox_connection

DAGS = Path(__file__).with_name("dags")
USERS = {"admin": "admin", "viewer": "viewer", "outsider": "viewer", "blind": "viewer"}
#: What the section [testerarmy] of the configuration sets.
REPOSITORY_URL = "https://github.com/acme/shop"
#: Sandbox seconds per real second: a usual test takes a fifth of a second.
SPEED = 40


@dataclass(frozen=True)
class Stage:
    """A running Airflow, and the sandbox that its connections point to."""

    airflow: LocalAirflow
    sandbox: SandboxServer

    def token(self, user: str) -> str:
        """The token for a user's session cookie."""
        answer = httpx.post(
            f"{self.airflow.url}/auth/token",
            json={"username": user, "password": self.airflow.password},
            trust_env=False,
            timeout=20,
        )
        return str(answer.raise_for_status().json()["access_token"])

    def client(self, user: str | None = None) -> httpx.Client:
        """A client for the tab's endpoints, signed in by cookie; anonymous without a user."""
        cookies = {"_token": self.token(user)} if user else {}
        base = f"{self.airflow.url}/testerarmy/api/"
        return httpx.Client(base_url=base, cookies=cookies, trust_env=False, timeout=30)

    def run(self, dag_id: str) -> str:
        """Run a DAG to its end."""
        run_id = self.airflow.trigger_dag(dag_id)
        self.airflow.wait_dag_run(dag_id, run_id)
        return run_id

    def task_page(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """Where Airflow shows the tab of a task instance."""
        mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
        return f"{self.run_address(dag_id, run_id)}/tasks/{task_id}{mapped}/plugin/test-runs"

    def dag_run_page(self, dag_id: str, run_id: str) -> str:
        """Where Airflow shows the tab of a DAG run."""
        return f"{self.run_address(dag_id, run_id)}/plugin/test-runs-of-dag-run"

    def run_address(self, dag_id: str, run_id: str) -> str:
        """The DAG run in Airflow's UI."""
        return f"{self.airflow.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"

    @property
    def history_page(self) -> str:
        """Where Airflow shows the history."""
        return f"{self.airflow.url}/plugin/test-history"


@contextmanager
def stage(
    home: Path,
    *,
    dags: Sequence[Path] | None = None,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Start both, and stop them on exit."""
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED))) as sandbox:
        airflow = LocalAirflow(
            dags or sorted(DAGS.glob("*.py")),
            home=home,
            port=port,
            users=USERS,
            parallelism=3,
            connections={
                "testerarmy_default": sandbox_connection(sandbox.url),
                "docket_default": docket_connection(sandbox.url),
            },
            env={
                "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.browser.auth.PerDagAuthManager",
                "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
                "AIRFLOW__API__EXPOSE_CONFIG": "True",
                "AIRFLOW__TESTERARMY__REPOSITORY_URL": REPOSITORY_URL,
                **(env or {}),
            },
        )
        with airflow:
            yield Stage(airflow, sandbox)
