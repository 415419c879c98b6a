from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from airflow_provider_testerarmy.client.docket import operations as docket
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.single import await_runs
from airflow_provider_testerarmy.runs.awaiting.watchlist import WaitEnd
from airflow_provider_testerarmy.runs.flow import adrive
from airflow_provider_testerarmy.runs.results import Outcome, Phase
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.cancel import StopResult, cancel
from airflow_provider_testerarmy.runs.submission.lookup import find
from airflow_provider_testerarmy.runs.submission.record import Intent
from airflow_provider_testerarmy.runs.submission.setting import SKEW_WITHOUT_DATE, SubmitEnd
from airflow_provider_testerarmy.runs.submission.submit import submit
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, VerdictKind
from airflow_provider_testerarmy.sandbox.docket import catalog
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY

# -- the connection

MOMENT = datetime(2026, 2, 11, tzinfo=UTC)
EARLIER = Intent(MOMENT, MOMENT)


def test_the_key_travels_without_a_prefix(connect_docket):
    """In a header of Docket's own."""
    assert connect_docket().endpoint.headers()["X-API-KEY"] == DEFAULT_API_KEY
    assert "Authorization" not in connect_docket().endpoint.headers()


def test_a_connection_without_a_host_is_docket_itself(connect_docket):
    """Only the key has to be given."""
    assert connect_docket(host=None).endpoint.base_url == "https://api.docketqa.com"


def test_plain_http_beyond_this_machine_needs_leave(connect_docket):
    """The key would be sent unencrypted."""
    with pytest.raises(RequestInvalid, match="plain http"):
        _ = connect_docket(host="http://docket.example").endpoint
    assert (
        connect_docket(host="http://docket.example", extra={"allow_http": True}).endpoint.key
        == DEFAULT_API_KEY
    )


def test_the_test_button_accepts_a_good_key(connect_docket, service):
    """It starts nothing, and the message says what was requested."""
    accepted, message = connect_docket().test_connection()
    assert (accepted, "run 0" in message) == (True, True)
    assert service.control.log.counts() == {"docket_get_test_run": 1}


@pytest.mark.parametrize("key", ["sk_wrong", "sk_forbidden_x"])
def test_the_test_button_tells_a_rejected_key(connect_docket, key):
    """Without showing it."""
    accepted, message = connect_docket(password=key).test_connection()
    assert (accepted, "rejected the API key" in message, key in message) == (False, True, False)


def test_the_test_button_tells_another_service_from_docket(connect_docket, service):
    """Any web server answers 404 to what it does not know."""
    page = {"status": 404, "body": "<html>", "content_type": "text/html"}
    service.control.faults.add("status", "docket_get_test_run", **page)
    accepted, message = connect_docket().test_connection()
    assert (accepted, "https://api.docketqa.com" in message) == (False, True)


@pytest.mark.parametrize("fields", [{"host": "http://127.0.0.1:1/docket"}, {"password": ""}, {"host": "x y"}])
def test_the_test_button_tells_what_cannot_work(connect_docket, fields):
    """Instead of raising."""
    accepted, message = connect_docket(**fields).test_connection()
    assert not accepted
    assert message


def test_an_operation_can_be_sent_by_hand(connect_docket):
    """Sync and async."""
    hook = connect_docket()
    group = hook.send(docket.trigger_run(test_blueprint_ids=[181]))
    run = asyncio.run(hook.asend(docket.get_test_run(group.test_runs[0].id)))
    hook.close()
    assert run.status == "running"


# -- submitting


def test_a_submission_has_its_runs_and_its_group(docket_driver, service):
    """Ids are integers, the batch is the group run, and its page is known at once."""
    submission = docket_driver.submit(181, 182).submission
    assert list(submission.run_ids) == service.control.log.submitted_run_ids()
    assert all(type(run_id) is int for run_id in submission.run_ids)
    assert Submission.from_json(json.loads(json.dumps(submission.to_json()))) == submission
    url = f"https://app.docketqa.com/dashboard/grouprun/{submission.batch_id}"
    assert docket_driver.service.submission_url(submission) == url


def test_nothing_is_asked_before_the_submission(docket_driver, service):
    """The API cannot read a test without starting it."""
    docket_driver.submit(181)
    assert service.control.log.counts() == {"docket_trigger_run": 1}
    assert [line[0] for line in docket_driver.journal.lines] == ["intent", "submitted"]


