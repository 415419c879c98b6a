from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.runs.verdict.gate import (
    GateInvalid,
    QualityGate,
    VerdictKind,
    describe_issue,
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
    """What a set of outcomes comes to."""
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
    """A run that passed may fail the gate all the same."""
    assert QualityGate.of(gate).judge([with_issue(**issue)]).kind == verdict


def test_issues_of_an_errored_run_do_not_make_it_failed():
    """The service broke; the product was not judged."""
    gate = QualityGate(max_severity=0, fail_on_warnings=True)
    assert gate.judge([with_issue(outcome=Outcome.ERRORED)]).kind == "errored"


def test_a_run_that_is_not_finished_has_no_outcome():
    """Whatever it claims, also where it is not judged."""
    claims = RunResult("r", "running", Phase.RUNNING, Outcome.PASSED, test_id="t")
    for gate in (QualityGate(), QualityGate(non_blocking_tests=["t"]), QualityGate(min_pass_rate=0)):
        verdict = gate.judge([claims])
        assert verdict.kind == "errored"
        assert verdict.counts == {"total": 1, "unknown": 1}


# -- the gate itself


@pytest.mark.parametrize(
    ("gate", "named"),
    [
        ({"min_pass_rat": 0.9}, "min_pass_rat: Extra inputs"),
        ({"min_pass_rate": 1.5}, "min_pass_rate: Input should be less than or equal to 1"),
        ({"min_pass_rate": -0.1}, "min_pass_rate: Input should be greater"),
        ({"min_pass_rate": "most"}, "min_pass_rate: Input should be a valid number"),
        ({"min_pass_rate": True}, "min_pass_rate"),
        ({"max_severity": True}, "max_severity"),
        ({"max_severity": 6}, "max_severity"),
        ({"max_severity": "grave"}, "max_severity"),
        ({"on_cancelled": "pass"}, "on_cancelled: Input should be 'fail' or 'ignore'"),
        ({"on_skipped": "ignore"}, "on_skipped"),
        ({"fail_on_warnings": "perhaps"}, "fail_on_warnings"),
        ({"non_blocking_tests": True}, "non_blocking_tests"),
        ({"non_blocking_tests": 7.5}, "non_blocking_tests"),
        ({"non_blocking_tests": {"a": 1}}, "non_blocking_tests"),
        ({"non_blocking_tests": [{"a": 1}]}, "non_blocking_tests"),
        ({"a": 1, "b": 2}, "a: Extra inputs are not permitted; b: Extra"),
        ("min_pass_rate=1", "must be a QualityGate or a dict of its fields, not str"),
        ([], "not list"),
    ],
)
def test_a_wrong_gate_is_refused(gate, named):
    """With every wrong field, and for a dict with the fields that there are."""
    with pytest.raises(GateInvalid) as caught:
        QualityGate.of(gate)
    assert named in str(caught.value)
    assert not isinstance(gate, dict) or "Its fields are min_pass_rate, max_severity" in str(caught.value)


def test_not_a_number_is_no_rate():
    """It compares to nothing, so it would let nothing pass, or everything."""
    for rate in ("nan", float("nan"), "inf"):
        with pytest.raises(GateInvalid, match="min_pass_rate"):
            QualityGate.of({"min_pass_rate": rate})


def test_templated_text_is_read():
    """Airflow's templates render to text."""
    gate = QualityGate.of(
        {
            "min_pass_rate": "0.9",
            "max_severity": "3",
            "fail_on_warnings": "true",
            "allow_empty": "False",
            "report_only": "1",
            "non_blocking_tests": "['a', \"b\", c ,]",
        }
    )
    assert gate == QualityGate(
        min_pass_rate=0.9,
        max_severity=3,
        fail_on_warnings=True,
        report_only=True,
        non_blocking_tests=frozenset("abc"),
    )


@pytest.mark.parametrize("rendered", ["", "None", " none ", "null", None])
@pytest.mark.parametrize("field", QualityGate.model_fields)
def test_every_field_may_render_to_nothing(field, rendered):
    """Which keeps its default, the strict one."""
    assert QualityGate.of({field: rendered}) == QualityGate()


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"min_pass_rate": " 0.9 "}, {"min_pass_rate": 0.9}),
        ({"max_severity": "3.0"}, {"max_severity": 3}),
        ({"fail_on_warnings": " True "}, {"fail_on_warnings": True}),
        ({"on_cancelled": "Ignore "}, {"on_cancelled": "ignore"}),
        ({"on_skipped": " PASS"}, {"on_skipped": "pass"}),
    ],
)
def test_rendered_text_of_every_kind(fields, same):
    """Blanks and case do not matter."""
    assert QualityGate.of(fields) == QualityGate.of(same)


