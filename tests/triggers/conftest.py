"""Triggers that wait for runs of the sandbox."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger


@pytest.fixture
def connection(service, monkeypatch):
    """The connection `testerarmy_default`, to the sandbox."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))


@pytest.fixture
def trigger():
    """A trigger that waits for a group it has started."""

    def make(group_id, **parameters):
        hook = TesterArmyHook()
        path = parameters.pop("hook", hook.path)
        submission = hook.send(hook.service().submit(RunRequest("group", group_id)))
        hook.close()
        return AwaitRunsTrigger(
            hook=path,
            conn_id=parameters.pop("conn_id", hook.conn_id),
            run_ids=list(submission.run_ids),
            rejected_run_ids=list(submission.rejected_run_ids),
            batch_id=submission.batch_id,
            **{"poll_interval": 0.05, **parameters},
        )

    return make
