"""What all tests share: an Airflow home of their own, a steady hypothesis, a sandbox behind a socket."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports Airflow, which makes a home where it is imported.
os.environ.setdefault("AIRFLOW_HOME", str(Path(__file__).resolve().parents[1] / ".local" / "unit"))

from airflow_provider_testerarmy.sandbox.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox

NOON = 1_770_811_200.0  # 2026-02-11T12:00:00Z

# The same examples on every machine, and none remembered in files.
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def running_service() -> Iterator[SandboxServer]:
    """One sandbox, its clock moved by hand, for all tests that ask a service over a socket."""
    with SandboxServer(Sandbox(SandboxClock(manual=True, start=NOON))) as server:
        yield server


@pytest.fixture
def service(running_service: SandboxServer) -> SandboxServer:
    """The service, with nothing left of the test before."""
    running_service.control.reset()
    return running_service


class _Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record.getMessage())


@pytest.fixture
def httpx_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What httpx logs, as a task's log has it."""
    logger, handler = logging.getLogger("httpx"), _Kept()
    monkeypatch.setattr(logger, "disabled", False)
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler.kept
    logger.setLevel(before)
    logger.removeHandler(handler)
