"""The XCom `test_runs`: why a task has no verdict, and where its runs were tested."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, AirflowTaskTimeout

from airflow_provider_testerarmy.exceptions import RequestRefused, RunsForgotten
from airflow_provider_testerarmy.lifecycle.task_note import reason_of
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle.tries import group, single, started


def sensor(run_ids, **parameters):
    given = {"task_id": "tests", "deferrable": False, "poll_interval": 0.05, **parameters}
    return TesterArmyRunSensor(run_ids=run_ids, **given)


REFUSED = {
    "the service does not know the test": (single(catalog.UNKNOWN_ID), "not found"),
    "an id that is none": (single("{{ x }}"), "is not a TesterArmy id"),
    "a gate that is none": (single(gate="{{ x }}"), "gate"),
    "no connection": (single(testerarmy_conn_id="nowhere"), "nowhere"),
    "another vendor": (
        DocketRunTestsOperator(task_id="tests", test_blueprint_ids=[1], docket_conn_id="nowhere"),
        "nowhere",
    ),
    "a sensor without runs": (sensor("{{ x }}"), "is not a TesterArmy id"),
    "a sensor that may fail": (sensor("{{ x }}", soft_fail=True), "is not a TesterArmy id"),
    "a rescheduling sensor": (sensor("{{ x }}", mode="reschedule"), "is not a TesterArmy id"),
}


@pytest.mark.parametrize(("task", "words"), REFUSED.values(), ids=REFUSED)
def test_a_task_that_is_refused_says_why(tries, task, words):
    """The tab shows the same reason as the log."""
    error = tries.execute(task)
    note = tries.xcoms["test_runs"]
    assert words in str(error)
    assert words in note["reason"]
    assert (note["version"], DEFAULT_API_KEY in note["reason"]) == (1, False)
    assert "return_value" not in tries.xcoms


def test_it_names_its_target(tries):
    """A refused task is listed by what it was to run."""
    tries.execute(single(catalog.UNKNOWN_ID))
    assert catalog.UNKNOWN_ID in tries.xcoms["test_runs"]["label"]


def test_a_task_that_cannot_resume_says_why(tries):
    """The note of the try that started the runs is kept, and the reason is added."""
    task = single(deferrable=True, durable=False)
    tries.store = None
    tries.execute(task)
    tries.ti.xcoms["test_runs"] |= {"title": "Login"}
    del tries.ti.xcoms["run_ids"]
    error = tries.resume(single(deferrable=True, durable=False), "__fail__", {"error": "Trigger failure"})
    assert isinstance(error, RunsForgotten)
    note = tries.xcoms["test_runs"]
    assert (note["reason"], note["title"]) == (str(error), "Login")


def test_a_verdict_needs_no_other_reason(tries):
    """The reasons are in the summary."""
    tries.execute(single(catalog.TEST_FAILS))
    assert tries.summary["verdict"] == "failed"
    assert "reason" not in tries.xcoms["test_runs"]


def test_a_deferral_is_no_failure(tries):
    tries.execute(single(deferrable=True))
    assert "reason" not in tries.xcoms["test_runs"]


def test_an_airflow_that_takes_no_xcom_gets_the_error(tries, monkeypatch):
    """Airflow refuses the XComs of a task that a user has ended."""
    monkeypatch.setattr("tests.lifecycle.tries.TaskInstance.xcom_push", broken)
    assert isinstance(tries.execute(single(catalog.UNKNOWN_ID)), RequestRefused)


def broken(self, key, value):
    raise RuntimeError("409: the task is not running")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RequestRefused("The test was not started."), "The test was not started."),
        (RuntimeError("password=secret"), "RuntimeError. The task's log has the details."),
        (AirflowTaskTimeout("secret"), "AirflowTaskTimeout. The task's log has the details."),
        (RequestRefused("x\n" * 900), ("x " * 900)[:499] + "…"),
    ],
)
def test_what_is_said(error, said):
    """XComs are not masked, so the text of an unknown error is left to the log."""
    assert reason_of(error) == said


def test_where_a_group_was_tested(tries):
    """The environment and the address tell histories apart; user, password and query may be secret."""
    address = "https://user:pass@staging.shop.test:8443/eu?token=1"
    tries.execute(group(target_url=address, environment="staging", wait_for_completion=False))
    note = tries.xcoms["test_runs"]
    assert (note["environment"], note["address"]) == ("staging", "https://staging.shop.test:8443/eu")


def test_the_note_names_rejected_runs(tries, service):
    """To the service they are cancelled runs, but nobody has cancelled them."""
    tries.execute(group(catalog.GROUP_SOME_REJECTED))
    (rejected,) = tries.xcoms["test_runs"]["rejected"]
    assert rejected in started(service)
    assert tries.summary["counts"]["cancelled"] == 1


def test_a_soft_failing_sensor_is_skipped(tries):
    assert isinstance(tries.execute(sensor("{{ x }}", soft_fail=True)), AirflowSkipException)


def test_the_commit_is_noted_and_reported(tries, tmp_path):
    """The tab and the reports say what was tested."""
    page, data = tmp_path / "report.md", tmp_path / "report.json"
    tries.execute(group(commit_sha="4f2d1c9aa", report_path=[str(page), str(data)]))
    assert tries.xcoms["test_runs"]["commit"] == "4f2d1c9aa"
    assert "Commit 4f2d1c9aa\n" in page.read_text()
    assert json.loads(data.read_text())["commit"] == "4f2d1c9aa"