def test_no_gate_is_the_strict_one():
    """Every run must pass."""
    gate = QualityGate(min_pass_rate=0.5)
    assert QualityGate.of(None) == QualityGate.of({}) == QualityGate()
    assert QualityGate.of(gate) is gate


@pytest.mark.parametrize(
    "ids",
    [
        ["a", 7],
        {"a", 7},
        ("A ", 7),
        "a, 7",
        '["a", 7]',
        "{'a', 7}",
        "frozenset({'a', '7'})",
        [["a"], [7]],
        ["a,7"],
        iter(["a", 7]),
        ["a", "", None, 7],
    ],
)
def test_ids_of_non_blocking_tests_may_be_any_collection(ids):
    """A list, a set, a tuple, numbers or text."""
    assert QualityGate.of({"non_blocking_tests": ids}).non_blocking_tests == {"a", "7"}


def test_ids_match_in_any_case():
    """A UUID is the same in capitals."""
    upper = uuid.UUID("20000000-0000-4000-8000-00000000abcd")
    for ids in (str(upper).upper(), [upper], str([upper])):
        gate = QualityGate.of({"non_blocking_tests": ids})
        assert not gate.is_blocking(replace(runs("F")[0], test_id=str(upper)))


def test_ids_that_match_no_run_are_warned_of():
    """A typing error makes a test blocking, and nothing else tells."""
    reasons = QualityGate(non_blocking_tests=["T0", "mistyped"]).judge(runs("P")).reasons
    assert "ids that match no run: mistyped. Check them." in reasons[-1]
    many = QualityGate(non_blocking_tests=[f"x{n}" for n in range(9)]).judge(runs("P")).reasons
    assert "x4, and 4 more" in many[-1]


@pytest.mark.parametrize(
    ("outcome", "gate", "blocks"),
    [
        ("P", {}, False),
        ("F", {}, True),
        ("E", {}, True),
        ("U", {}, True),
        ("-", {}, True),
        ("C", {}, True),
        ("C", {"on_cancelled": "ignore"}, False),
        ("S", {}, False),
        ("S", {"on_skipped": "pass"}, False),
        ("S", {"on_skipped": "fail"}, True),
        ("F", {"non_blocking_tests": ["T0"]}, False),
        ("F", {"report_only": True}, True),
    ],
)
def test_whether_one_run_blocks(outcome, gate, blocks):
    """As far as one run can."""
    assert QualityGate.of(gate).blocks(runs(outcome)[0]) is blocks


def test_a_pass_with_a_violation_blocks():
    """It does not count as a pass."""
    assert QualityGate(max_severity=4).blocks(with_issue(5))
    assert not QualityGate(max_severity=4).blocks(with_issue(4))
    assert QualityGate(fail_on_warnings=True).blocks(with_issue(1, confirmed=False))


def test_a_digest_is_that_of_the_fields():
    """Whatever the order, the spelling or the form in which they were given."""
    one = QualityGate.of({"min_pass_rate": "1", "non_blocking_tests": "b, A"})
    assert one.digest() == QualityGate(non_blocking_tests={"a", "b"}).digest()
    assert one.digest() != QualityGate(non_blocking_tests={"a"}).digest()
    assert len(one.digest()) == 64


# -- reasons


def test_reasons_name_test_issue_severity_and_link():
    """So that nobody has to open the dashboard to learn what broke."""
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
    """An untested thing has not passed."""
    assert "nothing tested is not passed" in QualityGate().judge([]).reasons[0]


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


# -- whatever comes


