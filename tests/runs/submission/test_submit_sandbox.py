"""Submissions against the sandbox, over a socket."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from airflow_provider_testerarmy.client.http.endpoint import Endpoint, Timeouts
from airflow_provider_testerarmy.client.http.errors import ClientError
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.http.sender import SyncSender
from airflow_provider_testerarmy.hooks.base import as_fault
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyService
from airflow_provider_testerarmy.runs.flow import drive
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.record import Intent
from airflow_provider_testerarmy.runs.submission.setting import Setting, SubmitEnd
from airflow_provider_testerarmy.runs.submission.submit import submit
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.runs.scripted import (
    Notes,
    World,
)

# -- against the sandbox, over a socket


class Worker:
    """A worker with a connection to the sandbox; its pauses move the sandbox's clock.

    :param behind: seconds by which its clock is behind the sandbox's.
    :param hasty: sends the submission that is going to be held up, and does not wait for long.
    """

    def __init__(self, server, sender, behind=0.0, hasty=None):
        self._sandbox, self._sender, self._behind, self._hasty = server.control, sender, behind, hasty
        self.held_up = False
        self.world = World({})
        self.notes = Notes(self.world)

    def clock(self):
        return self._sandbox.clock.time() - self._behind

    def put(self, question):
        sender = self._sender
        if self.held_up and question.method == "POST":
            sender, self.held_up = self._hasty, False
        try:
            return sender.send(question)
        except ClientError as error:
            raise as_fault(error, question) from error

    def submit(self, request, intent=None):
        setting = Setting(TesterArmyService(), request, self.notes, 600.0, self.clock, print)
        return drive(submit(setting, intent), self.put, self._sandbox.clock.advance)


@contextmanager
def worker(server, **options):
    """Connect a worker that sends each request once, as the lifecycle does."""
    endpoint = Endpoint(server.url, DEFAULT_API_KEY)
    soon = replace(endpoint, timeouts=Timeouts(5, 0.3, 5))
    with SyncSender(endpoint, policy=ONCE) as sender, SyncSender(soon, policy=ONCE) as hasty:
        yield Worker(server, sender, hasty=hasty, **options)


REQUESTS = [
    RunRequest("test", catalog.TEST_PASSES, {"mode": "fast"}),
    RunRequest("group", catalog.GROUP_NIGHTLY, {"commitSha": "abc"}),
    RunRequest("group", catalog.GROUP_WITH_DISABLED),
    RunRequest("group", catalog.GROUP_SOME_REJECTED),
    RunRequest("prompt", "", {"prompt": "Look"}),
]
POST_FAULTS = [
    "status",
    "html",
    "reset_before",
    "timeout",
    "status_after",
    "reset_after",
    "timeout_after",
    "empty",
    "garbage",
    "wrong_shape",
    "truncated",
]


@pytest.mark.parametrize("kind", POST_FAULTS)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: f"{request.kind} {request.target[-2:]}")
def test_any_fault_at_the_post_leaves_one_submission(service, kind, request_):
    """Whether the service got it or not, and though other people's runs are there."""
    with worker(service) as ours:
        ours.put(TesterArmyService().submit(RunRequest("test", catalog.TEST_LOGIN)))
        ours.put(TesterArmyService().submit(request_))
        service.control.clock.advance(10)
        before = len(service.control.log.submissions())
        service.control.faults.add(kind, "trigger_*")
        ours.held_up = kind.startswith("timeout")
        ended = ours.submit(request_)
    entries = service.control.log.submissions()[before:]
    assert ended.end is SubmitEnd.SUBMITTED
    assert [sorted(entry.run_ids) for entry in entries] == [sorted(ended.submission.run_ids)]
    assert ended.submission.adopted == (kind not in {"status", "html", "reset_before", "timeout"})


@pytest.mark.parametrize("lag", [1, 10, 30])
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: f"{request.kind} {request.target[-2:]}")
def test_a_list_that_lags_leaves_one_submission(service, request_, lag):
    """A replica shows a run late; only after the last look none means none."""
    service.control.faults.add("list_lag", "trigger_*", seconds=lag)
    service.control.faults.add("reset_after", "trigger_*")
    with worker(service) as ours:
        ended = ours.submit(request_)
    assert ended.submission.adopted
    assert len(service.control.log.submissions()) == 1


@pytest.mark.parametrize("behind", [-7200.0, 7200.0])
def test_the_sandboxs_clock_counts(service, behind):
    """A worker's clock that is hours off changes nothing."""
    with worker(service, behind=behind) as ours:
        ours.put(TesterArmyService().submit(REQUESTS[0]))
        service.control.clock.advance(60)
        service.control.faults.add("reset_after", "trigger_*")
        ended = ours.submit(REQUESTS[0])
    assert ended.submission.adopted
    assert len(service.control.log.submissions()) == 2


def test_a_next_try_finds_what_a_crashed_one_started(service):
    """Its answer was never seen."""
    request = REQUESTS[1]
    with worker(service) as ours:
        since = service.control.clock.now().replace(microsecond=0)
        ours.put(TesterArmyService().submit(request))
        service.control.clock.advance(90)
        ended = ours.submit(request, Intent(since, since))
    assert set(ended.submission.run_ids) == set(service.control.log.submitted_run_ids())
    assert len(service.control.log.submissions()) == 1


@pytest.mark.parametrize("group", [catalog.GROUP_PREPARED, catalog.GROUP_SEQUENTIAL])
def test_the_preparation_run_of_a_group_is_adopted_too(service, group):
    """It is one of the group's runs: it is judged, and cancelled, with the others."""
    service.control.faults.add("reset_after", "trigger_*")
    with worker(service) as ours:
        ended = ours.submit(RunRequest("group", group))
    assert sorted(ended.submission.run_ids) == sorted(service.control.log.submitted_run_ids())


@pytest.mark.parametrize(("key", "end"), [("sk_wrong", SubmitEnd.DENIED), ("sk_forbidden", SubmitEnd.DENIED)])
def test_a_wrong_key_submits_nothing(service, key, end):
    """Reading the target shows it, twice."""
    with SyncSender(Endpoint(service.url, key), policy=ONCE) as sender:
        ended = Worker(service, sender).submit(REQUESTS[0])
    assert (ended.end, service.control.log.counts()) == (end, {"get_test": 2})
