"""Drives flows through a hook against the sandbox, without waiting."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.single import await_runs
from airflow_provider_testerarmy.runs.awaiting.watchlist import WaitEnd
from airflow_provider_testerarmy.runs.flow import drive
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.submit import Setting, submit
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY


@pytest.fixture
def connect_docket(service, monkeypatch):
    """Sets the connection `docket_default`; by default one to the sandbox."""

    def set_connection(**fields):
        connection = {
            "conn_type": "docket",
            "host": service.docket_url,
            "password": DEFAULT_API_KEY,
            **fields,
        }
        monkeypatch.setenv("AIRFLOW_CONN_DOCKET_DEFAULT", json.dumps(connection))
        return DocketHook()

    return set_connection


class Journal:
    """What the lifecycle would write down."""

    def __init__(self):
        self.lines = []

    def intent(self, intent):
        self.lines.append(("intent", intent.since))

    def not_sent(self):
        self.lines.append(("not sent",))

    def submitted(self, submission):
        self.lines.append(("submitted", submission))

    def nothing_started(self, reason=""):
        self.lines.append(("nothing started",))

    def unclear(self, reason, candidates):
        self.lines.append(("unclear", candidates))


class Driver:
    """Drives flows against the sandbox; a pause moves the sandbox's clock instead of taking time."""

    def __init__(self, hook, service):
        self.service = hook.service()
        self.log, self.journal = [], Journal()
        self._put, self.close = hook.asker()
        self._clock = service.control.clock

    def drive(self, flow):
        return drive(flow, self._put, self._clock.advance)

    def setting(self, request, max_outage=30.0):
        report = self.log.append
        return Setting(self.service, request, self.journal, max_outage, self._clock.time, report)

    def submit(self, *ids, **options):
        request = RunRequest("tests", ", ".join(map(str, ids)), {"test_blueprint_ids": list(ids)})
        return self.drive(submit(self.setting(request), **options))

    def await_runs(self, run_ids, timeout=None):
        deadline = None if timeout is None else self._clock.time() + timeout
        pace = Pace(5.0, 60.0, deadline)
        return self.drive(await_runs(self.service, run_ids, pace, self._clock.time, self.log.append))

    def run(self, *ids):
        """Return the results of such a group run, in order."""
        waited = self.await_runs(self.submit(*ids).submission.run_ids)
        assert waited.end is WaitEnd.FINISHED
        return list(waited.results.values())


@pytest.fixture
def docket_driver(connect_docket, service):
    """A driver of Docket with a good connection."""
    driver = Driver(connect_docket(), service)
    yield driver
    driver.close()
