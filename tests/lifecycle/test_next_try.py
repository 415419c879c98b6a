"""What the next try does: reconnect, start new runs, or run only the failed tests."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_testerarmy.exceptions import (
    CredentialsRejected,
    RequestRefused,
    RunErrored,
    ServiceUnavailable,
    TestsFailed,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import Died, cancelled, group, posts, single, started

pytestmark = pytest.mark.usefixtures("connections")


# -- from one try to the next


def test_a_lost_try_is_taken_up_again(tries, service):
    """The next try reconnects, so there is only one submission."""
    tries.execute(group(deferrable=True), try_number=1, max_tries=2)
    summary = tries.execute(group(), try_number=2, max_tries=2)
    assert (summary["verdict"], len(service.control.log.submissions())) == ("passed", 1)
    assert summary["run_ids"] == tries.xcoms["run_ids"] == started(service)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (group(deferrable=True), group()),
        (
            group(catalog.GROUP_FAILING, retry_failed_tests=True),
            group(catalog.GROUP_FAILING, retry_failed_tests=True),
        ),
    ],
    ids=["reconnects", "runs what failed"],
)
def test_the_title_is_known_to_later_tries(tries, first, second):
    """They do not read it, and Airflow has deleted the XCom of the first try."""
    tries.execute(first, try_number=1, max_tries=2)
    title = tries.xcoms["test_runs"]["title"]
    tries.ti.xcoms.clear()
    tries.execute(second, try_number=2, max_tries=2)
    assert tries.xcoms["test_runs"]["title"] == title != ""


def test_a_lost_try_keeps_its_deadline(tries):
    """A retry does not start a new time-out."""
    endless = catalog.GROUP_ENDLESS
    first = tries.execute(group(endless, deferrable=True, timeout=100), max_tries=2)
    second = tries.execute(group(endless, deferrable=True, timeout=500), try_number=2, max_tries=2)
    assert second.trigger.deadline == first.trigger.deadline


def test_after_a_final_verdict_a_try_starts_anew(tries, service):
    """No retry follows a final verdict, so a user has cleared the task, whatever `max_tries` is."""
    tries.execute(group(), max_tries=1)
    assert tries.execute(group(), try_number=2, max_tries=1)["verdict"] == "passed"
    assert (len(service.control.log.submissions()), cancelled(service)) == (2, [])


@pytest.mark.parametrize("group_id", [catalog.GROUP_SEQUENTIAL, catalog.GROUP_FAILING])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_worker_lost_after_the_verdict_does_not_start_anew(tries, service, group_id, deferrable):
    """Airflow had not heard of the verdict and tries again; every number says that nobody cleared the task."""
    tries.clear_number = 0
    first = tries.execute(group(group_id, retries=2), max_tries=2)
    ids = tries.xcoms["run_ids"]
    second = tries.execute(group(group_id, retries=2, deferrable=deferrable), try_number=2, max_tries=2)
    assert type(second) is type(first)
    assert (started(service), tries.xcoms["run_ids"]) == (ids, ids)


@pytest.mark.parametrize("numbers", [{"max_tries": 3}, {"max_tries": 2, "clear_number": 1}])
def test_a_clear_after_the_verdict_starts_anew(tries, service, numbers):
    """Each of the two numbers alone tells it from a lost worker."""
    tries.clear_number = 0
    tries.execute(group(retries=2), max_tries=2)
    tries.clear_number = numbers.pop("clear_number", 0)
    assert tries.execute(group(retries=2), try_number=2, **numbers)["verdict"] == "passed"
    assert len(service.control.log.submissions()) == 2


def test_a_clear_starts_anew_and_stops_what_ran(tries, service):
    """A clear raises `max_tries`, a retry does not."""
    tries.seconds = 2
    tries.execute(group(catalog.GROUP_ENDLESS, deferrable=True), max_tries=0)
    old = started(service)
    tries.execute(group(catalog.GROUP_ENDLESS, deferrable=True), try_number=2, max_tries=1)
    assert len(service.control.log.submissions()) == 2
    assert set(cancelled(service)) == set(old)
    assert not set(tries.xcoms["run_ids"]) & set(old)


def test_a_clear_of_a_finished_task_stops_nothing(tries, service):
    """It only starts new runs."""
    tries.execute(group(), max_tries=0)
    tries.execute(group(), try_number=2, max_tries=1)
    assert (len(service.control.log.submissions()), cancelled(service)) == (2, [])


def test_a_try_that_died_between_sending_and_noting(tries, service):
    """The next try finds the run that was started and adopts it."""

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
    """After a fault of the service, the next try submits the whole group again."""
    assert type(tries.execute(group(catalog.GROUP_BREAKS_ONCE), max_tries=1)) is RunErrored
    assert tries.record["stage"] == "again"
    summary = tries.execute(group(catalog.GROUP_BREAKS_ONCE), try_number=2, max_tries=1)
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 2, "passed": 2})
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]


def test_not_durable_remembers_nothing(tries, service):
    """Each try starts new runs."""
    tries.seconds = 2
    tries.execute(group(deferrable=True, durable=False), max_tries=1)
    tries.execute(group(deferrable=True, durable=False), try_number=2, max_tries=1)
    assert (len(service.control.log.submissions()), "test_runs" in tries.store) == (2, False)


def test_a_record_that_nobody_can_read(tries, service):
    """The record may name runs, so the task neither ignores nor overwrites it, and starts nothing."""
    tries.store["test_runs"] = {"version": 99}
    ending = tries.execute(group())
    assert type(ending) is RequestRefused
    assert "durable=False" in str(ending)
    assert (started(service), tries.record) == ([], {"version": 99})


# -- retrying failed tests


def test_only_what_failed_runs_again(tries, service):
    """Passes of the first round count. A test that passes now is flaky."""
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
    """The trigger waits for the new run, and the worker judges it together with the old ones."""
    for try_number in (1, 2):
        task = group(catalog.GROUP_FLAKY, retry_failed_tests=True, deferrable=True)
        tries.execute(task, try_number=try_number, max_tries=1)
        summary = tries.through_trigger(task)
    assert tries.deferred.trigger.run_ids == service.control.log.submissions()[1].run_ids
    assert (summary["verdict"], summary["counts"]["total"], summary["flaky"]) == ("passed", 2, 1)


def test_with_an_address_the_whole_group_runs_again(tries, service):
    """The request for a single test has no `target_url`, so it would test another deployment."""
    parameters = {"retry_failed_tests": True, "target_url": "https://preview.acme.example"}
    tries.execute(group(catalog.GROUP_FLAKY, **parameters), max_tries=1)
    summary = tries.execute(group(catalog.GROUP_FLAKY, **parameters), try_number=2, max_tries=1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]
    assert (summary["verdict"], summary["flaky"]) == ("passed", 1)


def test_a_test_that_keeps_failing_stays_failed(tries):
    """Retries do not help it, and the last verdict covers all tests."""
    parameters = {"retry_failed_tests": True}
    tries.execute(group(catalog.GROUP_FAILING, **parameters), max_tries=1)
    ending = tries.execute(group(catalog.GROUP_FAILING, **parameters), try_number=2, max_tries=1)
    assert type(ending) is TestsFailed
    assert tries.summary["counts"] == {"total": 5, "passed": 4, "failed": 1}


# -- a submission that the service refused for a while


@pytest.mark.parametrize("status", [429, 401])
def test_a_submission_that_was_refused_for_a_while_is_sent_by_the_next_try(tries, service, status):
    """It has started nothing, so nothing is left to reconnect to."""
    refusing = service.control.faults.add("status", "trigger_*", status=status, times=-1)
    error = tries.execute(group(max_outage=0.2), max_tries=2)
    assert isinstance(error, ServiceUnavailable | CredentialsRejected)
    refusing.times = 0
    assert tries.execute(group(), try_number=2, max_tries=2)["verdict"] == "passed"
    assert posts(service) == 1


def test_no_test_of_a_round_is_lost_by_a_refused_submission(tries, service):
    """Two tests run again, and their submissions are refused for a while. The verdict is on all five."""
    failing = (catalog.TEST_FAILS, catalog.TEST_CART)
    for test in failing:
        service.control.store.override_script(test, "fails")
    parameters = {"retry_failed_tests": True, "max_outage": 0.2}
    assert isinstance(tries.execute(group(catalog.GROUP_FAILING, **parameters), max_tries=3), TestsFailed)
    refusing = service.control.faults.add("status", "trigger_*", status=429, times=-1)
    again = tries.execute(group(catalog.GROUP_FAILING, **parameters), try_number=2, max_tries=3)
    assert isinstance(again, ServiceUnavailable)
    refusing.times = 0
    service.control.store.override_script(catalog.TEST_CART, "passes")
    assert isinstance(
        tries.execute(group(catalog.GROUP_FAILING, **parameters), try_number=3, max_tries=3), TestsFailed
    )
    assert tries.summary["counts"] == {"total": 5, "passed": 4, "failed": 1}
    assert len(started(service)) == 5 + len(failing)
