"""One Airflow on PostgreSQL and one sandbox for both vendors; all selected cases run in parallel."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.conformance.scene import Plan, Scene, conn_id
from tests.rig.airflow import LocalAirflow

log = logging.getLogger(__name__)

DATABASE_VARIABLE = "TESTERARMY_TEST_DATABASE_URL"
USUAL_DATABASE = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
DAGS = Path(__file__).with_name("dags") / "conformance.py"

#: Sandbox seconds per real second. A usual run takes some seconds: if a trigger fires right after the deferral, a
#: busy scheduler may not have processed the deferral yet, and then considers the task lost.
SPEED = 2
PARALLELISM = 10
SETTINGS = {
    # Seconds after which Airflow considers a worker lost; the default is 300.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    # On a busy machine the scheduler's heartbeat can be late, and it would then adopt its own tasks as orphans.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "300",
}


@pytest.fixture(scope="session")
def conformance_database() -> str:
    """The PostgreSQL server to use; without one the suite is skipped, and in CI it fails."""
    url = os.environ.get(DATABASE_VARIABLE, USUAL_DATABASE)
    try:
        with create_engine(url, connect_args={"connect_timeout": 5}).connect() as link:
            link.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        message = f"no PostgreSQL at {DATABASE_VARIABLE} ({str(error).splitlines()[0]})"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(message)
        pytest.skip(message)
    return url


@pytest.fixture(scope="session")
def scenes(request: pytest.FixtureRequest, conformance_database: str) -> Iterator[dict[Plan, Scene]]:
    """Every selected plan, run to its end; Airflow still runs, so that tests can query it."""
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    chosen = [spec.params.get("scene") for spec in specs if spec is not None]
    plans = [plan for plan in chosen if isinstance(plan, Plan)]
    numbered = list(enumerate(plans, 1))
    with (
        SandboxServer(Sandbox(SandboxClock(speed=SPEED))) as service,
        LocalAirflow(
            [DAGS],
            database_url=conformance_database,
            parallelism=PARALLELISM,
            connections={conn_id(number): plan.vendor.desk.connection(service) for number, plan in numbered},
            env=SETTINGS,
        ) as airflow,
    ):
        eye = create_engine(airflow.database.url, pool_size=5, max_overflow=len(plans))
        found = {plan: Scene(plan, number, airflow, service.control, eye) for number, plan in numbered}
        _play(list(found.values()))
        yield found
        eye.dispose()


def _play(scenes: list[Scene]) -> None:
    # Airflow starts DAG runs in order, so start those that take longest first.
    for scene in sorted(scenes, key=lambda scene: scene.plan.script != "endless"):
        scene.start()
    with ThreadPoolExecutor(max(1, len(scenes)), thread_name_prefix="scene") as pool:
        list(pool.map(Scene.play, scenes))
    for scene in scenes:
        log.info("%s: %.1f s, %s", scene, scene.seconds, scene.failure or scene.describe())


@pytest.fixture
def scene(request: pytest.FixtureRequest, scenes: dict[Plan, Scene]) -> Scene:
    """The finished case of this test."""
    played = scenes[request.param]
    if played.failure is not None:
        raise played.failure
    return played


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Add the history of the task to the report of a failed test."""
    report: pytest.TestReport = yield
    spec = getattr(item, "callspec", None)
    scenes = getattr(item, "funcargs", {}).get("scenes", {})
    if report.failed and spec is not None and spec.params.get("scene") in scenes:
        report.sections.append(("what happened", scenes[spec.params["scene"]].story()))
    return report
