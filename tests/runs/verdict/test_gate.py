from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.runs.verdict.explanation import describe_issue
from airflow_provider_testerarmy.runs.verdict.gate import (
    QualityGate,
)


def runs(outcomes, **fields):
    """Return finished runs: ``PF`` is a passed and a failed one, ``-`` one that is still active."""
    by_letter = dict(zip("PFECSU", Outcome, strict=True))
    return [
        RunResult(f"r{n}", "running", Phase.RUNNING, test_id=f"t{n}", **fields)
        if letter == "-"
        else RunResult(f"r{n}", "ended", Phase.FINISHED, by_letter[letter], test_id=f"t{n}", **fields)
        for n, letter in enumerate(outcomes)
    ]


def with_issue(severity=5, *, confirmed=True, outcome=Outcome.PASSED, **fields):
    """Return a run with one issue."""
    issue = Issue("Cart total is wrong", confirmed, severity)
    return RunResult("r", "completed", Phase.FINISHED, outcome, issues=(issue,), **fields)


@pytest.mark.parametrize(
    ("outcomes", "gate", "verdict"),
    [
        # One run decides.
        ("P", {}, "passed"),
        ("F", {}, "failed"),
        ("E", {}, "errored"),
        ("C", {}, "cancelled"),
        ("S", {}, "skipped"),
        ("U", {}, "errored"),
        ("-", {}, "errored"),
        # No runs.
        ("", {}, "failed"),
        ("", {"allow_empty": True}, "skipped"),
        ("", {"min_pass_rate": 0}, "failed"),
        ("P", {"allow_empty": True}, "passed"),
        # The gravest thing that breaks the gate names the verdict.
        ("PF", {}, "failed"),
        ("PE", {}, "errored"),
        ("PC", {}, "cancelled"),
        ("PS", {}, "passed"),
        ("PU", {}, "errored"),
        ("P-", {}, "errored"),
        ("PFE", {}, "failed"),
        ("PEC", {}, "errored"),
        ("PFECSU", {}, "failed"),
        ("CS", {}, "cancelled"),
        ("ES", {}, "errored"),
        ("CC", {}, "cancelled"),
        ("SS", {}, "skipped"),
        # A rate, to the hair.
        ("P" * 9 + "F", {"min_pass_rate": 0.9}, "passed"),
        ("P" * 8 + "FF", {"min_pass_rate": 0.9}, "failed"),
        ("P" * 9 + "E", {"min_pass_rate": 0.9}, "passed"),
        ("P" * 8 + "FE", {"min_pass_rate": 0.9}, "errored"),
        ("P" * 8 + "FC", {"min_pass_rate": 0.9}, "cancelled"),
        ("P" * 8 + "EC", {"min_pass_rate": 0.9}, "cancelled"),
        ("P" * 8 + "FS", {"min_pass_rate": 0.9}, "failed"),
        ("P" * 7 + "FFF", {"min_pass_rate": 0.7}, "passed"),
        ("PPF", {"min_pass_rate": 0.66}, "passed"),
        ("PPF", {"min_pass_rate": 0.67}, "failed"),
        # A rate of nothing still wants something to have been tested.
        ("FFF", {"min_pass_rate": 0}, "passed"),
        ("FE", {"min_pass_rate": 0}, "passed"),
        ("EE", {"min_pass_rate": 0}, "errored"),
        ("UU", {"min_pass_rate": 0}, "errored"),
        ("--", {"min_pass_rate": 0}, "errored"),
        ("CC", {"min_pass_rate": 0}, "cancelled"),
        ("SS", {"min_pass_rate": 0}, "skipped"),
        ("SC", {"min_pass_rate": 0}, "cancelled"),
        # Cancelled runs.
        ("PC", {"on_cancelled": "ignore"}, "passed"),
        ("C", {"on_cancelled": "ignore"}, "cancelled"),
        ("FC", {"on_cancelled": "ignore"}, "failed"),
        ("SC", {"on_cancelled": "ignore"}, "cancelled"),
        ("PFC", {"on_cancelled": "ignore", "min_pass_rate": 0.5}, "passed"),
        # Skipped runs.
        ("S", {"on_skipped": "pass"}, "passed"),
        ("S", {"on_skipped": "fail"}, "failed"),
        ("PS", {"on_skipped": "fail"}, "failed"),
        ("FS", {"on_skipped": "pass"}, "failed"),
        ("FS", {"on_skipped": "pass", "min_pass_rate": 0.5}, "passed"),
        ("ES", {"on_skipped": "pass"}, "errored"),
        # A non-blocking test is reported, and not judged.
        ("PF", {"non_blocking_tests": ["t1"]}, "passed"),
        ("PE", {"non_blocking_tests": ["t1"]}, "passed"),
        ("FF", {"non_blocking_tests": ["t1"]}, "failed"),
        ("FP", {"non_blocking_tests": ["t1"]}, "failed"),
        ("F", {"non_blocking_tests": ["t0"]}, "not_judged"),
        ("FF", {"non_blocking_tests": ["t0", "t1"]}, "not_judged"),
        ("PF", {"non_blocking_tests": ["t0", "t1"]}, "not_judged"),
        ("FE", {"non_blocking_tests": ["t0", "t1"]}, "not_judged"),
        ("F", {"non_blocking_tests": ["t0"], "min_pass_rate": 0}, "not_judged"),
        ("CF", {"non_blocking_tests": ["t1"], "on_cancelled": "ignore"}, "not_judged"),
        ("SF", {"non_blocking_tests": ["t1"], "on_skipped": "pass"}, "passed"),
        ("FP", {"non_blocking_tests": [" T0 "]}, "passed"),
        ("P", {"non_blocking_tests": ["t0"]}, "passed"),
        ("E", {"non_blocking_tests": ["t0"]}, "errored"),
        ("-", {"non_blocking_tests": ["t0"]}, "errored"),
        ("C", {"non_blocking_tests": ["t0"]}, "cancelled"),
        ("S", {"non_blocking_tests": ["t0"]}, "skipped"),
        ("SF", {"non_blocking_tests": ["t1"]}, "not_judged"),
        ("CF", {"non_blocking_tests": ["t1"]}, "cancelled"),
        # What only reports judges all the same.
        ("F", {"report_only": True}, "failed"),
        ("P", {"report_only": True}, "passed"),
    ],
)
def test_the_verdict(outcomes, gate, verdict):
    """The verdict on a set of outcomes."""
    assert QualityGate.of(gate).judge(runs(outcomes)).kind == verdict


