"""The tests of notifiers use the fixtures of the lifecycle's tests, and a GitHub on a socket."""

from __future__ import annotations

import json

import pytest

from tests.lifecycle.conftest import airflow_says, connections, no_pauses, tries, variables
from tests.notifications.github_server import GitHubServer

__all__ = ["airflow_says", "connections", "no_pauses", "tries", "variables"]


@pytest.fixture
def github(monkeypatch):
    """A GitHub, and the connection `github_default` to it."""
    with GitHubServer() as server:
        fields = {"conn_type": "github", "host": server.url, "password": server.token}
        monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(fields))
        yield server
