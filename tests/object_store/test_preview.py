"""The example of a preview on a real Airflow, its build in a real object store, with a kill at each step.

Each task is killed twice at each request that changes something: before the service has the request, and when the
service has obeyed it and the worker has no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.core.faults import Fault
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.engine import is_active
from tests.object_store.conftest import BUCKET, KEYS
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import EXAMPLE_DAGS, sandbox_connection
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

EXAMPLE, LAST_TRY = "ephemeral_preview", "last_try"
SHOP, APP = catalog.PROJECT_SHOP, catalog.PROJECT_APP
WEB_GROUP, MOBILE_GROUP = "30000000-0000-4000-8000-000000000002", "30000000-0000-4000-8000-000000000020"
#: The requests that change something, by the task that sends them.
REQUESTS = (
    ("create_environment", "create_environment"),
    ("login", "create_credential"),
    ("upload", "request_app_upload"),
    ("upload", "put_app"),
    ("upload", "confirm_app_upload"),
    ("web", f"POST /groups/{WEB_GROUP}/runs"),
    ("mobile", f"POST /groups/{MOBILE_GROUP}/runs"),
    ("delete_environment", "delete_environment"),
    ("delete_app", "delete_app"),
)
#: The service does not answer: it has done nothing, or what was asked of it.
MOMENTS = ("timeout", "timeout_after")

ON_THE_LAST_TRY = f'''
import pendulum
from airflow.sdk import DAG
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyCreateEnvironmentOperator,
    TesterArmyDeleteEnvironmentOperator,
    TesterArmyRunGroupOperator,
)

with DAG("{LAST_TRY}", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
    environment = {{"project_id": "{SHOP}", "name": "Last try"}}
    create = TesterArmyCreateEnvironmentOperator(
        task_id="create", url="https://preview.shop.example/", **environment
    )
    delete = TesterArmyDeleteEnvironmentOperator(task_id="delete", **environment)
    tests = TesterArmyRunGroupOperator(
        task_id="tests", group_id="{WEB_GROUP}", project_environment_id=create.output
    )
    create >> tests >> delete.as_teardown()
'''


@dataclass
class Step:
    """A kill: the fault that holds a request, and the task that sends it."""

    fault: Fault
    task_id: str
    done: bool = False


class Preview:
    """The Airflow and its sandbox."""

    def __init__(self, airflow: LocalAirflow, sandbox: SandboxServer) -> None:
        self.airflow, self.sandbox = airflow, sandbox.control

    def run(self, dag_id: str, steps: list[Step], **conf: Any) -> tuple[str, str]:
        """Run a DAG with kills; the id of the DAG run and its end."""
        run_id = self.airflow.trigger_dag(dag_id, conf)

        def ended() -> str | None:
            for step in steps:
                if step.fault.hits and not step.done:
                    (worker,) = self.airflow.worker_pids(dag_id, step.task_id, run_id)
                    worker.kill()
                    step.done = True
            state = self.airflow.dag_run(dag_id, run_id)["state"]
            return str(state) if state in ("success", "failed") else None

        end = eventually(
            ended, 600, f"end of {dag_id}", state=lambda: self.airflow.describe_run(dag_id, run_id)
        )
        return run_id, end

    def kill(self, task_id: str, match: str, moment: Any) -> Step:
        """Plan a kill."""
        return Step(self.sandbox.faults.add(moment, match), task_id)

    def left(self) -> dict[str, list[Any]]:
        """What the service has that it did not have at first; nothing deletes a login."""
        workspace = self.sandbox.store.workspace
        named = [each.name for each in self.sandbox.store.catalog.environments(SHOP)]
        now = self.sandbox.clock.time()
        return {
            "environments": [name for name in named if name not in ("Production", "Staging")],
            "apps": [each["id"] for each in workspace.apps_of(APP) if each["id"] != catalog.MOBILE_APP],
            "runs": [run.id for run in self.sandbox.store.runs.values() if is_active(run, now)],
            "logins": [each["label"] for each in workspace.credentials[SHOP]],
        }


@pytest.fixture(scope="module")
def preview(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preview]:
    """An Airflow with the example, whose retries are quick and as many as the kills of one task."""
    folder = tmp_path_factory.mktemp("dags")
    text = (EXAMPLE_DAGS / f"{EXAMPLE}.py").read_text()
    changed = text.replace('"retries": 2', '"retries": 6').replace(
        "timedelta(seconds=30)", "timedelta(seconds=1)"
    )
    assert changed.count('"retries": 6') == changed.count("timedelta(seconds=1)") == 1
    (folder / f"{EXAMPLE}.py").write_text(changed)
    (folder / f"{LAST_TRY}.py").write_text(ON_THE_LAST_TRY)
    with SandboxServer(Sandbox(SandboxClock(speed=2))) as sandbox:
        connections = {
            "testerarmy_default": sandbox_connection(sandbox.url),
            "shop_login": {
                "conn_type": "generic",
                "login": "jane@acme.example",
                "password": "battery-staple",
            },
            "aws_default": {
                "conn_type": "aws",
                "login": KEYS["aws_access_key_id"],
                "password": KEYS["aws_secret_access_key"],
                "extra": {"endpoint_url": endpoint, "region_name": KEYS["region_name"]},
            },
        }
        options = {"home": tmp_path_factory.mktemp("airflow"), "connections": connections, "parallelism": 3}
        with LocalAirflow(folder, **options) as airflow:
            yield Preview(airflow, sandbox)


def test_a_kill_at_each_step_leaves_nothing_behind(preview, bucket):
    """Retries find what is there, start nothing twice, and the teardowns delete all of it."""
    steps = [preview.kill(task, match, moment) for task, match in REQUESTS for moment in MOMENTS]
    run_id, end = preview.run(EXAMPLE, steps, builds=f"s3://aws_default@{BUCKET}/builds")
    assert [(step.task_id, step.fault.match, step.fault.kind) for step in steps if not step.done] == []
    assert end == "success"
    assert preview.airflow.xcom(EXAMPLE, run_id, "publish") == "web: passed, mobile: passed"
    assert preview.left() == {"environments": [], "apps": [], "runs": [], "logins": ["Preview buyer"]}
    assert len(preview.sandbox.log.submissions()) == 2
    assert [each.key for each in bucket.objects.all()] == ["builds/shop-4f2d1c9.ipa"]


def test_a_teardown_without_setups_deletes_what_a_killed_last_try_has_created(preview):
    """The setup has failed, and its environment exists."""
    step = preview.kill("create", "create_environment", "timeout_after")
    run_id, end = preview.run(LAST_TRY, [step])
    states = {each["task_id"]: each["state"] for each in preview.airflow.task_instances(LAST_TRY, run_id)}
    assert (end, states) == ("failed", {"create": "failed", "tests": "upstream_failed", "delete": "success"})
    assert preview.left()["environments"] == []
