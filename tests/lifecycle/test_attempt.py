from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import (
    CredentialsRejected,
    NothingTested,
    RequestRefused,
    RunErrored,
    RunRejected,
    RunsForgotten,
    ServiceUnavailable,
    TestsFailedFinally,
    TestsSkipped,
    WaitTimedOut,
)
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunPromptOperator,
)
from airflow_provider_testerarmy.runs.awaiting.wait_end import WaitEnd
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import LOGIN
from tests.lifecycle.tries import cancelled, group, single, started

pytestmark = pytest.mark.usefixtures("connections")


# -- one try


def test_a_group_that_passes(tries, service):
    """The ids and the link are pushed before the end, the summary after it."""
    summary = tries.execute(group())
    (submission,) = service.control.log.submissions()
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 4, "passed": 4})
    assert summary["run_ids"] == tries.xcoms["run_ids"] == submission.run_ids
    assert summary["batch_id"] == tries.xcoms["batch_id"] == submission.batch_id
    assert summary["url"] == tries.xcoms["testerarmy_url"]
    assert summary["url"].endswith(f"/acme/projects/shop?run={submission.run_ids[0]}")
    assert tries.record["stage"] == "concluded"


def test_a_prompt_with_a_login(tries, service):
    """The service gets the password, the task's record does not."""
    task = TesterArmyRunPromptOperator(
        task_id="tests", prompt="Sign in.", credentials_conn_id="shop_login", deferrable=False
    )
    assert tries.execute(task)["verdict"] == "passed"
    (run,) = service.control.store.runs.values()
    assert "jane@acme.example" in str(run.input) or "credentials" in str(task.build_request().body)
    assert LOGIN["password"] not in json.dumps(tries.store)
    assert LOGIN["password"] not in json.dumps(tries.xcoms)


@pytest.mark.parametrize(
    ("make", "error", "verdict"),
    [
        (lambda: group(catalog.GROUP_FAILING), TestsFailedFinally, "failed"),
        (lambda: group(catalog.GROUP_BROKEN), RunErrored, "errored"),
        (lambda: group(catalog.GROUP_SKIPPED), TestsSkipped, "skipped"),
        (lambda: group(catalog.GROUP_ALL_REJECTED), RunRejected, "cancelled"),
        (lambda: single(catalog.TEST_UNKNOWN_RESULT), RunErrored, "errored"),
        (
            lambda: single(catalog.TEST_PASSES_WITH_WARNING, gate={"fail_on_warnings": True}),
            TestsFailedFinally,
            "failed",
        ),
    ],
)
def test_a_task_that_does_not_succeed_has_its_summary(tries, make, error, verdict):
    """A failed task pushes its summary as a successful one does."""
    ending = tries.execute(make())
    assert type(ending) is error
    assert tries.summary["verdict"] == verdict
    assert json.loads(json.dumps(tries.summary)) == tries.summary


def test_reporting_only(tries):
    """The verdict is logged, and the task succeeds."""
    assert tries.execute(group(catalog.GROUP_FAILING, gate={"report_only": True}))["verdict"] == "failed"


def test_a_group_of_which_some_are_rejected(tries):
    """Accepted runs are judged, and rejected ones count as not passed."""
    ending = tries.execute(group(catalog.GROUP_SOME_REJECTED, gate={"on_cancelled": "ignore"}))
    assert (ending["verdict"], ending["counts"]) == ("passed", {"total": 3, "passed": 2, "cancelled": 1})


def test_what_was_started_is_noted(tries):
    """The note is pushed before the wait, so it exists even if the task fails. It contains no secret."""
    tries.execute(group(catalog.GROUP_ENDLESS, deferrable=True))
    note = tries.ti.xcoms["test_runs"]
    assert (note["label"], note["title"]) == (f"group {catalog.GROUP_ENDLESS}", "Scrolling")
    assert note["url"].startswith("https://tester.army/dashboard/acme/projects/shop?run=")
    assert DEFAULT_API_KEY not in json.dumps(tries.ti.xcoms)


def test_not_waiting(tries):
    """Nothing is judged."""
    summary = tries.execute(group(wait_for_completion=False))
    assert (summary["verdict"], summary["counts"]) == (None, {"total": 4})


