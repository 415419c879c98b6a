"""What a further try submits."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission import rounds as planning
from airflow_provider_testerarmy.runs.submission.record import Part, Record, Stage
from tests.runs.scripted import Port, finished

WHOLE = RunRequest("group", "g")


class OneByOne(Port):
    """A service that can start the tests of a request one by one, unless told otherwise."""

    def single_test(self, request: RunRequest, test_id: str) -> RunRequest | None:
        return None if test_id == "never alone" else RunRequest("test", test_id)


def judged(*tests: tuple[str, Outcome]) -> Record:
    """The record after a verdict on these tests."""
    results = [finished(f"run of {test}", outcome, test_id=test) for test, outcome in tests]
    record = Record(3, {"run": Part(submission=Submission(("x",)))}, deadline=5.0)
    return planning.with_failures(record, results)


def test_a_verdict_to_be_retried_notes_what_passed_and_what_did_not():
    """Everything but a pass runs again: an errored or skipped test has not passed."""
    record = judged(("a", Outcome.PASSED), ("b", Outcome.FAILED), ("c", Outcome.ERRORED))
    assert (record.stage, record.passed, record.failed) == (Stage.AGAIN, ("run of a",), ("b", "c"))


def test_only_what_did_not_pass_runs_again():
    """The passes of the earlier round still count."""
    record = planning.next_round(
        OneByOne(), WHOLE, judged(("a", Outcome.PASSED), ("b", Outcome.FAILED)), only_failed=True
    )
    assert planning.planned(OneByOne(), WHOLE, record) == {"test b": RunRequest("test", "b")}
    assert (record.passed, record.round, record.parts, record.deadline) == (("run of a",), 1, {}, None)
    assert record.stage is Stage.OPEN


@pytest.mark.parametrize(
    ("tests", "only_failed"),
    [
        ([("a", Outcome.PASSED), ("b", Outcome.FAILED)], False),
        ([("a", Outcome.PASSED), ("never alone", Outcome.FAILED)], True),
        ([("a", Outcome.PASSED), ("", Outcome.FAILED)], True),
        ([(f"t{n}", Outcome.FAILED) for n in range(planning.MAX_SINGLE + 1)], True),
    ],
    ids=["not asked for", "cannot be put that way", "a test nobody knows", "too many"],
)
def test_otherwise_everything_runs_again(tests, only_failed):
    """The whole request once more; an earlier pass of a test that runs again does not count twice."""
    record = planning.next_round(OneByOne(), WHOLE, judged(*tests), only_failed=only_failed)
    assert planning.planned(OneByOne(), WHOLE, record) == {planning.WHOLE: WHOLE}
    assert record.passed == ()


def test_a_lost_try_plans_the_same_again():
    """The plan is in the record, so what was submitted already is found again by its name."""
    record = planning.next_round(
        OneByOne(), WHOLE, judged(("b", Outcome.FAILED), ("c", Outcome.FAILED)), only_failed=True
    )
    stored = Record.from_json(record.to_json())
    assert stored is not None
    assert planning.planned(OneByOne(), WHOLE, stored) == planning.planned(OneByOne(), WHOLE, record)


def test_a_pass_after_a_failure_is_flaky():
    """Only in a later round, and only of a test that had not passed."""
    record = planning.next_round(
        OneByOne(), WHOLE, judged(("a", Outcome.PASSED), ("b", Outcome.FAILED)), only_failed=True
    )
    runs = [
        finished("1", test_id="a"),
        finished("2", test_id="b"),
        finished("3", Outcome.FAILED, test_id="b"),
    ]
    assert [run.flaky for run in planning.marked_flaky(runs, record)] == [False, True, False]
    assert not any(run.flaky for run in planning.marked_flaky(runs, Record(0)))