TEST_IDS = st.sampled_from(["", "a", "b", "c"])
ISSUES = st.builds(Issue, st.text(max_size=5), st.booleans(), st.none() | st.integers(-1, 9))
RUNS = st.builds(
    RunResult,
    run_id=st.uuids().map(str),
    status=st.text(max_size=5),
    phase=st.sampled_from(Phase),
    outcome=st.none() | st.sampled_from(Outcome),
    test_id=TEST_IDS,
    issues=st.lists(ISSUES, max_size=2).map(tuple),
)
GATES = st.builds(
    QualityGate,
    min_pass_rate=st.sampled_from([0.0, 0.5, 0.9, 1.0]) | st.floats(0, 1),
    max_severity=st.none() | st.integers(0, 5),
    fail_on_warnings=st.booleans(),
    on_cancelled=st.sampled_from(["fail", "ignore"]),
    on_skipped=st.sampled_from(["skip", "pass", "fail"]),
    allow_empty=st.booleans(),
    non_blocking_tests=st.frozensets(TEST_IDS, max_size=2),
    report_only=st.booleans(),
)


def ended_as(run, *outcomes):
    """Return whether a run is at its end, with one of these outcomes."""
    return run.finished and run.outcome in outcomes


@given(results=st.lists(RUNS, max_size=6), gate=GATES)
def test_a_pass_means_that_something_was_tested(results, gate):
    """A run passed, or one concluded that the gate expressly lets go."""
    if gate.judge(results).kind is not VerdictKind.PASSED:
        return
    lenient = gate.min_pass_rate < 1 or gate.non_blocking_tests
    assert (
        any(ended_as(run, Outcome.PASSED) for run in results)
        or (lenient and any(ended_as(run, Outcome.FAILED) for run in results))
        or (gate.on_skipped == "pass" and any(ended_as(run, Outcome.SKIPPED) for run in results))
    )


@given(results=st.lists(RUNS, max_size=6), gate=GATES)
def test_what_did_not_conclude_never_passes(results, gate):
    """Runs that are unfinished, unknown, errored or cancelled, whatever the gate."""
    concluded = (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
    results = [run for run in results if not ended_as(run, *concluded)]
    assert gate.judge(results).kind is not VerdictKind.PASSED


@given(results=st.lists(RUNS, max_size=6), gate=GATES)
def test_a_strict_rate_means_that_every_judged_run_passed(results, gate):
    """With a rate of 1.0 a pass leaves no failure, and nothing that broke."""
    gate = gate.model_copy(update={"min_pass_rate": 1.0})
    if gate.judge(results).kind is VerdictKind.PASSED:
        for run in results:
            if run.test_id not in gate.non_blocking_tests:
                assert ended_as(run, Outcome.PASSED, Outcome.SKIPPED, Outcome.CANCELLED)
                assert not ended_as(run, Outcome.CANCELLED) or gate.on_cancelled == "ignore"


@given(results=st.lists(RUNS, max_size=5), gate=GATES, at=st.integers(0, 5))
def test_a_further_failure_makes_no_pass(results, gate, at):
    """With a rate of 1.0 it makes every verdict failed."""
    gate = gate.model_copy(update={"min_pass_rate": 1.0})
    failing = RunResult("new", "completed", Phase.FINISHED, Outcome.FAILED, test_id="blocking")
    verdict = gate.judge([*results[:at], failing, *results[at:]])
    assert verdict.kind is VerdictKind.FAILED


@given(results=st.lists(RUNS, max_size=6), gate=GATES, data=st.data())
def test_the_order_of_runs_does_not_matter(results, gate, data):
    """A verdict is about a set."""
    shuffled = data.draw(st.permutations(results))
    assert gate.judge(shuffled).kind == gate.judge(results).kind
    assert gate.judge(shuffled).counts == gate.judge(results).counts


@given(results=st.lists(RUNS, max_size=6), gate=GATES)
def test_reporting_only_changes_nothing(results, gate):
    """The verdict is the same; what the task makes of it is not the gate's matter."""
    quiet, loud = (gate.model_copy(update={"report_only": value}) for value in (True, False))
    assert quiet.judge(results) == loud.judge(results)


@given(results=st.lists(RUNS, max_size=6), gate=GATES)
def test_what_is_not_passed_has_a_reason(results, gate):
    """And the counts add up."""
    verdict = gate.judge(results)
    assert verdict.reasons or verdict.kind is VerdictKind.PASSED
    assert verdict.counts["total"] == len(results) == sum(verdict.counts.values()) - verdict.counts["total"]
