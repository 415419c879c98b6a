"""Properties of the gate that hold for any runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult
from airflow_provider_testerarmy.runs.verdict.gate import (
    QualityGate,
    VerdictKind,
)

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
    """A verdict is about a set of runs."""
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
