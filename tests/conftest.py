"""Fixtures for all tests: a separate Airflow home, deterministic hypothesis settings, and a sandbox server."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Before anything imports Airflow, which makes a home where it is imported.
os.environ.setdefault("AIRFLOW_HOME", str(Path(__file__).resolve().parents[1] / ".local" / "unit"))

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox

NOON = 1_770_811_200.0  # 2026-02-11T12:00:00Z

# The same examples on every machine, and none remembered in files.
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests that start an Airflow in one process."""
    if config.getvalue("dist") != "loadscope":
        return None
    from tests.parallel import OneAirflow

    return OneAirflow(config, log)


@pytest.fixture(scope="session")
def running_service() -> Iterator[SandboxServer]:
    """One sandbox server for all tests, with a manual clock."""
    with SandboxServer(Sandbox(SandboxClock(manual=True, start=NOON))) as server:
        yield server


@pytest.fixture
def service(running_service: SandboxServer) -> SandboxServer:
    """The sandbox, reset before each test."""
    running_service.control.reset()
    return running_service


#: Tests that use what workers have to keep records on this Airflow.
WITH_AIRFLOWS_OWN_RECORDS = {"tests.lifecycle.test_record_backends", "tests.test_airflow_compat"}


@pytest.fixture(autouse=True)
def records_in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Airflow 3.3 a record is a Variable, which needs a running Airflow. Tests use a dictionary instead."""
    from airflow_provider_testerarmy import airflow_compat

    if airflow_compat.TASK_STATE_STORE.available or request.module.__name__ in WITH_AIRFLOWS_OWN_RECORDS:
        return
    kept: dict[Any, Any] = {}

    def name(ti: Any) -> tuple[Any, ...]:
        return ti.dag_id, ti.run_id, ti.task_id, ti.map_index

    monkeypatch.setattr(airflow_compat, "read_record", lambda ti: kept.get(name(ti)))
    monkeypatch.setattr(airflow_compat, "write_record", lambda ti, record: kept.update({name(ti): record}))
    monkeypatch.setattr(airflow_compat, "delete_record", lambda ti: kept.pop(name(ti), None))
    monkeypatch.setattr(airflow_compat, "prune_records", lambda older_than: 0)


class _Kept(logging.Handler):
    """Collects log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record.getMessage())


@pytest.fixture
def httpx_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The log lines of httpx, as they appear in a task's log."""
    logger, handler = logging.getLogger("httpx"), _Kept()
    monkeypatch.setattr(logger, "disabled", False)
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler.kept
    logger.setLevel(before)
    logger.removeHandler(handler)
