from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from junitparser import Error, Failure, JUnitXml, Skipped
from lxml import etree

from airflow_provider_testerarmy.reports import junit
from airflow_provider_testerarmy.runs.results import Issue, Outcome
from tests.reports.cases import (
    ISSUE,
    LONG,
    NAME,
    NASTY,
    NIGHT,
    RUNS,
    STEPS,
    THOUSAND,
    WARNING,
    hostile_run,
    run,
    summary_of,
)

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))


def read(results, **gate):
    """Validate the document, and parse it with a second library: the suite, and its cases by name."""
    text = junit.render(summary_of(results, **gate), results, name=NAME)
    SCHEMA.assertValid(etree.fromstring(text.encode()))
    [suite] = JUnitXml.fromstring(text.encode())
    return suite, {case.name: case for case in suite}


def properties(case):
    """The properties in a test case's output."""
    return dict(re.findall(r"^\[\[PROPERTY\|(\w+)=(.*)]]$", case.system_out, re.MULTILINE))


def test_the_suite():
    """There is one suite per submission, with the properties of the whole submission."""
    suite, cases = read(NIGHT)
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == (NAME, 7, 1, 3, 1)
    assert (suite.time, suite.timestamp) == (36.0, "2026-02-11T12:00:00")
    found = {item.name: item.value for item in suite.properties()}
    assert found["verdict"] == "failed"
    assert found["batch_id"] == "b-7"
    assert found["url"] == "https://tester.army/batches/b-7"
    assert found["flaky"] == "1"
    assert found["reason.1"].startswith("2 of 6 judged runs passed")
    assert list(cases) == [result.title for result in NIGHT]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("Search", None, ""),
        ("Log in", None, ""),
        ("Checkout", Failure, 'failed: issue "Total is wrong" (severity 5)'),
        ("Upload", Error, "errored: BROWSER: No browser."),
        ("Newsletter", Error, "cancelled"),
        ("Gift cards", Skipped, "skipped: Nothing to test."),
        ("Returns", Error, "ended in the unknown state"),
    ],
)
def test_what_an_outcome_becomes(name, kind, words):
    """Failures are the product's; errors are not."""
    case = read(NIGHT)[1][name]
    assert [type(result) for result in case.result] == ([kind] if kind else [])
    if kind:
        assert case.result[0].message.startswith(words)
    assert (case.classname, case.time) == (NAME, 30.0)


def test_a_pass_that_an_issue_contradicts_is_a_failure():
    """A pass that one of the run's issues contradicts is a failure, whatever the gate says."""
    says_so = Issue("It is called passed, but step 'Pay' failed", False, contradicts_pass=True)
    suite, cases = read([run(1, issues=(WARNING, says_so), steps=STEPS), run(2)])
    assert (suite.failures, suite.tests) == (1, 2)
    (failure,) = cases["Test 1"].result
    assert (type(failure), failure.message) == (Failure, says_so.name)


@pytest.mark.parametrize("issues", [(), (WARNING,), (WARNING, ISSUE)], ids=["none", "warning", "issue"])
def test_a_pass_with_a_failed_step_stays_a_pass(issues):
    """An agent may fail at a step, find another way, and report what it saw: the gate decides."""
    suite, cases = read([run(1, issues=issues, steps=STEPS)])
    assert (suite.failures, suite.errors, cases["Test 1"].result) == (0, 0, [])


def test_a_cancelled_run_that_the_gate_ignores_is_skipped():
    """A cancelled run is skipped if the verdict is passed, so that the report is not red."""
    results = [run(1), run(2, Outcome.CANCELLED)]
    _, cases = read(results, on_cancelled="ignore")
    assert [type(result) for result in cases["Test 2"].result] == [Skipped]


def test_what_a_case_says():
    """A case has ids, links, issues and steps; its failure has the most important ones."""
    _, cases = read(NIGHT)
    case = cases["Checkout"]
    assert properties(case) == {
        "run_id": "r1",
        "test_id": "t1",
        "status": "completed",
        "outcome": "failed",
        "url": "https://tester.army/runs/1",
    }
    for words in ("Wrong total.", "(severity 5)", "[FAILED] Pay (2.0 s)", "ASSERTION: Expected 24.80"):
        assert words in case.result[0].text
        assert words in case.system_out
    for words in ("Expected: 24.80", "Actual: 2480", "- Read the total", "[ok] Open the shop", "?sig=a&b=c"):
        assert words in case.system_out
    assert properties(cases["Log in"])["flaky"] == "true"
    assert "not at the first attempt" in cases["Log in"].system_out


def test_cases_of_the_same_title_stay_apart():
    """Cases get unique names, because readers identify a case by its name."""
    results = [run(1, title="Same"), run(2, title="Same"), run(2, title="Same"), run(3)]
    assert list(read(results)[1]) == ["Same [t1]", "Same [t2]", "Same [t2] #2", "Test 3"]


@pytest.mark.parametrize("text", [NASTY, LONG], ids=["nasty", "3 MB"])
def test_hostile_texts(text):
    """Hostile texts remain text and forge neither a property nor an attachment."""
    results = [hostile_run(number, text, outcome) for number, outcome in enumerate(Outcome)]
    _, cases = read(results)
    assert len(cases) == len(results)
    for case in cases.values():
        assert set(properties(case)) == {"run_id", "test_id", "status", "outcome", "flaky", "error_code"}
        assert case.system_out.count("[[") == 6
        assert "<script>alert(1)</script>" in case.system_out


def test_a_thousand_runs():
    """All runs are in the document, and its size is limited for hostile ones too."""
    assert len(read(THOUSAND)[1]) == 1000
    results = [hostile_run(number, NASTY * 9) for number in range(300)]
    assert len(junit.render(summary_of(results[:50]), results)) < 16_000_000


def test_no_runs():
    """Without runs, the suite has no cases."""
    assert read([])[0].tests == 0


@settings(max_examples=50)
@given(results=RUNS)
def test_any_results(results):
    """Any results give a valid document, and the same one each time."""
    suite, _ = read(results)
    assert suite.tests == len(results)
    summary = summary_of(results)
    assert junit.render(summary, results) == junit.render(summary, results)
