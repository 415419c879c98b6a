from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen

pytestmark = pytest.mark.integration


def test_failed_tests_fail_the_task_without_a_retry(endings: Seen) -> None:
    """Whatever `retries` says: the product is broken, and a retry would hide it."""
    task = endings.task("failing")
    assert (task["state"], task["try_number"]) == ("failed", 1)
    assert task["max_tries"] == 2


def test_a_failed_task_has_its_summary_all_the_same(endings: Seen) -> None:
    """The reasons name the test, the issue, its severity and the link."""
    summary = endings.xcom("failing")
    assert summary["verdict"] == "failed"
    assert summary["counts"] == {"total": 5, "passed": 4, "failed": 1}
    (reason,) = [reason for reason in summary["reasons"] if "Checkout with a credit card" in reason]
    assert "severity 5" in reason
    assert 'issue "' in reason
    assert "https://tester.army/dashboard/acme-corp/projects/webshop?run=" in reason
    assert reason.rpartition("=")[2] in summary["run_ids"]
    worst = summary["issues"][0]
    assert (worst["test"], worst["type"], worst["severity"]) == ("Checkout with a credit card", "issue", 5)
    assert worst["url"] in reason


def test_the_log_of_a_failed_task_says_why(endings: Seen) -> None:
    """In the words of the reasons."""
    assert endings.xcom("failing")["reasons"][1] in endings.log("failing")


def test_a_failed_test_fails_the_task_in_the_worker_too(endings: Seen) -> None:
    """Without a deferral it ends the same way."""
    assert (endings.states["failing_sync"], endings.tries("failing_sync")) == ("failed", ["failed"])
    assert endings.xcom("failing_sync")["verdict"] == "failed"


def test_a_run_that_the_service_broke_is_retried(endings: Seen) -> None:
    """Its fault is not the product's."""
    assert endings.states["broken"] == "up_for_retry"
    assert "Verdict: errored." in endings.log("broken")


def test_a_retry_after_a_broken_run_starts_a_new_one(endings: Seen) -> None:
    """Two submissions, and the second passes."""
    assert endings.states["breaks_once"] == "success"
    assert endings.tries("breaks_once") == ["failed", "success"]
    assert endings.submissions_of(f"/groups/{catalog.GROUP_BREAKS_ONCE}/runs") == 2
    assert endings.xcom("breaks_once")["counts"] == {"total": 2, "passed": 2}


def test_only_what_failed_runs_again(endings: Seen) -> None:
    """With `retry_failed_tests` a test that passes at the second try is flaky."""
    assert endings.tries("flaky") == ["failed", "success"]
    assert endings.submissions_of(f"/groups/{catalog.GROUP_FLAKY}/runs") == 1
    assert endings.submissions_of(f"/tests/{catalog.TEST_FLAKY}/runs") == 1
    summary = endings.xcom("flaky")
    assert (summary["verdict"], summary["counts"], summary["flaky"]) == (
        "passed",
        {"total": 2, "passed": 2},
        1,
    )


def test_a_pass_in_the_worker(endings: Seen) -> None:
    """A report that cannot be written hides nothing."""
    assert endings.states["passing"] == "success"
    summary = endings.xcom("passing")
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 4, "passed": 4})
    log = endings.log("passing")
    assert "/nowhere/passing.json" in log
    assert "Verdict: passed." in log


@pytest.mark.parametrize(
    ("task_id", "state", "verdict", "words"),
    [
        ("skipped", "skipped", "skipped", "Verdict: skipped"),
        ("rejected", "failed", "cancelled", "The service rejected every run at submission"),
        ("cancelled", "failed", "cancelled", "Verdict: cancelled"),
        ("too_severe", "failed", "failed", "above the allowed severity 3"),
        ("reported", "success", "failed", "The gate has report_only=True, so the task succeeds"),
    ],
)
def test_an_ending(endings: Seen, task_id: str, state: str, verdict: str, words: str) -> None:
    """At the first try, with its summary and with words in the log."""
    assert endings.tries(task_id) == [state]
    assert endings.xcom(task_id)["verdict"] == verdict
    assert words in endings.log(task_id)


def test_a_group_without_a_runnable_test(endings: Seen) -> None:
    """The service refuses to run it; nothing tested is not passed."""
    assert endings.tries("empty") == ["failed"]
    assert "has no runnable tests" in endings.log("empty")


def test_mapped_tasks(endings: Seen) -> None:
    """Each has a verdict of its own."""
    verdicts = [endings.xcom("mapped", map_index=index)["verdict"] for index in (0, 1)]
    assert verdicts == ["passed", "passed"]
    assert [endings.task("mapped", index)["state"] for index in (0, 1)] == ["success", "success"]


def test_not_waiting_judges_nothing(endings: Seen) -> None:
    """The runs are started; a disabled test has none."""
    summary = endings.xcom("start")
    assert (endings.states["start"], summary["verdict"]) == ("success", None)
    assert summary["counts"] == {"total": 1}
    assert summary["run_ids"] == endings.xcom("start", "run_ids")


@pytest.mark.parametrize("task_id", ["wait_poke", "wait_reschedule", "wait_deferred"])
def test_a_sensor_judges_what_an_operator_started(endings: Seen, task_id: str) -> None:
    """In every way a sensor can wait."""
    assert endings.states[task_id] == "success"
    summary = endings.xcom(task_id)
    assert (summary["verdict"], summary["run_ids"]) == ("passed", endings.xcom("start", "run_ids"))


def test_a_sensor_fails_without_a_retry(endings: Seen) -> None:
    """As the operator would have; with `soft_fail` the task is skipped."""
    assert endings.tries("wait_failing") == ["failed"]
    assert endings.xcom("wait_failing")["verdict"] == "failed"
    assert endings.states["wait_failing_softly"] == "skipped"
