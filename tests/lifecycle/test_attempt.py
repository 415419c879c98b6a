from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_testerarmy.exceptions import (
    CredentialsRejected,
    NothingTested,
    RequestRefused,
    RunErrored,
    RunRejected,
    RunsForgotten,
    ServiceUnavailable,
    TestsFailed,
    TestsFailedFinally,
    TestsSkipped,
    WaitTimedOut,
)
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunPromptOperator,
)
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import LOGIN
from tests.lifecycle.tries import Died, cancelled, group, single, started

pytestmark = pytest.mark.usefixtures("connections")


# -- one try


def test_a_group_that_passes(tries, service):
    """Its ids and link are known before the end, its summary after."""
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
    """It is worth as much as that of one that does."""
    ending = tries.execute(make())
    assert type(ending) is error
    assert tries.summary["verdict"] == verdict
    assert json.loads(json.dumps(tries.summary)) == tries.summary


def test_reporting_only(tries):
    """The verdict is told, and the task succeeds."""
    assert tries.execute(group(catalog.GROUP_FAILING, gate={"report_only": True}))["verdict"] == "failed"


def test_a_group_of_which_some_are_rejected(tries):
    """What ran is judged, what did not has not passed."""
    ending = tries.execute(group(catalog.GROUP_SOME_REJECTED, gate={"on_cancelled": "ignore"}))
    assert (ending["verdict"], ending["counts"]) == ("passed", {"total": 3, "passed": 2, "cancelled": 1})


def test_what_was_started_is_noted(tries):
    """Before the wait, so that lists of tasks know it whatever comes of it; and nothing secret is in it."""
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
    """Nor is it waited for: there is nothing that could end."""
    if not rejected:
        body = {"status": "queued", "batchId": catalog.UNKNOWN_ID, "runIds": [], "count": 0}
        service.control.faults.add("wrong_shape", "trigger_group", body=body, status=202)
    ending = tries.execute(group(catalog.GROUP_ALL_REJECTED, **how))
    assert type(ending) is error
    assert tries.summary["verdict"] == ("cancelled" if rejected else "failed")


@pytest.mark.parametrize(("allow_empty", "error"), [(False, NothingTested), (True, TestsSkipped)])
def test_no_run_may_be_allowed(tries, service, allow_empty, error):
    """It skips the task then."""
    body = {"status": "queued", "batchId": catalog.UNKNOWN_ID, "runIds": [], "count": 0}
    service.control.faults.add("wrong_shape", "trigger_group", body=body, status=202)
    assert type(tries.execute(group(gate={"allow_empty": allow_empty}))) is error


def test_a_group_that_the_service_refuses_to_run(tries):
    """A group without a runnable test; its words are passed on."""
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
    assert "stopped accepting the key" in str(ending)


def test_a_service_that_is_gone(tries, service):
    """The wait ends after `max_outage`; a task without retries leaves nothing running that it can stop."""
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
    """The trigger ends the wait; Airflow does where the trigger does not."""
    deferred = tries.execute(group(deferrable=True, timeout=100))
    assert timedelta(seconds=155) < deferred.timeout < timedelta(seconds=161)
    assert tries.record["deadline"] == deferred.trigger.deadline


def test_without_a_deadline_the_deferral_has_none(tries):
    """It waits for ever."""
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
    """During an upgrade, worker and triggerer differ; a paid run is not thrown away for that."""
    task = group(deferrable=True)
    tries.execute(task)
    summary = tries.resume(task, "execute_complete", {"event": event})
    assert (summary["verdict"], cancelled(service)) == ("passed", [])


def test_an_event_of_another_version_never_passes(tries, service):
    """Whatever it says."""
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
    """As on Airflow before 3.3."""
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


# -- from one try to the next


def test_a_lost_try_is_taken_up_again(tries, service):
    """The next one reconnects: there is one submission."""
    tries.execute(group(deferrable=True), try_number=1, max_tries=2)
    summary = tries.execute(group(), try_number=2, max_tries=2)
    assert (summary["verdict"], len(service.control.log.submissions())) == ("passed", 1)
    assert summary["run_ids"] == tries.xcoms["run_ids"] == started(service)


