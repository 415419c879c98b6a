"""The attempts of a confirmed test in every report."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.reports import html, json_report, junit, markdown
from airflow_provider_testerarmy.runs.results import Attempt, Outcome
from tests.reports.cases import run, summary_of

P, F = Outcome.PASSED, Outcome.FAILED
RUNS = (
    run(1, title="Log in", flaky=True, attempts=(Attempt("r0", F), Attempt("r1", P))),
    run(2, F, title="Pay", attempts=(Attempt("r3", F), Attempt("r2", F))),
    run(4, title="Search"),
)


@pytest.mark.parametrize("report", [html, json_report, junit, markdown], ids=lambda report: report.__name__)
def test_every_report_shows_the_attempts(report):
    """Of the flaky test, and of the one that is broken."""
    text = report.render(summary_of(RUNS), RUNS, name="shop.nightly")
    if report is json_report:
        tests = {each["title"]: each["attempts"] for each in json.loads(text)["runs"]}
        assert [one["outcome"] for one in tests["Log in"]] == ["failed", "passed"]
        assert tests["Search"] == []
    else:
        assert "failed, passed" in text
        assert "failed, failed" in text
