"""A clear that runs only what did not pass, and every other clear, which runs everything."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.exceptions import RequestRefused, RunErrored, ServiceUnavailable, TestsFailed
from airflow_provider_testerarmy.lifecycle.record_store import identity_of
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.runs.submission.rerun import KEY, rerun_order
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import cancelled, group, posts, started

pytestmark = pytest.mark.usefixtures("connections", "docket_connection")

FLAKY = catalog.GROUP_FLAKY


@pytest.fixture
def cleared(tries):
    """A night with failed tests, and a person's clear."""
    tries.clear_number = 0

    def clear(task, *, ordered=True, **order):
        ending = tries.execute(task, max_tries=0)
        assert isinstance(ending, TestsFailed)
        tries.clear_number = 1
        if ordered:
            given = {"clear_number": 1, "identity": identity_of(tries.ti), "secret": DEFAULT_API_KEY, **order}
            order = rerun_order(given.pop("stored", tries.record), **given)
            tries.store[KEY] = json.loads(json.dumps(order))
        return tries.summary

    return clear


def passed_in(summary):
    return {test["run_id"] for test in summary["tests"] if test["outcome"] == "passed"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_only_what_did_not_pass_runs_again(tries, service, cleared, deferrable):
    """Passes from before the clear count, the verdict says so, and a test that passes now is flaky."""
    first = cleared(group(FLAKY))
    summary = tries.execute(group(FLAKY, deferrable=deferrable), try_number=2, max_tries=1)
    if deferrable:
        assert set(tries.deferred.trigger.run_ids) == set(started(service)[2:])
        summary = tries.through_trigger(group(FLAKY, deferrable=True))
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]
    assert (summary["verdict"], summary["counts"], summary["flaky"]) == (
        "passed",
        {"total": 2, "passed": 2},
        1,
    )
    assert passed_in(first) < passed_in(summary)
    assert "1 test passed before the clear" in " ".join(summary["reasons"])
    assert cancelled(service) == []


def test_a_ci_run_of_docket_runs_nothing(tries, service, cleared):
    """GitHub would show the outcome of some tests for all, so Docket cannot run a part."""
    service.control.docket.override_script(202, "flaky")
    task = DocketRunTestsOperator(
        task_id="tests",
        test_blueprint_ids=[201, 202],
        github_context={"repository": "acme/shop", "commit_sha": "4f2d1c9"},
        deferrable=False,
        poll_interval=0.05,
    )
    before = cleared(task)["run_ids"]
    assert type(tries.execute(task, try_number=2, max_tries=1)) is RequestRefused
    assert set(service.control.docket.runs) == set(before)


def test_docket(tries, service, cleared):
    """Docket starts the tests that did not pass in one request."""
    ids = [201, 202, 203]
    service.control.docket.override_script(202, "flaky")

    def task():
        return DocketRunTestsOperator(
            task_id="tests", test_blueprint_ids=ids, deferrable=False, poll_interval=0.05
        )

    first = cleared(task())
    again = {test["test_id"] for test in first["tests"] if test["outcome"] != "passed"}
    assert 0 < len(again) < len(ids)
    summary = tries.execute(task(), try_number=2, max_tries=1)
    assert {test["test_id"] for test in summary["tests"]} == set(map(str, ids))
    assert passed_in(first) <= passed_in(summary)
    assert len(set(summary["run_ids"]) - set(first["run_ids"])) == len(again)


@pytest.mark.parametrize(
    "order",
    [
        {"clear_number": 2},
        {"clear_number": 0},
        {"identity": "another/task"},
        {"secret": "forged"},
        {"stored": {"signature": "older"}},
    ],
    ids=lambda order: next(iter(order)),
)
def test_an_order_for_another_clear_or_by_somebody_else(tries, service, cleared, order):
    """It is ignored, and everything runs."""
    cleared(group(FLAKY), **order)
    tries.execute(group(FLAKY), try_number=2, max_tries=1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]


@pytest.mark.parametrize("value", ["text", [], {}, {"version": 1}, {"version": 1, "signature": 3}])
def test_an_order_that_nobody_gave(tries, service, cleared, value):
    """Users can edit task state; an edited order is ignored."""
    cleared(group(FLAKY), ordered=False)
    tries.store[KEY] = value
    tries.execute(group(FLAKY), try_number=2, max_tries=1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]


def test_an_order_is_for_one_clear(tries, service, cleared):
    """The next clear runs everything, though the order is still stored."""
    cleared(group(FLAKY))
    tries.execute(group(FLAKY), try_number=2, max_tries=1)
    tries.clear_number = 2
    tries.execute(group(FLAKY), try_number=3, max_tries=2)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1, 2]


def test_an_edited_record(tries, service, cleared):
    """The order names the record that the person saw: another one makes it void."""
    cleared(group(FLAKY))
    tries.record["rounds"] = []
    tries.record["cancels"] = False
    tries.execute(group(FLAKY), try_number=2, max_tries=1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]


def test_a_changed_task_runs_nothing(tries, service, cleared):
    """The person confirmed one run. Running another target, or all of this one, would be something else."""
    cleared(group(FLAKY))
    ending = tries.execute(group(catalog.GROUP_FAILING), try_number=2, max_tries=1)
    assert type(ending) is RequestRefused
    assert "Nothing was started" in str(ending)
    assert posts(service) == 1


def test_a_changed_gate_runs_nothing(tries, service, cleared):
    """Passes that another gate has judged do not count."""
    cleared(group(FLAKY))
    ending = tries.execute(group(FLAKY, gate={"max_severity": 1}), try_number=2, max_tries=1)
    assert type(ending) is RequestRefused
    assert posts(service) == 1


def test_no_success_by_old_passes_alone(tries, service, cleared):
    """The failed test is gone from the service: nothing was tested, so this is no pass."""
    cleared(group(FLAKY))
    service.control.faults.add("status", f"* /tests/{catalog.TEST_FLAKY}*", status=404, times=-1)
    ending = tries.execute(group(FLAKY), try_number=2, max_tries=1)
    assert tries.summary["verdict"] == "errored"
    assert "No test passed since the task was cleared" in str(ending)
    assert posts(service) == 1


@pytest.mark.usefixtures("no_pauses")
def test_an_outage_before_the_rerun(tries, service, cleared):
    """The results from before the clear cannot be read; the next try runs what did not pass, and no more."""
    cleared(group(FLAKY))
    fault = service.control.faults.add("status", "*", status=503, times=-1)
    ending = tries.execute(group(FLAKY, max_outage=5), try_number=2, max_tries=2)
    assert type(ending) is ServiceUnavailable
    fault.times = 0
    assert tries.execute(group(FLAKY), try_number=3, max_tries=2)["verdict"] == "passed"
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]


def test_a_retry_runs_only_a_part_too(tries, service, cleared):
    """An error of the service is retried with the same tests, also without `retry_failed_tests`."""
    cleared(group(FLAKY))
    service.control.store.override_script(catalog.TEST_FLAKY, "breaks")
    assert type(tries.execute(group(FLAKY), try_number=2, max_tries=2)) is RunErrored
    service.control.store.override_script(catalog.TEST_FLAKY, "passes")
    assert tries.execute(group(FLAKY), try_number=3, max_tries=2)["verdict"] == "passed"
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1, 1]


def test_a_lost_worker_starts_nothing_twice(tries, service, cleared):
    """The next try reconnects to the runs of the rerun."""
    cleared(group(FLAKY))
    tries.execute(group(FLAKY, deferrable=True), try_number=2, max_tries=2)
    assert tries.execute(group(FLAKY), try_number=3, max_tries=2)["verdict"] == "passed"
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]
