"""A batch that runs again, against the sandbox: judged, started once, and cancelled as the other runs."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import (
    RequestRefused,
    RunInterrupted,
    SubmissionUnclear,
    TestsFailedFinally,
)
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRerunBatchOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import no_pauses  # noqa: F401
from tests.lifecycle.tries import Died, Store, Tries, cancelled, group, started

pytestmark = pytest.mark.usefixtures("connections")


def batch_of(service, group_id):
    """A batch of an earlier task, which has ended."""
    tries = Tries(service)
    tries.execute(group(group_id))
    return tries.xcoms["batch_id"]


def again(batch_id, **fields):
    given = {"task_id": "again", "deferrable": False, "poll_interval": 0.05, "batch_id": batch_id}
    return TesterArmyRerunBatchOperator(**{**given, **fields})


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize(
    ("group_id", "end"),
    [(catalog.GROUP_SEQUENTIAL, "passed"), (catalog.GROUP_FAILING, TestsFailedFinally)],
)
def test_it_is_judged_as_the_others(tries, service, deferrable, group_id, end):
    """With a batch of its own."""
    source = batch_of(service, group_id)
    task = again(source, deferrable=deferrable)
    ended = tries.execute(task)
    if deferrable:
        assert isinstance(ended, TaskDeferred)
        ended = tries.through_trigger(task)
    assert ended["verdict"] == end if end == "passed" else type(ended) is end
    assert tries.xcoms["batch_id"] not in ("", source)
    assert len(service.control.log.submissions()) == 2


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["reset_after", "status_after"])
def test_a_lost_response_starts_nothing_twice(tries, service, kind):
    """The runs cannot be told from others, so the task says which they may be."""
    source = batch_of(service, catalog.GROUP_SEQUENTIAL)
    service.control.faults.add(kind, "rerun_batch")
    ended = tries.execute(again(source))
    assert isinstance(ended, SubmissionUnclear)
    _, submission = service.control.log.submissions()
    assert set(ended.run_ids) == set(submission.run_ids)


@pytest.mark.usefixtures("no_pauses")
def test_a_retry_after_a_lost_worker_starts_nothing_twice(tries, service, monkeypatch):
    """The worker dies between the request and its answer."""
    source = batch_of(service, catalog.GROUP_SEQUENTIAL)

    store = Store.set

    def die(self, key, value):
        if len(service.control.log.submissions()) == 2:
            raise Died
        store(self, key, value)

    monkeypatch.setattr(Store, "set", die)
    assert isinstance(tries.execute(again(source), max_tries=1), Died)
    monkeypatch.setattr(Store, "set", store)
    ended = tries.execute(again(source), 2, max_tries=1)
    assert isinstance(ended, SubmissionUnclear)
    assert len(service.control.log.submissions()) == 2


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["reset_before", "status", "html"])
def test_a_hiccup_fails_no_task(tries, service, kind):
    """Nothing was started, so the request is sent again."""
    source = batch_of(service, catalog.GROUP_SEQUENTIAL)
    service.control.faults.add(kind, "rerun_batch")
    assert tries.execute(again(source))["verdict"] == "passed"
    assert len(service.control.log.submissions()) == 2


def test_a_killed_task_cancels_the_runs(tries, service):
    """As every other run."""
    source = batch_of(service, catalog.GROUP_SEQUENTIAL)
    service.control.store.override_script(catalog.TEST_PASSES, "endless")
    before = set(started(service))
    task = again(source)
    tries.seconds = 0
    assert isinstance(tries.execute(task, meanwhile=task.on_kill), RunInterrupted)
    assert set(cancelled(service)) == set(started(service)) - before


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("batch_id", ["", "None", "no-uuid", catalog.UNKNOWN_ID])
def test_an_unusable_batch_is_refused(tries, service, batch_id):
    """Nothing is started."""
    assert isinstance(tries.execute(again(batch_id)), RequestRefused)
    assert started(service) == []


@pytest.mark.usefixtures("no_pauses")
def test_an_active_batch_is_refused(tries, service):
    """The service says so."""
    other = Tries(service, seconds=0)
    other.execute(group(catalog.GROUP_ENDLESS, wait_for_completion=False))
    ended = tries.execute(again(other.xcoms["batch_id"]))
    assert isinstance(ended, RequestRefused)
    assert "still has active runs" in str(ended)