def test_the_intent_is_noted_by_the_workers_clock(docket_driver, service):
    """The service's time is unknown by then, so the intent is dated early."""
    docket_driver.submit(181)
    now = datetime.fromtimestamp(service.control.clock.time(), UTC)
    assert docket_driver.journal.lines[0] == ("intent", now - SKEW_WITHOUT_DATE)


@pytest.mark.parametrize("kind", ["status_after", "reset_after", "truncated", "empty", "wrong_shape"])
def test_an_unclear_submission_is_neither_repeated_nor_guessed(docket_driver, service, kind):
    """Docket has no list in which its runs could be found."""
    service.control.faults.add(kind, "docket_trigger_run")
    ended = docket_driver.submit(181)
    assert (ended.end, ended.look_again) == (SubmitEnd.UNCLEAR, False)
    assert "Docket's API cannot look up what was started" in ended.message
    assert len(service.control.log.entries("docket_trigger_run")) == 1
    assert [line[0] for line in docket_driver.journal.lines] == ["intent", "unclear"]


def test_a_lost_try_is_not_repeated(docket_driver, service):
    """The intent of an earlier try stands for runs that may exist."""
    ended = docket_driver.submit(181, intent=EARLIER)
    assert ended.end is SubmitEnd.UNCLEAR
    assert len(service.control.log) == 0


def test_a_lost_submission_is_not_found(docket_driver):
    """When its task is stopped, this is all that can be reported."""
    setting = docket_driver.setting(RunRequest("test", "181"))
    ended = docket_driver.drive(find(setting, EARLIER))
    assert "cannot look up what was started" in ended.message


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 429, "retry_after": 7}, {"kind": "status", "status": 429}]
)
def test_a_submission_that_was_put_off_is_repeated(docket_driver, service, fault):
    """A rate limit starts nothing."""
    service.control.faults.add(match="docket_trigger_run", **fault)
    assert docket_driver.submit(181).end is SubmitEnd.SUBMITTED
    assert len(service.control.docket.group_runs) == 1


def test_a_refused_submission_says_why(docket_driver):
    """In the service's words."""
    ended = docket_driver.submit(181, catalog.UNKNOWN_BLUEPRINT)
    assert ended.end is SubmitEnd.REFUSED
    assert "Test blueprint 999999 not found" in ended.message


def test_a_rejected_key_ends_the_submission(docket_driver, service):
    """At once."""
    service.control.keys.revoke(DEFAULT_API_KEY)
    assert docket_driver.submit(181).end is SubmitEnd.DENIED


def test_a_missing_run_is_not_overlooked(docket_driver, service):
    """A test without a run must not count as tested."""
    started = {"id": 35, "test_runs": [{"id": 38, "test_blueprint_id": 181}]}
    service.control.faults.add(
        "status_after", "docket_trigger_run", status=200, body={"test_group_run": started}
    )
    ended = docket_driver.submit(181, 182)
    assert ended.end is SubmitEnd.UNCLEAR
    assert any(
        "2 tests were requested, but group run 35 has fewer runs: 38" in line for line in docket_driver.log
    )


def test_a_ci_run_goes_its_own_way(docket_driver, service):
    """Its commit is in the request's body."""
    context = {"repository": "acme/shop", "commit_sha": "4f2d1c9"}
    request = RunRequest("test", "181", docket.trigger_ci_run(context, test_blueprint_ids=[181]).body)
    docket_driver.drive(submit(docket_driver.setting(request)))
    assert service.control.log.counts() == {"docket_trigger_ci_run": 1}


def test_one_test_of_several_can_be_run_again(docket_driver):
    """Unless a commit would then show the outcome of that one alone."""
    category = RunRequest("category", "11", {"test_blueprint_category_id": 11})
    (alone,) = docket_driver.service.some_tests(category, ["181"])
    assert (alone.label, alone.body) == ("test 181", {"test_blueprint_ids": [181]})
    (together,) = docket_driver.service.some_tests(category, ["181", "182"])
    assert (together.label, together.body) == ("tests 181, 182", {"test_blueprint_ids": [181, 182]})
    assert (
        docket_driver.service.some_tests(RunRequest("test", "181", {"github_context": {}}), ["181"]) is None
    )


# -- waiting