@pytest.mark.parametrize(
    ("issue", "gate", "verdict"),
    [
        ({"severity": 5}, {}, "passed"),
        ({"severity": 5}, {"max_severity": 4}, "failed"),
        ({"severity": 4}, {"max_severity": 4}, "passed"),
        ({"severity": 1}, {"max_severity": 0}, "failed"),
        ({"severity": 99}, {"max_severity": 5}, "failed"),
        ({"severity": None}, {"max_severity": 5}, "failed"),
        ({"severity": None}, {}, "passed"),
        ({"severity": 5, "confirmed": False}, {"max_severity": 0}, "passed"),
        ({"severity": 1, "confirmed": False}, {"fail_on_warnings": True}, "failed"),
        ({"severity": 1}, {"fail_on_warnings": True}, "failed"),
        ({"severity": 5}, {"max_severity": 4, "min_pass_rate": 0}, "failed"),
        ({"severity": 5}, {"max_severity": 4, "report_only": True}, "failed"),
        ({"severity": 5, "test_id": "t"}, {"max_severity": 4, "non_blocking_tests": ["t"]}, "passed"),
    ],
)
def test_issues_of_a_passed_run(issue, gate, verdict):
    """A passed run may fail the gate."""
    assert QualityGate.of(gate).judge([with_issue(**issue)]).kind == verdict


def test_issues_of_an_errored_run_do_not_make_it_failed():
    """The service could not complete the run, so the product was not judged."""
    gate = QualityGate(max_severity=0, fail_on_warnings=True)
    assert gate.judge([with_issue(outcome=Outcome.ERRORED)]).kind == "errored"