@pytest.mark.parametrize("how", [{}, {"deferrable": True}, {"wait_for_completion": False}])
@pytest.mark.parametrize(
    ("rejected", "error"), [(False, NothingTested), (True, RunRejected)], ids=["empty", "rejected"]
)
def test_what_cannot_run_is_never_a_pass(tries, service, how, rejected, error):
    """The task does not wait for runs that the service has rejected."""
    if not rejected:
        body = {"status": "queued", "batchId": catalog.UNKNOWN_ID, "runIds": [], "count": 0}
        service.control.faults.add("wrong_shape", "trigger_group", body=body, status=202)
    ending = tries.execute(group(catalog.GROUP_ALL_REJECTED, **how))
    assert type(ending) is error
    assert tries.summary["verdict"] == ("cancelled" if rejected else "failed")


@pytest.mark.parametrize(("allow_empty", "error"), [(False, NothingTested), (True, TestsSkipped)])
def test_no_run_may_be_allowed(tries, service, allow_empty, error):
    """With `allow_empty`, the task is skipped."""
    body = {"status": "queued", "batchId": catalog.UNKNOWN_ID, "runIds": [], "count": 0}
    service.control.faults.add("wrong_shape", "trigger_group", body=body, status=202)
    assert type(tries.execute(group(gate={"allow_empty": allow_empty}))) is error


def test_a_group_that_the_service_refuses_to_run(tries):
    """The group has no runnable test. The message contains the service's own."""
    ending = tries.execute(group(catalog.GROUP_EMPTY))
    assert type(ending) is RequestRefused
    assert "has no runnable tests" in str(ending)


def test_a_wrong_key(tries, service):
    """The message says what to check; nothing is started."""
    service.control.keys.revoke(DEFAULT_API_KEY)
    ending = tries.execute(group())
    assert type(ending) is CredentialsRejected
    assert "Check the password of the connection" in str(ending)
    assert DEFAULT_API_KEY not in str(ending)
    assert started(service) == []


def test_a_key_that_is_revoked_while_waiting(tries, service):
    """The wait ends at once."""
    tries.seconds = 2
    ending = tries.execute(
        group(catalog.GROUP_ENDLESS), meanwhile=lambda: service.control.keys.revoke(DEFAULT_API_KEY)
    )
    assert type(ending) is CredentialsRejected
    assert "rejected the key" in str(ending)


def test_a_service_that_is_gone(tries, service):
    """The wait ends after `max_outage`. A task without retries cancels the runs that it can cancel."""
    tries.seconds = 2
    ending = tries.execute(
        group(catalog.GROUP_ENDLESS, max_outage=0.2),
        max_tries=1,
        meanwhile=lambda: setattr(service.control, "down", "html"),
    )
    assert type(ending) is ServiceUnavailable
    assert "next try waits for the same runs" in str(ending)


# -- deferring


def test_a_deferred_group(tries, service):
    """The trigger waits, the worker judges."""
    task = group(deferrable=True)
    assert isinstance(tries.execute(task), TaskDeferred)
    assert tries.xcoms["run_ids"] == started(service)
    assert tries.through_trigger(task)["verdict"] == "passed"


def test_the_deferral_outlives_the_deadline_by_a_little(tries):
    """The trigger ends the wait. If it does not, Airflow ends the deferral a minute later."""
    deferred = tries.execute(group(deferrable=True, timeout=100))
    assert timedelta(seconds=155) < deferred.timeout < timedelta(seconds=161)
    assert tries.record["deadline"] == deferred.trigger.deadline


def test_without_a_deadline_the_deferral_has_none(tries):
    """`timeout=None` waits without a limit."""
    deferred = tries.execute(group(deferrable=True, timeout=None))
    assert (deferred.timeout, deferred.trigger.deadline) == (None, None)


def test_execution_timeout_is_the_triggers_deadline(tries):
    """Airflow does not enforce it on a deferred task."""
    deferred = tries.execute(group(deferrable=True, execution_timeout=timedelta(seconds=30)))
    assert deferred.trigger.deadline == pytest.approx(tries.ti.start_date.timestamp() + 30)


OTHER_EVENTS = [
    None,
    {},
    {"version": 2, "end": "finished"},
    {"status": "success"},
    {"version": 1, "end": "soon"},
]


