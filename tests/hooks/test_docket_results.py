from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.client.docket.models import TestRunAnswer
from airflow_provider_testerarmy.hooks.docket import DocketService, group_run_url
from airflow_provider_testerarmy.reports import junit
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import summarize
from airflow_provider_testerarmy.runs.verdict.titles import titles_of
from airflow_provider_testerarmy.sandbox.docket import catalog


def test_a_failed_run_says_where_and_why(docket_driver):
    """Its failed step, the pictures and the video."""
    (result,) = docket_driver.run(catalog.BLUEPRINT_FAILS)
    assert (result.title, result.test_id) == ("Checkout with a credit card", "182")
    assert result.failed_step.title == "Wait for the confirmation"
    assert "the confirmation never appeared" in result.failed_step.error
    assert result.reason == result.failed_step.error
    assert len(result.screenshots) == 3
    pictures = [each.rpartition("/")[2].partition("?")[0] for each in result.failed_step.screenshots]
    assert pictures == [f"docket-{result.run_id}-1-3.png"]
    assert f"docket-{result.run_id}-1-3-before.png" in result.failed_step.screenshot_before
    assert result.failed_step.screenshots[0] in result.screenshots
    assert f"docket-{result.run_id}-1.webm?X-Amz" in result.video_url
    assert result.duration == pytest.approx(11.0, abs=0.01)
    assert [round(step.ended, 1) for step in result.steps] == [3.7, 7.3, 11.0]
    (reason,) = QualityGate().judge([result]).reasons[1:]
    assert 'step "Wait for the confirmation" failed' in reason
    assert f"grouprun/{result.url.rpartition('/')[2]}" in reason


def test_a_pass_after_a_failed_attempt_is_flaky(docket_driver):
    """It passed, though not at once; its steps are those of the attempt that passed."""
    retried, at_once = docket_driver.run(catalog.BLUEPRINT_RETRIED, catalog.BLUEPRINT_PASSES)
    assert (retried.outcome, retried.flaky, at_once.flaky) == (Outcome.PASSED, True, False)
    assert retried.failed_step is None


def test_a_failure_after_retries_is_not_flaky(docket_driver):
    """It failed every time."""
    (result,) = docket_driver.run(catalog.BLUEPRINT_RETRIED_IN_VAIN)
    assert (result.outcome, result.flaky) == (Outcome.FAILED, False)


def test_either_order_of_attempts_is_understood():
    """The reference leaves open whether `results` are the first attempt's or the last one's."""
    good = [{"step_number": 1, "is_successful": True}]
    bad = [{"step_number": 1, "is_successful": False}]
    for own, other in ((bad, good), (good, bad)):
        further = [{"results": other, "test_video_url": "https://video/2"}]
        run = {"id": 1, "status": "passed", "results": own, "additional_attempts": further}
        result = DocketService().result(TestRunAnswer.model_validate({"test_run": run}).test_run)
        assert ([step.passed for step in result.steps], result.flaky) == ([True], True)


@pytest.mark.parametrize(
    ("actions", "before", "shown"),
    [
        ([("a", "b"), ("c", "d")], "b", ("a", "c")),
        ([("a", None), ("c", "d")], "d", ("a", "c")),
        ([("a", "b"), (None, "d")], "", ("a", "d")),
        ([(None, "b")], "", ("b",)),
        ([], "", ()),
    ],
)
def test_the_page_before_and_after_a_step(actions, before, shown):
    """Before its first action and after its last one. A page before an action is no page after the step."""
    urls = [(one and f"https://x/{one}", other and f"https://x/{other}") for one, other in actions]
    step = {
        "is_successful": False,
        "actions": [{"screenshot_url": one, "screenshot_url_before": other} for one, other in urls],
    }
    run = {"id": 1, "status": "failed", "results": [step]}
    (found,) = DocketService().result(TestRunAnswer.model_validate({"test_run": run}).test_run).steps
    assert found.screenshot_before == (before and f"https://x/{before}")
    assert found.screenshots == tuple(f"https://x/{one}" for one in shown)