def test_a_run_that_is_not_finished_has_no_outcome():
    """Whatever it claims, also where it is not judged."""
    claims = RunResult("r", "running", Phase.RUNNING, Outcome.PASSED, test_id="t")
    for gate in (QualityGate(), QualityGate(non_blocking_tests=["t"]), QualityGate(min_pass_rate=0)):
        verdict = gate.judge([claims])
        assert verdict.kind == "errored"
        assert verdict.counts == {"total": 1, "unknown": 1}


# -- reasons


def test_reasons_name_test_issue_severity_and_link():
    """So that you need not open the dashboard to see what failed."""
    failed = with_issue(4, outcome=Outcome.FAILED, title="Checkout", url="https://tester.army/r", test_id="t")
    passed = with_issue(5, title="Price", url="https://tester.army/p")
    verdict = QualityGate(max_severity=2).judge([failed, passed])
    text = "\n".join(verdict.reasons)
    assert 'Checkout: failed: issue "Cart total is wrong" (severity 4) https://tester.army/r' in text
    assert (
        'Price: passed with issue "Cart total is wrong" (severity 5), above the allowed severity 2 '
        "https://tester.army/p" in text
    )


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (runs("F", reason="The button is gone")[0], "run r0: failed: The button is gone"),
        (
            runs("F", steps=(Step("Open", True), Step("Pay", False, error_code="STEP_NO_CONCLUSION")))[0],
            'step "Pay" failed (STEP_NO_CONCLUSION)',
        ),
        (
            runs("E", reason="Browser did not start", error_code="BROWSER")[0],
            "errored: BROWSER: Browser did not start",
        ),
        (runs("S", reason="nothing to do")[0], "skipped: nothing to do"),
        (runs("C")[0], "run r0: cancelled"),
        (runs("U")[0], "ended in the unknown state 'ended', which is not a pass"),
        (with_issue(None, outcome=Outcome.FAILED), "(no severity given)"),
    ],
)
def test_a_reason_says_what_became_of_a_run(run, reason):
    """In words, with what the service gave as a reason."""
    assert reason in "\n".join(QualityGate().judge([run]).reasons)


def test_the_gravest_issue_is_named_and_the_others_counted():
    """A reason stays short."""
    issues = tuple(Issue(f"i{n}", True, n) for n in (1, 5, 3))
    run = RunResult("r", "completed", Phase.FINISHED, Outcome.FAILED, issues=issues)
    assert 'issue "i5" (severity 5); 2 further issues' in "\n".join(QualityGate().judge([run]).reasons)


def test_decisive_reasons_come_first():
    """Failures before what broke, that before what was cancelled; what is only reported last."""
    verdict = QualityGate(non_blocking_tests=["t0"]).judge(runs("FCEF"))
    order = [reason.split(":")[0] for reason in verdict.reasons if reason.startswith("run ")]
    assert order == ["run r3", "run r2", "run r1", "run r0"]
    assert verdict.reasons[-1].endswith("(reported only: the test is non-blocking)")


def test_the_rate_is_among_the_reasons():
    """How many passed, and how many had to."""
    text = "\n".join(QualityGate(min_pass_rate=0.9).judge(runs("PPPF")).reasons)
    assert "3 of 4 judged runs passed (75.0%; 90.0% needed)" in text


def test_no_run_is_a_reason():
    """An untested product has not passed."""
    assert "nothing was tested" in QualityGate().judge([]).reasons[0]


def test_counts_are_by_outcome():
    """Every run counts once."""
    assert QualityGate().judge(runs("PPF-U")).counts == {
        "total": 5,
        "passed": 2,
        "failed": 1,
        "unknown": 2,
    }


def test_hostile_names_stay_on_one_line():
    """Remote text does not forge a line of the log."""
    verdict = QualityGate().judge(runs("F", title="x\r\nforged: \x1b[31mline" + "y" * 10_000))
    assert all(reason.isprintable() and len(reason) < 1000 for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("issue", "text"),
    [
        (Issue("a", True, 3), 'issue "a" (severity 3)'),
        (Issue("a", False), 'warning "a" (no severity given)'),
    ],
)
def test_describe_issue(issue, text):
    """In a few words."""
    assert describe_issue(issue) == text