def test_a_lost_try_keeps_its_deadline(tries):
    """Time does not begin anew with a retry."""
    endless = catalog.GROUP_ENDLESS
    first = tries.execute(group(endless, deferrable=True, timeout=100), max_tries=2)
    second = tries.execute(group(endless, deferrable=True, timeout=500), try_number=2, max_tries=2)
    assert second.trigger.deadline == first.trigger.deadline


def test_after_a_final_verdict_a_try_starts_anew(tries, service):
    """No retry follows one, so a user has cleared the task, whatever the numbers say (`retries` may be lower)."""
    tries.execute(group(), max_tries=1)
    assert tries.execute(group(), try_number=2, max_tries=1)["verdict"] == "passed"
    assert (len(service.control.log.submissions()), cancelled(service)) == (2, [])


def test_a_clear_starts_anew_and_stops_what_ran(tries, service):
    """It raises `max_tries`, which a retry does not."""
    tries.seconds = 2
    tries.execute(group(catalog.GROUP_ENDLESS, deferrable=True), max_tries=0)
    old = started(service)
    tries.execute(group(catalog.GROUP_ENDLESS, deferrable=True), try_number=2, max_tries=1)
    assert len(service.control.log.submissions()) == 2
    assert set(cancelled(service)) == set(old)
    assert not set(tries.xcoms["run_ids"]) & set(old)


def test_a_clear_of_a_finished_task_stops_nothing(tries, service):
    """It only starts anew."""
    tries.execute(group(), max_tries=0)
    tries.execute(group(), try_number=2, max_tries=1)
    assert (len(service.control.log.submissions()), cancelled(service)) == (2, [])


def test_a_try_that_died_between_sending_and_noting(tries, service):
    """The next one finds the run that was started and takes it for its own."""

    def die(record):
        if "submission" in str(record):
            part = tries.store["test_runs"]["parts"]["run"]
            del part["submission"]
            part["state"] = "sending"
            raise Died

    tries.store.on_set = die
    assert isinstance(tries.execute(single(), max_tries=1), Died)
    tries.store.on_set = lambda record: None
    service.control.clock.advance(120)
    summary = tries.execute(single(), try_number=2, max_tries=1)
    assert (summary["verdict"], summary["run_ids"]) == ("passed", started(service))
    assert len(service.control.log.submissions()) == 1


def test_a_broken_run_is_started_again(tries, service):
    """The service's fault is worth a second submission, of the whole group."""
    assert type(tries.execute(group(catalog.GROUP_BREAKS_ONCE), max_tries=1)) is RunErrored
    assert tries.record["stage"] == "again"
    summary = tries.execute(group(catalog.GROUP_BREAKS_ONCE), try_number=2, max_tries=1)
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 2, "passed": 2})
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]


def test_not_durable_remembers_nothing(tries, service):
    """Each try starts anew."""
    tries.seconds = 2
    tries.execute(group(deferrable=True, durable=False), max_tries=1)
    tries.execute(group(deferrable=True, durable=False), try_number=2, max_tries=1)
    assert (len(service.control.log.submissions()), "test_runs" in tries.store) == (2, False)


def test_a_record_that_nobody_can_read(tries, service):
    """It may name runs, so it is neither ignored nor overwritten, and nothing is started."""
    tries.store["test_runs"] = {"version": 99}
    ending = tries.execute(group())
    assert type(ending) is RequestRefused
    assert "durable=False" in str(ending)
    assert (started(service), tries.record) == ([], {"version": 99})


# -- retrying failed tests


def test_only_what_failed_runs_again(tries, service):
    """The passes of the first round count, and what passes now is flaky."""
    task = group(catalog.GROUP_FLAKY, retry_failed_tests=True)
    ending = tries.execute(task, max_tries=1)
    assert type(ending) is TestsFailed
    assert not isinstance(ending, AirflowFailException)
    first = tries.summary
    summary = tries.execute(group(catalog.GROUP_FLAKY, retry_failed_tests=True), try_number=2, max_tries=1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]
    assert (summary["verdict"], summary["counts"], summary["flaky"]) == (
        "passed",
        {"total": 2, "passed": 2},
        1,
    )
    passed_before = {test["run_id"] for test in first["tests"] if test["outcome"] == "passed"}
    assert passed_before < set(summary["run_ids"])
    (flaky,) = [test for test in summary["tests"] if test.get("flaky")]
    assert flaky["title"] == "Live stock badge updates"


