"""Fixtures for the tests of task groups."""

from __future__ import annotations

import pytest

from tests.lifecycle.conftest import connections, listener, no_pauses
from tests.task_groups.group_run import GroupRun

__all__ = ["connections", "listener", "no_pauses"]


@pytest.fixture
def run(service, connections):
    """A DAG run with the task group."""
    return GroupRun(service)
