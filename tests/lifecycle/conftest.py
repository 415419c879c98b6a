"""Fixtures for the tests of a try: a connection to the sandbox, and the tries of a task instance."""

from __future__ import annotations

import json
import logging
import time

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.orphans import stop_orphans
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.submission.stored import from_json
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.lifecycle.tries import TaskInstance, Tries

LOGIN = {"conn_type": "generic", "login": "jane@acme.example", "password": "battery-staple"}


@pytest.fixture
def connections(service, monkeypatch):
    """The connection `testerarmy_default` to the sandbox, and a connection with a login for the product."""
    extra = {"workspace": "acme", "project_short_id": "shop"}
    fields = {
        "conn_type": "testerarmy",
        "host": service.url,
        "password": DEFAULT_API_KEY,
        "extra": extra,
    }
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_LOGIN", json.dumps(LOGIN))


@pytest.fixture
def tries(service, connections):
    """The tries of a task instance."""
    return Tries(service)


@pytest.fixture
def airflow_says(monkeypatch):
    """Sets the state that Airflow's API server has for the task."""

    def say(state):
        monkeypatch.setattr(airflow_compat, "own_state", lambda _ti: state)

    return say


@pytest.fixture
def variables(monkeypatch):
    """Airflow's Variables, which all tasks share."""
    held = {}
    monkeypatch.setattr(airflow_compat, "has_variables", lambda: True)
    monkeypatch.setattr(airflow_compat, "get_variable", held.get)
    monkeypatch.setattr(
        airflow_compat, "set_variable", lambda key, value, _description: held.update({key: value})
    )
    return held


@pytest.fixture
def no_pauses(monkeypatch, service):
    """Pauses advance the clocks of the sandbox and the worker instead of sleeping."""
    began, passed = time.time(), [0.0]

    def sleep(seconds):
        passed[0] += seconds
        service.control.clock.advance(seconds)

    monkeypatch.setattr(ServiceSession, "sleep", staticmethod(sleep))
    monkeypatch.setattr(ServiceSession, "clock", staticmethod(lambda: began + passed[0]))
    return passed


@pytest.fixture
def docket_connection(service, monkeypatch):
    """The connection `docket_default` to the sandbox."""
    fields = {"conn_type": "docket", "host": service.docket_url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_DOCKET_DEFAULT", json.dumps(fields))


@pytest.fixture
def night(service, monkeypatch):
    """Starts another task instance of the same DAG."""
    number = iter(range(1, 100))

    def start():
        monkeypatch.setattr(TaskInstance, "run_id", f"night {next(number)}")
        tries = Tries(service)
        tries.clear_number = 0
        return tries

    return start


@pytest.fixture
def listener(monkeypatch):
    """What the listener does with the record of a task that has neither worker nor trigger."""
    monkeypatch.setattr(airflow_compat, "rendered_fields", lambda _task: {})
    monkeypatch.setattr(airflow_compat, "beginning_of", lambda _task: None)
    monkeypatch.setattr(airflow_compat, "stored_variable", lambda _key: None)
    monkeypatch.setattr(
        airflow_compat, "get_connection_for", lambda _dag, conn_id: BaseHook.get_connection(conn_id)
    )
    log = logging.getLogger(__name__)

    def stop(stored, last=True):
        task = airflow_compat.TaskName("dag", TaskInstance.run_id, "tests", -1)
        return stop_orphans(from_json(stored), stored, task, log, last=last)

    return stop
