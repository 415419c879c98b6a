"""The Airflow instances that the cases run on, and the table at the end of the session."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos import company, table
from tests.chaos.cases import Case, Drill, Outcome
from tests.chaos.deferral_drills import WORKER_ONLY
from tests.chaos.stage import DAGS, LOST_AFTER, SPARE, Stage, connection, new_service
from tests.rig.airflow import LocalAirflow
from tests.rig.settings import connection_variables

DATABASE_VARIABLE = "TESTERARMY_TEST_DATABASE_URL"
BROKER_VARIABLE = "TESTERARMY_TEST_BROKER_URL"
TABLE_VARIABLE = "TESTERARMY_CHAOS_TABLE"
HOME_VARIABLE = "TESTERARMY_CHAOS_HOME"
USUAL_DATABASE = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
USUAL_BROKER = "redis://127.0.0.1:6379/0"

OUTCOMES = pytest.StashKey[dict[Case, Outcome]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the suite's markers."""
    config.addinivalue_line("markers", "celery: needs Redis and the Celery provider")
    config.stash[OUTCOMES] = {}


def _cannot(reason: str) -> None:
    """Skip a test that cannot run here; in CI, fail it."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def database_url() -> str:
    """The PostgreSQL server to use."""
    url = os.environ.get(DATABASE_VARIABLE, USUAL_DATABASE)
    try:
        with create_engine(url, connect_args={"connect_timeout": 5}).connect() as link:
            link.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        _cannot(f"no PostgreSQL at {DATABASE_VARIABLE} ({str(error).splitlines()[0]})")
    return url


@pytest.fixture(scope="session")
def broker_url() -> str:
    """The Redis server that is the Celery broker."""
    if importlib.util.find_spec("celery") is None:
        _cannot("apache-airflow-providers-celery is not installed")
    url = os.environ.get(BROKER_VARIABLE, USUAL_BROKER)
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or 6379), timeout=5).close()
    except OSError as error:
        _cannot(f"no Redis at {BROKER_VARIABLE} ({error})")
    return url


@contextmanager
def _airflow(name: str, env: Mapping[str, str], **options: Any) -> Iterator[Stage]:
    home = os.environ.get(HOME_VARIABLE)
    with new_service() as service:
        airflow = LocalAirflow(
            [DAGS],
            home=Path(home) / name if home else None,
            triggerers=2,
            connections={"testerarmy_default": connection(service)},
            env={**LOST_AFTER, **env},
            **options,
        )
        # The LocalExecutor's workers inherit this connection from the scheduler; the triggerer does not have it.
        airflow.processes["scheduler"].env.update(connection_variables({WORKER_ONLY: connection(service)}))
        # With the LocalExecutor, the second triggerer is started only by the drills that need it.
        spare = None if "executor" in options else airflow.processes.pop(SPARE)
        with airflow:
            stage = Stage(airflow, service, spare)
            yield stage
            stage.close()


@pytest.fixture(scope="module")
def stage(database_url: str) -> Iterator[Stage]:
    """An Airflow with the LocalExecutor."""
    with _airflow("local", {}, database_url=database_url, parallelism=24) as stage:
        yield stage


@pytest.fixture(scope="module")
def celery_stage(database_url: str, broker_url: str) -> Iterator[Stage]:
    """An Airflow with two Celery workers and two triggerers."""
    options = {"database_url": database_url, "broker_url": broker_url, "workers": 2}
    few = {"AIRFLOW__CELERY__WORKER_CONCURRENCY": "4"}
    with _airflow("celery", few, executor="CeleryExecutor", **options) as stage:
        yield stage


def _play(request: pytest.FixtureRequest, stage: Stage, drills: Iterable[Drill]) -> dict[Case, Outcome]:
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [spec.params["case"] for spec in specs if spec is not None and "case" in spec.params]
    played = company.play(stage, drills, wanted)
    request.config.stash[OUTCOMES].update(played)
    return played


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, stage: Stage) -> dict[Case, Outcome]:
    """The outcomes of all selected cases, which run once, many of them in parallel."""
    return _play(request, stage, company.LOCAL)


@pytest.fixture(scope="module")
def celery_outcomes(request: pytest.FixtureRequest, celery_stage: Stage) -> dict[Case, Outcome]:
    """The outcomes of all selected cases on Celery."""
    return _play(request, celery_stage, company.CELERY)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and write it to the file that the environment names."""
    played = list(config.stash[OUTCOMES].values())
    if not played:
        return
    played.sort(key=lambda outcome: company.NUMBERS[outcome.case])
    terminalreporter.section("chaos")
    for line in table.plain(played):
        terminalreporter.write_line(line)
    if path := os.environ.get(TABLE_VARIABLE):
        table.write(Path(path), played)