@pytest.mark.parametrize("event", OTHER_EVENTS)
def test_with_an_event_of_another_version_the_worker_looks_for_itself(tries, service, event):
    """During an upgrade, worker and triggerer have different versions. The run must not be lost for that."""
    task = group(deferrable=True)
    tries.execute(task)
    summary = tries.resume(task, "execute_complete", {"event": event})
    assert (summary["verdict"], cancelled(service)) == ("passed", [])


def test_an_event_of_another_version_never_passes(tries, service):
    """Not even if the unreadable event claims success."""
    task = group(catalog.GROUP_FAILING, deferrable=True)
    tries.execute(task)
    event = {"version": 2, "end": "finished", "verdict": "passed"}
    assert type(tries.resume(task, "execute_complete", {"event": event})) is TestsFailedFinally


def test_a_resumed_task_that_remembers_nothing(tries):
    """Neither the store nor an XCom has the ids."""
    task = group(deferrable=True)
    tries.execute(task)
    tries.store.clear()
    tries.xcoms.clear()
    ending = tries.resume(task, "execute_complete", {"event": {"version": 1, "end": "finished"}})
    assert type(ending) is RunsForgotten


def test_a_resumed_task_without_a_store_reads_its_xcoms(tries):
    """Airflow before 3.3 has no task state store."""
    tries.store = None
    task = group(deferrable=True)
    tries.execute(task)
    assert tries.through_trigger(task)["verdict"] == "passed"


def test_a_deferral_that_airflow_ends_stops_the_runs(tries, service):
    """It bypasses the trigger and `execute_complete`."""
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS, deferrable=True)
    tries.execute(task)
    ending = tries.resume(task, "__fail__", {"error": "Trigger timeout"})
    assert type(ending) is WaitTimedOut
    assert set(cancelled(service)) == set(started(service))
    assert tries.record["stage"] == "concluded"
    assert tries.summary["verdict"] == "cancelled"


@pytest.mark.parametrize("end", [WaitEnd.DEADLINE, WaitEnd.UNAVAILABLE, WaitEnd.LOST])
def test_runs_that_passed_while_nobody_could_see_it_pass(tries, service, end):
    """The batch is cancelled, which ended runs ignore. A last poll shows that they had passed."""
    task = group(deferrable=True)
    tries.execute(task)
    service.control.clock.advance(30)
    summary = tries.resume(task, "execute_complete", {"event": {"version": 1, "end": str(end)}})
    assert summary["verdict"] == "passed", summary


# -- the report


@pytest.mark.parametrize("group_id", [catalog.GROUP_SEQUENTIAL, catalog.GROUP_FAILING])
def test_the_report_is_written_whatever_the_verdict(tries, tmp_path, group_id):
    """The folder is created."""
    path = tmp_path / "reports" / "nightly.json"
    tries.execute(group(group_id, report_path=str(path)))
    document = json.loads(path.read_text())
    assert document["schema_version"] == 1
    assert len(document["runs"]) == document["summary"]["counts"]["total"]


@pytest.mark.parametrize(
    ("group_id", "verdict"), [(catalog.GROUP_SEQUENTIAL, "passed"), (catalog.GROUP_FAILING, "failed")]
)
def test_a_report_that_cannot_be_written_hides_nothing(tries, tmp_path, group_id, verdict):
    """The folder cannot be created because a file has its name. The verdict does not change."""
    (tmp_path / "file").touch()
    ending = tries.execute(group(group_id, report_path=str(tmp_path / "file" / "nightly.json")))
    if verdict == "passed":
        assert ending["verdict"] == "passed"
    else:
        assert type(ending) is TestsFailedFinally
        assert tries.summary["verdict"] == "failed"


@pytest.mark.parametrize("spelling", [str.upper, str])
def test_a_failure_of_a_non_blocking_test_alone(tries, spelling):
    """The task succeeds with a warning. The verdict is *not judged*, not *passed*."""
    task = single(catalog.TEST_FAILS, gate={"non_blocking_tests": spelling(catalog.TEST_FAILS)})
    summary = tries.execute(task)
    assert (summary["verdict"], summary["counts"]["failed"]) == ("not_judged", 1)
    assert "No runs were judged (1 failed; every failed test is non-blocking)." in summary["reasons"]


def test_a_failure_with_xcoms_turned_off(tries):
    """The summary would be the return value, which `do_xcom_push=False` turns off."""
    assert type(tries.execute(single(catalog.TEST_FAILS, do_xcom_push=False))) is TestsFailedFinally
    assert "return_value" not in tries.xcoms
