"""TesterArmy's runs as domain results."""

from __future__ import annotations

from airflow_provider_testerarmy.client.testerarmy.models import Run
from airflow_provider_testerarmy.hooks.testerarmy_results import to_result
from airflow_provider_testerarmy.reports import junit
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import summarize


def test_a_pass_with_a_failed_step_and_an_issue_is_a_pass():
    """The agent judged the whole run; the gate passes it, so JUnit shows no failure."""
    output = {
        "result": "PASS",
        "steps": [{"stepIndex": 0, "title": "Close the banner", "status": "failed"}],
        "issues": [{"name": "The banner overlaps the menu", "type": "warning", "severity": 1}],
    }
    run = Run.model_validate({"id": "r1", "status": "completed", "output": output})
    result = to_result(run, "")
    assert (result.outcome, result.failed_step.title) == (Outcome.PASSED, "Close the banner")
    assert [issue.contradicts_pass for issue in result.issues] == [False]
    verdict = QualityGate().judge([result])
    summary = summarize(verdict, [result], run_ids=("r1",), batch_id="")
    assert verdict.kind == "passed"
    assert 'failures="0"' in junit.render(summary, [result], name="suite")
