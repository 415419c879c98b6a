"""Which runs of a record of version 0.1 the listener cancels: it names no request, so the rendered fields tell."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.orphans import stop_orphans
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.stored import from_json
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest as SandboxRequest

HOOK = "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook"
TASK = airflow_compat.TaskName("dag", "manual", "tests")
CONNECTION = {"testerarmy_conn_id": "testerarmy_default"}


@pytest.fixture
def airflow(monkeypatch, service):
    """Airflow's answers to the listener, with the task's rendered fields to set."""
    has = SimpleNamespace(fields={}, began=service.control.clock.now())
    connection = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(airflow_compat, "rendered_fields", lambda _task: has.fields)
    monkeypatch.setattr(airflow_compat, "beginning_of", lambda _task: has.began)
    monkeypatch.setattr(airflow_compat, "stored_variable", lambda _key: None)
    monkeypatch.setattr(
        airflow_compat, "get_connection_for", lambda _dag, conn_id: BaseHook.get_connection(conn_id)
    )
    return has


def stop(*run_ids):
    """What becomes of these runs, which a record of version 0.1 names."""
    stored = {
        "version": 1,
        "generation": 0,
        "parts": {"run": {"submission": {"run_ids": list(run_ids)}}},
        "stage": "open",
        "round": 0,
        "failed": [],
        "again": [],
        "passed": [],
        "owner": {"hook": HOOK, "conn_id": "testerarmy_default", "cancels": True},
    }
    record = from_json(stored)
    assert record is not None
    return stop_orphans(record, stored, TASK, logging.getLogger(__name__))


def started(service, kind):
    """Runs of a test, a group or a prompt that have not ended, and the rendered fields of their task."""
    store = service.control.store
    if kind == "test":
        test = store.catalog.tests[catalog.TEST_ENDLESS]
        return [store.submit_test(test, SandboxRequest()).id], {"test_id": test.id}
    if kind == "group":
        group = store.catalog.groups[catalog.GROUP_ENDLESS]
        return [run.id for run in store.submit_group(group, SandboxRequest()).runs], {"group_id": group.id}
    prompt = "Log in and read the balance"
    run = store.submit_prompt("passes", SandboxRequest(input={"prompt": prompt}))
    return [run.id], {"prompt": prompt}


@pytest.mark.parametrize("kind", ["test", "group", "prompt"])
def test_runs_of_the_tasks_own_target_are_stopped(kind, service, airflow):
    """A task of version 0.1 failed after an upgrade, and no worker could cancel its runs."""
    run_ids, target = started(service, kind)
    airflow.fields = {**CONNECTION, **target}
    assert stop(*run_ids) is StopResult.STOPPED
    assert set(service.control.log.cancelled_run_ids()) == set(run_ids)


@pytest.mark.parametrize("kind", ["test", "prompt"])
@pytest.mark.parametrize("other", [{"test_id": catalog.TEST_PASSES}, {"prompt": "Buy a blue bicycle"}, {}])
def test_runs_of_another_target_are_left_alone(kind, other, service, airflow):
    """Users can edit task state, but not the rendered fields."""
    run_ids, _ = started(service, kind)
    airflow.fields = {**CONNECTION, **other}
    assert stop(*run_ids) is StopResult.RUNNING
    assert not service.control.log.cancelled_run_ids()