def test_a_sparse_answer_is_enough(docket_driver):
    """Null for everything that may be null."""
    (result,) = docket_driver.run(catalog.BLUEPRINT_SPARSE)
    assert (result.title, result.url, result.steps, result.duration) == ("", "", (), None)
    assert result.label == f"run {result.run_id}"


def test_a_step_without_a_known_success_has_not_passed():
    """Nor are the times known after one without a duration."""
    steps = [
        {"duration": 2},
        {"is_successful": "yes", "duration": None},
        {"is_successful": True, "duration": 1},
    ]
    run = TestRunAnswer.model_validate({"test_run": {"id": 1, "status": "failed", "results": steps}}).test_run
    result = DocketService().result(run)
    assert [step.passed for step in result.steps] == [False, False, True]
    assert [step.ended for step in result.steps] == [2.0, None, None]


def test_neither_snapshots_nor_signed_addresses_reach_the_summary(docket_driver):
    """XCom stays small, and keeps nothing that opens a file or a login."""
    blueprints = (catalog.BLUEPRINT_HUGE, catalog.BLUEPRINT_FAILS, catalog.BLUEPRINT_HOSTILE)
    submission = docket_driver.submit(*blueprints).submission
    results = list(docket_driver.await_runs(submission.run_ids).results.values())
    verdict = QualityGate().judge(results)
    summary = json.dumps(
        summarize(verdict, results, run_ids=submission.run_ids, batch_id=submission.batch_id)
    )
    assert len(summary) < 16 * 1024
    assert "X-Amz" not in summary
    assert "sandbox-blueprint-password" not in summary
    assert json.loads(summary)["run_ids"] == list(submission.run_ids)


def test_titles_need_no_further_question(docket_driver, service):
    """A run brings its test's title."""
    calls = len(service.control.log)
    assert docket_driver.drive(titles_of(docket_driver.service, RunRequest("test", "181"), "")) == {}
    assert len(service.control.log) == calls


def test_a_group_run_without_an_id_has_no_page():
    """Rather no link than a wrong one."""
    assert group_run_url(None) == group_run_url("") == ""


def judged(status, steps, **fields):
    """Return a run with such steps as the domain has it."""
    run = {"id": 1, "status": status, "results": steps, **fields}
    return DocketService().result(TestRunAnswer.model_validate({"test_run": run}).test_run)


def test_a_pass_with_a_failed_step_is_a_warning():
    """The gate can see it, and JUnit shows no clean pass."""
    result = judged("passed", [{"task": "Pay", "is_successful": False, "result": "Declined"}])
    (issue,) = result.issues
    assert (issue.confirmed, issue.description, "'Pay' failed" in issue.name) == (False, "Declined", True)
    assert issue.contradicts_pass
    assert QualityGate().judge([result]).kind == "passed"
    verdict = QualityGate(fail_on_warnings=True).judge([result])
    assert verdict.kind == "failed"
    summary = summarize(verdict, [result], run_ids=(1,), batch_id="35")
    assert 'failures="1"' in junit.render(summary, [result], name="suite")


def test_a_later_attempt_that_passed_leaves_no_warning():
    """It decided."""
    good = {"results": [{"is_successful": True}]}
    assert judged("passed", [{"is_successful": False}], additional_attempts=[good]).issues == ()
    assert judged("failed", [{"is_successful": False}]).issues == ()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("error", Outcome.ERRORED),
        ("timeout", Outcome.ERRORED),
        ("cancelled", Outcome.CANCELLED),
        ("canceled", Outcome.CANCELLED),
        ("skipped", Outcome.SKIPPED),
        ("running", None),
        ("archived", None),
        ("PASSED", None),
    ],
)
def test_words_for_an_end(status, outcome):
    """An unknown status is not an end, and never a pass."""
    assert judged(status, []).outcome is outcome


@pytest.mark.parametrize("other", [39, 0, None])
def test_an_answer_about_another_run_is_none(other):
    """Neither with details nor without."""
    for question in (DocketService().fetch(38), DocketService().fetch_state("38")):
        with pytest.raises(ValueError, match=r"another run|test_run"):
            question.parse({"test_run": {"id": other, "status": "passed"}})
