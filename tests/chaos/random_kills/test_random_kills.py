"""Random kills on a real Airflow: `TESTERARMY_RANDOM_KILLS` sets their number, `SEED` selects them."""

from __future__ import annotations

import logging
import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.chaos.random_kills import conftest, report
from tests.chaos.random_kills.events import draw
from tests.chaos.random_kills.judge import Judge
from tests.chaos.random_kills.plan import catalog
from tests.chaos.random_kills.scenario import Scenario
from tests.chaos.random_kills.table import Result
from tests.chaos.stage import LOST_AFTER
from tests.rig.airflow import LocalAirflow
from tests.rig.sandbox import docket_connection, sandbox_connection

log = logging.getLogger(__name__)

pytestmark = pytest.mark.integration

DAGS = Path(__file__).with_name("dags") / "random_kills.py"
#: Average seconds between two events.
MEAN_SECONDS = 3.5
SETTINGS = {
    **LOST_AFTER,
    # A message that a killed Celery worker had taken is lost; Airflow queues its task again after this.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "8",
}


@pytest.mark.parametrize(
    "executor",
    ["LocalExecutor", pytest.param("CeleryExecutor", marks=pytest.mark.celery)],
)
def test_every_promise_is_kept(executor: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    # Both executors share the kills.
    kills = -(-int(os.environ[conftest.KILLS_VARIABLE]) // 2)
    seed = int(os.environ.get(conftest.SEED_VARIABLE) or random.randrange(1_000_000))
    print(f"{executor}: {kills} kills, SEED={seed}")
    options: dict[str, Any] = {
        "database_url": request.getfixturevalue("database_url"),
        "executor": executor,
        "parallelism": 32,
        "env": SETTINGS,
        "home": tmp_path / "airflow",
    }
    if executor == "CeleryExecutor":
        options |= {"broker_url": request.getfixturevalue("broker_url"), "workers": 2, "triggerers": 2}
    with SandboxServer(Sandbox(catalog=catalog())) as service:
        connections = {
            "testerarmy_default": sandbox_connection(service.url),
            "docket_default": docket_connection(service.url),
        }
        with LocalAirflow([DAGS], connections=connections, **options) as airflow:
            scenario = Scenario(
                airflow, service, draw(seed, executor, kills, MEAN_SECONDS), seed, airflow.home
            )
            evidence = scenario.run()
    # For judging again after the judge has changed.
    (tmp_path / "evidence.pickle").write_bytes(pickle.dumps(evidence))
    violations = Judge(evidence).violations()
    request.config.stash.setdefault(conftest.RESULTS, []).append(Result(executor, seed, evidence, violations))
    (tmp_path / "report.txt").write_text(report.whole(seed, executor, evidence, violations))
    assert not violations, report.failure(seed, executor, evidence, violations)