def test_only_what_failed_runs_again_when_deferred(tries, service):
    """The trigger waits for the new run, the worker judges the old ones with it."""
    for try_number in (1, 2):
        task = group(catalog.GROUP_FLAKY, retry_failed_tests=True, deferrable=True)
        tries.execute(task, try_number=try_number, max_tries=1)
        summary = tries.through_trigger(task)
    assert tries.deferred.trigger.run_ids == service.control.log.submissions()[1].run_ids
    assert (summary["verdict"], summary["counts"]["total"], summary["flaky"]) == ("passed", 2, 1)


def test_with_an_address_the_whole_group_runs_again(tries, service):
    """A single test's run takes no address, and would test something else."""
    parameters = {"retry_failed_tests": True, "target_url": "https://preview.acme.example"}
    tries.execute(group(catalog.GROUP_FLAKY, **parameters), max_tries=1)
    summary = tries.execute(group(catalog.GROUP_FLAKY, **parameters), try_number=2, max_tries=1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]
    assert (summary["verdict"], summary["flaky"]) == ("passed", 1)


def test_a_test_that_keeps_failing_stays_failed(tries):
    """Retries change nothing about it; the last verdict names the whole."""
    parameters = {"retry_failed_tests": True}
    tries.execute(group(catalog.GROUP_FAILING, **parameters), max_tries=1)
    ending = tries.execute(group(catalog.GROUP_FAILING, **parameters), try_number=2, max_tries=1)
    assert type(ending) is TestsFailed
    assert tries.summary["counts"] == {"total": 5, "passed": 4, "failed": 1}


# -- the report


@pytest.mark.parametrize("group_id", [catalog.GROUP_SEQUENTIAL, catalog.GROUP_FAILING])
def test_the_report_is_written_whatever_the_verdict(tries, tmp_path, group_id):
    """The folder is made."""
    path = tmp_path / "reports" / "nightly.json"
    tries.execute(group(group_id, report_path=str(path)))
    document = json.loads(path.read_text())
    assert document["schema_version"] == 1
    assert len(document["runs"]) == document["summary"]["counts"]["total"]


@pytest.mark.parametrize(
    ("group_id", "verdict"), [(catalog.GROUP_SEQUENTIAL, "passed"), (catalog.GROUP_FAILING, "failed")]
)
def test_a_report_that_cannot_be_written_hides_nothing(tries, tmp_path, group_id, verdict):
    """A file is in the way of the folder; the verdict is what it is."""
    (tmp_path / "file").touch()
    ending = tries.execute(group(group_id, report_path=str(tmp_path / "file" / "nightly.json")))
    if verdict == "passed":
        assert ending["verdict"] == "passed"
    else:
        assert type(ending) is TestsFailedFinally
        assert tries.summary["verdict"] == "failed"


@pytest.mark.parametrize("spelling", [str.upper, str])
def test_a_failure_of_a_non_blocking_test_alone(tries, spelling):
    """The task succeeds, says loudly that nothing was judged, and does not call it passed."""
    task = single(catalog.TEST_FAILS, gate={"non_blocking_tests": spelling(catalog.TEST_FAILS)})
    summary = tries.execute(task)
    assert (summary["verdict"], summary["counts"]["failed"]) == ("not_judged", 1)
    assert "No runs were judged (1 failed; every failed test is non-blocking)." in summary["reasons"]


def test_a_failure_with_xcoms_turned_off(tries):
    """The summary is the return value, and there is to be none."""
    assert type(tries.execute(single(catalog.TEST_FAILS, do_xcom_push=False))) is TestsFailedFinally
    assert "return_value" not in tries.xcoms
