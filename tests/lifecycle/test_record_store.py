"""The record of a task where Airflow has only Variables, which it never prunes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import Feature
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import asked_for
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Stage
from airflow_provider_testerarmy.runs.temporary import TemporaryTarget
from tests.lifecycle.test_record_backends import task_instance
from tests.metadata import database, empty_database, supervised, tables

__all__ = ["database", "empty_database", "supervised", "tables"]

GROUP = RunRequest("group", "g")


@pytest.fixture(params=["database", "supervised"])
def open_record(request, monkeypatch):
    """Opens the record of the task instance, as each try does."""
    request.getfixturevalue(request.param)
    monkeypatch.setattr(airflow_compat, "TASK_STATE_STORE", Feature("", (99, 0), "", ""))
    ti = task_instance(try_number=1, max_tries=0)
    context = {"ti": ti, "task": SimpleNamespace(retries=0), "dag_run": None}
    asked = asked_for("hook", "conn", GROUP, "gate")
    return lambda: RecordStore(context, asked, "secret", cancels=True, durable=True)


def with_part(store, state):
    """The record of a task whose runs are in this state."""
    return store.fresh.with_part("run", Part(GROUP, state, submission=Submission(("r",))))


def test_a_concluded_record_is_deleted(open_record):
    """Else a Variable of each task instance would stay for good."""
    store = open_record()
    store.keep(with_part(store, PartState.STARTED))
    assert open_record().earlier().run_ids == ("r",)
    store.keep(replace(with_part(store, PartState.ENDED), stage=Stage.CONCLUDED))
    assert open_record().earlier() is None


@pytest.mark.parametrize("left", ["a run", "a temporary group"])
def test_a_concluded_record_that_has_something_to_clean_up_stays(open_record, left):
    """The listener, or a later try, stops it."""
    store = open_record()
    record = with_part(store, PartState.STARTED if left == "a run" else PartState.ENDED)
    temporary = None if left == "a run" else TemporaryTarget("Airflow confirms", "p", "t")
    store.keep(replace(record, stage=Stage.CONCLUDED, temporary=temporary))
    assert open_record().earlier().to_clean_up
