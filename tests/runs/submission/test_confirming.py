"""Which failed tests run again before they count, and what their runs come to together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.results import Outcome, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.confirming import Plan, Rule, confirming_round, plan, settled
from airflow_provider_testerarmy.runs.submission.record import PartState, Record
from airflow_provider_testerarmy.runs.submission.rounds import closed, first_round, next_round, with_rounds
from airflow_provider_testerarmy.runs.submission.stored import from_json, to_json
from tests.runs.scripted import Port, finished

GROUP = RunRequest("group", "g")
P, F, E, C = Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED, Outcome.CANCELLED


def not_passed(run: RunResult) -> bool:
    return run.outcome is not P


RULE = Rule(times=2, of=3, unless_failing=0.5, max_reruns=50, blocks=not_passed)


@dataclass
class Night:
    """The rounds of one try, played with given outcomes.

    :param alone: whether the service can run single tests of the group.
    """

    outcomes: Mapping[str, Sequence[Outcome]]
    rule: Rule = RULE
    alone: bool = True
    counted: frozenset[str] | None = None
    record: Record = field(init=False)
    results: list[RunResult] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.record = first_round(Record(Asked("hook", "conn"), Generation(3)), GROUP)
        self.run(tuple(self.outcomes))
        while (found := self.plan()).tests:
            record = confirming_round(
                _Service(self.alone), GROUP, self.record, self.known(), found.tests, self.rule
            )
            if record is None:
                break
            self.record = from_json(to_json(record)) or record
            self.run(found.tests if self.alone else tuple(self.outcomes))

    def run(self, tests: Sequence[str]) -> None:
        """Let each of the tests end with its next outcome."""
        number = len(self.record.rounds)
        ids = {test: f"{test}{number}" for test in tests}
        for name, part in self.record.parts.items():
            own = [run_id for test, run_id in ids.items() if name in ("run", f"test {test}")]
            started = replace(part, state=PartState.STARTED, submission=Submission(tuple(own)))
            self.record = self.record.with_part(name, started)
        self.results += [
            finished(ids[test], self.outcomes[test][min(number, len(self.outcomes[test]) - 1)], test_id=test)
            for test in tests
        ]

    def known(self) -> list[RunResult]:
        """The results that the lifecycle collects: those of this round, and those that it has kept."""
        wanted = {*self.record.carried, *self.record.run_ids}
        return [run for run in self.results if run.run_id in wanted]

    def plan(self) -> Plan:
        counted = frozenset(self.outcomes) if self.counted is None else self.counted
        self.plans.append(plan(self.known(), self.record, self.rule, counted))
        return self.plans[-1]

    def settled(self) -> dict[str, RunResult]:
        found = with_rounds(settled(self.known(), self.record, self.rule), self.record)
        assert len(found) == len({run.test_id for run in found}) == len(self.outcomes)
        return {run.test_id: run for run in found}

    def attempts(self, test: str) -> str:
        return "".join(str(one.outcome)[0] for one in self.settled()[test].attempts)

    @property
    def runs(self) -> list[str]:
        return [str(run.run_id) for run in self.results]


class _Service(Port):
    def __init__(self, alone: bool) -> None:
        super().__init__(group=not alone)

    def some_tests(self, request, test_ids):
        return None if self._group else tuple(RunRequest("test", test_id) for test_id in test_ids)


@pytest.mark.parametrize(
    ("outcomes", "counted", "flaky", "attempts"),
    [
        ([F, F], F, False, "ff"),
        ([F, P, F], F, False, "fpf"),
        ([F, P, P], P, True, "fpp"),
        ([F, E, F], F, False, "fef"),
        ([F, P, E, P], P, True, "fpep"),
        ([F, E, E, E, E], F, False, "feeee"),
        ([F, C, P, E], F, False, "fcpee"),
    ],
)
def test_the_runs_of_a_test_are_counted_together(outcomes, counted, flaky, attempts):
    """Two failures of three runs make it failed; a run that errors says nothing, and an open question is a no."""
    night = Night({"a": outcomes, "b": [P], "c": [P]})
    run = night.settled()["a"]
    assert (run.outcome, run.flaky, night.attempts("a")) == (counted, flaky, attempts)


def test_only_failed_tests_that_count_run_again():
    """Not those that errored, that pass, or that are known to fail."""
    night = Night(
        {"a": [F, F], "b": [P], "c": [E], "d": [F], "e": [P], "f": [P]}, counted=frozenset({"a", "b", "c"})
    )
    assert night.runs == ["a0", "b0", "c0", "d0", "e0", "f0", "a1"]
    assert night.settled()["d"].outcome is F


def test_each_test_stops_as_soon_as_it_is_decided():
    """One is confirmed after its second run, the other after its third."""
    night = Night({"a": [F, F, P], "b": [F, P, P], "c": [P], "d": [P]})
    assert night.runs == ["a0", "b0", "c0", "d0", "a1", "b1", "b2"]
    assert [night.settled()[test].outcome for test in "abcd"] == [F, P, P, P]


def test_many_failures_are_no_flakes():
    """Above the share nothing runs again, and the verdict says so. One failed test is always confirmed."""
    many = Night({"a": [F], "b": [F], "c": [P]})
    assert many.runs == ["a0", "b0", "c0"]
    assert many.plans[-1].why_not == "2 of 3 tests failed, more than 50% of the tests (unless_failing)"
    assert Night({"a": [F, P, P]}).settled()["a"].flaky


def test_the_number_of_confirming_runs_is_bounded():
    """What is left over counts as failed."""
    night = Night(
        {"a": [F, P], "b": [F, P], "c": [P], "d": [P]}, rule=replace(RULE, max_reruns=1, times=2, of=2)
    )
    assert night.runs == ["a0", "b0", "c0", "d0", "a1"]
    assert {test: run.outcome for test, run in night.settled().items()} == {"a": P, "b": F, "c": P, "d": P}


def test_a_group_that_can_only_run_as_a_whole():
    """The tests that nobody asked about keep their first results."""
    night = Night({"a": [F, P, P], "b": [P, F, F], "c": [P, E, E]}, alone=False)
    assert len(night.runs) == 9
    assert {test: run.outcome for test, run in night.settled().items()} == {"a": P, "b": P, "c": P}
    assert (night.settled()["a"].flaky, night.settled()["b"].flaky) == (True, False)


def test_a_decided_test_that_runs_again_with_its_group():
    """Another test needs one more round. What the decided one does in it changes nothing."""
    night = Night({"a": [F, P, P, F], "b": [F, E, P, P], "c": [P], "d": [P]}, alone=False)
    assert len(night.record.confirming) == 3
    assert (night.settled()["a"].outcome, night.attempts("a")) == (P, "fpp")


def test_a_whole_group_that_is_too_large_is_not_run_again():
    """Its size counts against max_reruns."""
    night = Night({"a": [F], "b": [P], "c": [P]}, rule=replace(RULE, max_reruns=2), alone=False)
    assert night.runs == ["a0", "b0", "c0"]


def test_a_retry_after_a_confirmed_failure_begins_anew():
    """What was flaky keeps its pass; what was confirmed runs again, and is confirmed again."""
    night = Night({"a": [F, F], "b": [F, P, P], "c": [P], "d": [P]})
    results = list(night.settled().values())
    again = next_round(Port(), GROUP, closed(night.record, results, not_passed), only_blocking=True)
    assert (again.again, again.carried, again.confirming) == (("a",), ("b2", "c0", "d0"), ())


def test_a_record_says_which_tests_a_round_confirms():
    """It survives the worker."""
    night = Night({"a": [F, F], "b": [P]})
    assert night.record.confirming == (("a",),)
    assert from_json(to_json(night.record)) == night.record


outcomes_of_a_test = st.lists(st.sampled_from([P, F, E, C]), min_size=1, max_size=6)


@given(
    st.dictionaries(st.sampled_from("abcdef"), outcomes_of_a_test, min_size=1),
    st.sampled_from([(1, 1), (2, 2), (2, 3), (3, 5)]),
    st.booleans(),
    st.integers(0, 8),
)
def test_no_outcomes_make_a_test_pass_that_never_passed(outcomes, numbers, alone, most):
    """And one that passed in the first place keeps its pass, and the runs stay within their bound."""
    rule = replace(RULE, times=numbers[0], of=numbers[1], max_reruns=most, unless_failing=1.0)
    night = Night(outcomes, rule=rule, alone=alone)
    assert len(night.runs) - len(outcomes) <= (most if alone else most * len(outcomes))
    for test, run in night.settled().items():
        own = [each for each in night.results if each.test_id == test]
        first = own[0].outcome
        assert run.outcome is first if first is not F else run.outcome in (P, F)
        if run.outcome is P and first is F:
            passes = sum(each.outcome is P for each in own)
            assert passes > rule.of - rule.times
            assert run.flaky
