"""One Airflow for all of these tests, one sandbox beside it, and DAG runs that many tests look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.core.requestlog import LogEntry
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from tests.integration.mailbox import Mailbox
from tests.rig.airflow import LocalAirflow
from tests.rig.api import FINISHED_TASK, Json
from tests.rig.sandbox import EXAMPLE_DAGS, dag_files, sandbox_connection
from tests.rig.waiting import eventually

DAGS = Path(__file__).with_name("dags")
#: Sandbox seconds per real second. A usual test takes six seconds: a trigger that fires as soon as its task is
#: deferred can overtake the scheduler on a busy machine, which then takes the task for lost.
SPEED = 2

WRONG_KEY = "sk_wrong_3b7c2a90d1"
PASSWORD = "correct-horse-battery-staple"


@dataclass
class Seen:
    """A DAG run that is over, or has come as far as it will, and what the service saw of it."""

    airflow: LocalAirflow
    dag_id: str
    run_id: str
    states: dict[str, str] = field(default_factory=dict)
    calls: list[LogEntry] = field(default_factory=list)

    def task(self, task_id: str, map_index: int = -1) -> Json:
        """The task instance."""
        return self.airflow.task_instance(self.dag_id, self.run_id, task_id, map_index)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The XCom, read through the REST API."""
        return self.airflow.xcom(self.dag_id, self.run_id, task_id, key, map_index)

    def xcom_keys(self, task_id: str) -> set[str]:
        """The keys of its XComs."""
        return self.airflow.xcom_keys(self.dag_id, self.run_id, task_id)

    def log(self, task_id: str, try_number: int = 1) -> str:
        """The log of one try."""
        return self.airflow.task_log(self.dag_id, self.run_id, task_id, try_number)

    def links(self, task_id: str) -> dict[str, str | None]:
        """The buttons on the task's page."""
        return self.airflow.extra_links(self.dag_id, self.run_id, task_id)

    def tries(self, task_id: str) -> list[str]:
        """The state in which each try ended."""
        return [each["state"] for each in self.airflow.task_tries(self.dag_id, self.run_id, task_id)]

    def submissions_of(self, path: str) -> int:
        """How many of the calls started something at this path."""
        return sum(call.path == path and call.effect == "submitted" for call in self.calls)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxServer]:
    """The service, in a thread beside the tests."""
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED))) as server:
        yield server


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    """Where the examples' e-mails go."""
    with Mailbox() as running:
        yield running


@pytest.fixture(scope="session")
def airflow(
    sandbox: SandboxServer, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalAirflow]:
    """The Airflow, with these tests' DAGs and the examples."""
    good = sandbox_connection(sandbox.url)
    connections = {
        "testerarmy_default": good,
        "docket_default": {
            "conn_type": "docket",
            "host": sandbox.docket_url,
            "password": DEFAULT_API_KEY,
        },
        "ta_wrong_key": {**good, "password": WRONG_KEY},
        "ta_forbidden_key": {**good, "password": "sk_forbidden_5e1f"},
        "ta_no_key": {**good, "password": ""},
        "ta_broken_key": {**good, "password": f"{good['password']}\n{good['password']}"},
        "ta_plain_http": {**good, "host": "http://tester.army/api/v1"},
        "smtp_default": {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": mailbox.port,
            "extra": {"disable_ssl": True, "disable_tls": True},
        },
        "shop_login": {"conn_type": "generic", "login": "jane@acme.example", "password": PASSWORD},
    }
    with LocalAirflow(
        dag_files(DAGS, EXAMPLE_DAGS),
        home=tmp_path_factory.mktemp("airflow"),
        connections=connections,
        parallelism=3,
        # The examples have schedules, and only what a test starts should run.
        env={"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"},
    ) as running:
        yield running


@pytest.fixture(scope="session")
def run_dag(airflow: LocalAirflow, sandbox: SandboxServer) -> Callable[..., Seen]:
    """Runs a DAG until every task has ended, or waits for a retry that is far off."""

    def run(dag_id: str, still: frozenset[str] = frozenset()) -> Seen:
        before = len(sandbox.control.log)
        seen = Seen(airflow, dag_id, airflow.trigger_dag(dag_id))

        def rest() -> bool:
            tasks = airflow.task_instances(dag_id, seen.run_id)
            seen.states = {task["task_id"]: task["state"] for task in tasks}
            waits = {task["task_id"] for task in tasks if task["state"] == "up_for_retry"}
            return len(tasks) > 0 and all(
                task["state"] in FINISHED_TASK or task["task_id"] in waits & still for task in tasks
            )

        eventually(rest, 180, f"the end of {dag_id}", state=lambda: airflow.describe_run(dag_id, seen.run_id))
        seen.calls = sandbox.control.log.entries(since=before)
        if still:
            airflow.set_dag_run_state(dag_id, seen.run_id, "failed")
        airflow.wait_dag_run(dag_id, seen.run_id)
        return seen

    return run


@pytest.fixture(scope="session")
def endings(run_dag: Callable[..., Seen]) -> Seen:
    """A run of the DAG `endings`."""
    return run_dag("endings", still=frozenset({"broken"}))


@pytest.fixture(scope="session")
def refused(run_dag: Callable[..., Seen]) -> Seen:
    """A run of the DAG `refused`."""
    return run_dag("refused")


@pytest.fixture(scope="session")
def waiting(airflow: LocalAirflow) -> Seen:
    """A run of the DAG `waiting` with both tasks deferred."""
    seen = Seen(airflow, "waiting", airflow.trigger_dag("waiting"))
    for task_id in ("group", "prompt"):
        airflow.wait_task_state("waiting", seen.run_id, task_id, "deferred")
    return seen


@pytest.fixture(scope="session")
def while_waiting(waiting: Seen) -> dict[str, Any]:
    """What Airflow shows of the tasks while they wait."""
    # Airflow pushes the link as the worker exits, a moment after the deferral.
    eventually(lambda: "testerarmy_url" in waiting.xcom_keys("group"), 30, "the link")
    return {
        "links": waiting.links("group"),
        "run_ids": waiting.xcom("group", "run_ids"),
        "batch_id": waiting.xcom("group", "batch_id"),
        "keys": waiting.xcom_keys("group"),
        "triggers": waiting.airflow.trigger_rows(),
        "rendered": waiting.task("prompt")["rendered_fields"],
    }


@pytest.fixture(scope="session")
def waited(while_waiting: dict[str, Any], waiting: Seen, sandbox: SandboxServer) -> Seen:
    """The same tasks after their runs were made to end."""
    for run in list(sandbox.control.store.runs.values()):
        if run.script == "endless":
            sandbox.control.store.force(run.id, script="passes")
    waiting.airflow.wait_dag_run("waiting", waiting.run_id)
    return waiting