@pytest.mark.parametrize(
    ("blueprint", "outcome"),
    [
        (catalog.BLUEPRINT_PASSES, Outcome.PASSED),
        (catalog.BLUEPRINT_FAILS, Outcome.FAILED),
        (catalog.BLUEPRINT_STOPPED, Outcome.CANCELLED),
        (catalog.BLUEPRINT_RETRIED, Outcome.PASSED),
        (catalog.BLUEPRINT_RETRIED_IN_VAIN, Outcome.FAILED),
        (catalog.BLUEPRINT_SPARSE, Outcome.PASSED),
        (catalog.BLUEPRINT_HOSTILE, Outcome.FAILED),
        (catalog.BLUEPRINT_HUGE, Outcome.PASSED),
    ],
)
def test_each_end_has_its_outcome(docket_driver, blueprint, outcome):
    """As Docket's statuses have it."""
    (result,) = docket_driver.run(blueprint)
    assert (result.outcome, result.phase, type(result.run_id)) == (outcome, Phase.FINISHED, int)


@pytest.mark.parametrize("blueprint", [catalog.BLUEPRINT_ENDLESS, catalog.BLUEPRINT_UNKNOWN_STATUS])
def test_what_has_no_known_end_is_awaited_until_the_deadline(docket_driver, blueprint):
    """An unknown status is not an end, and never a pass."""
    run_ids = docket_driver.submit(blueprint).submission.run_ids
    waited = docket_driver.await_runs(run_ids, timeout=120)
    assert waited.end is WaitEnd.DEADLINE
    assert all(run.outcome is None for run in waited.results.values())
    assert QualityGate().judge(list(waited.results.values())).kind is VerdictKind.ERRORED


def test_every_look_is_one_request_per_active_run(docket_driver, service):
    """There is no list, however many runs there are."""
    ids = catalog.CATEGORIES[catalog.CATEGORY_LOAD][:20]
    docket_driver.await_runs(docket_driver.submit(*ids).submission.run_ids)
    assert set(service.control.log.counts()) == {"docket_trigger_run", "docket_get_test_run"}


def test_faults_while_waiting_are_borne(docket_driver, service):
    """The runs continue, so the wait does as well."""
    run_ids = docket_driver.submit(181).submission.run_ids
    for kind in ("status", "reset_before", "empty", "garbage", "wrong_shape", "html"):
        service.control.faults.add(kind, "docket_get_test_run")
    assert docket_driver.await_runs(run_ids).end is WaitEnd.FINISHED


def test_a_run_may_be_visible_only_later(docket_driver, service):
    """A 404 right after the start does not end the wait."""
    service.control.faults.add("list_lag", "docket_trigger_run", seconds=20)
    assert docket_driver.run(181)[0].outcome is Outcome.PASSED


def test_a_key_that_is_revoked_meanwhile_ends_the_wait(docket_driver, service):
    """At once."""
    run_ids = docket_driver.submit(181).submission.run_ids
    service.control.keys.revoke(DEFAULT_API_KEY)
    assert docket_driver.await_runs(run_ids).end is WaitEnd.DENIED


def test_the_triggerer_waits_by_the_same_rules(connect_docket, service):
    """Async, over the same adapter."""
    hook, clock = connect_docket(), service.control.clock

    async def sleep(seconds):
        clock.advance(seconds)

    async def run():
        await hook.aload()
        group = await hook.asend(docket.trigger_run(test_blueprint_ids=[181, 182]))
        ids = [run.id for run in group.test_runs]
        put, close = hook.async_asker()
        flow = await_runs(hook.service(), ids, Pace(5.0), clock.time, lambda _line: None)
        waited = await adrive(flow, put, sleep)
        await close()
        return [waited.results[run_id].outcome for run_id in ids]

    assert asyncio.run(run()) == [Outcome.PASSED, Outcome.FAILED]


# -- stopping


def test_runs_cannot_be_cancelled_and_the_log_says_so(docket_driver, service):
    """No request is sent, and no message claims that a run was stopped."""
    submission = docket_driver.submit(181, 182).submission
    calls = len(service.control.log)
    fate = docket_driver.drive(cancel(docket_driver.service, submission, docket_driver.log.append))
    assert fate is StopResult.RUNNING
    assert len(service.control.log) == calls
    (line,) = [line for line in docket_driver.log if "cannot cancel" in line]
    assert line.startswith("Docket cannot cancel runs")
    assert all(str(run_id) in line for run_id in submission.run_ids)
