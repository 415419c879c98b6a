"""Which tests a further round runs, which results still count, and which tests were flaky."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record, Stage
from airflow_provider_testerarmy.runs.submission.rounds import (
    MAX_SINGLE,
    WHOLE,
    closed,
    first_round,
    next_round,
    removed_tests,
    request_of,
    with_rounds,
    without_test,
)
from airflow_provider_testerarmy.runs.submission.stored import from_json, to_json
from tests.runs.scripted import Port, finished

GROUP = RunRequest("group", "g")
BASE = first_round(Record(Asked("hook", "conn"), Generation(3), deadline=5.0), GROUP)
P, F, E, S = Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED, Outcome.SKIPPED


def not_passed(run):
    return run.outcome is not P


def played(record: Record, blocks=not_passed, **tests: Outcome) -> Record:
    """The record after a round in which these tests came to these outcomes."""
    number = len(record.rounds)
    ids = {test: f"{test}{number}" for test in tests}
    part = Part(GROUP, PartState.STARTED, submission=Submission(tuple(ids.values())))
    record = Record(
        record.asked, record.generation, {WHOLE: part}, deadline=record.deadline, rounds=record.rounds
    )
    results = [finished(ids[test], outcome, test_id=test) for test, outcome in tests.items()]
    return closed(record, results, blocks)


def again(record: Record, **options) -> Record:
    return next_round(Port(), GROUP, record, **{"only_blocking": True} | options)


def test_a_closed_round_is_appended_to_the_ledger():
    """What came before stays as it is; its runs have ended."""
    record = played(played(BASE, a=P, b=F), b=P)
    assert [[(e.test_id, e.run_id, e.blocks) for e in entries] for entries in record.rounds] == [
        [("a", "a0", False), ("b", "b0", True)],
        [("b", "b1", False)],
    ]
    assert (record.stage, record.unsettled) == (Stage.AGAIN, ())


def test_only_what_blocks_the_gate_runs_again():
    """The results of the others count; the deadline begins anew."""
    record = again(played(BASE, a=P, b=F))
    assert [part.request for part in record.parts.values()] == [RunRequest("test", "b")]
    assert (record.again, record.carried, record.deadline, record.stage) == (
        ("b",),
        ("a0",),
        None,
        Stage.OPEN,
    )


def test_the_gate_says_what_blocks_and_not_the_outcome():
    """A pass with too severe an issue runs again; a skipped and a non-blocking test do not."""
    record = again(played(BASE, blocks=lambda run: run.test_id in "bc", a=F, b=P, c=F, d=S))
    assert (record.again, record.carried) == (("b", "c"), ("a0", "d0"))


def test_results_are_carried_through_several_rounds():
    """A passed in the second round, so the third one runs B alone, and all three count."""
    second = again(played(BASE, a=F, b=F, c=P))
    third = again(played(second, a=P, b=F))
    assert (third.again, third.carried) == (("b",), ("a1", "c0"))


@pytest.mark.parametrize(
    ("tests", "options"),
    [
        ({"a": P, "b": F}, {"only_blocking": False}),
        ({"a": P, "b": F}, {"same_gate": False}),
        ({"a": P, "": F}, {}),
        ({"a": P} | {f"t{n}": F for n in range(MAX_SINGLE + 1)}, {}),
        ({"a": F, "b": F}, {}),
        ({"a": P}, {}),
    ],
    ids=[
        "not asked for",
        "another gate",
        "a test nobody knows",
        "too many",
        "nothing to keep",
        "nothing blocks",
    ],
)
def test_otherwise_everything_runs_again(tests, options):
    """The whole request once more; an earlier pass of a test that runs again does not count twice."""
    record = again(played(BASE, **tests), **options)
    assert (record.parts, record.carried) == ({WHOLE: Part(GROUP)}, ())


def test_what_cannot_be_started_by_itself_runs_as_a_whole():
    """A single test's run takes no address."""
    request = RunRequest("group", "g", {"targetUrl": "https://preview.example"})
    record = next_round(Port(), request, played(BASE, a=P, b=F), only_blocking=True)
    assert record.parts == {WHOLE: Part(request)}


def test_a_lost_try_finds_the_same_parts_with_their_own_requests():
    """Whatever the task asks for by now: its parts are never rebuilt from that, and never left out."""
    record = again(played(BASE, a=P, b=F, c=F))
    stored = from_json(json.loads(json.dumps(to_json(record))))
    assert stored == record
    changed = RunRequest("group", "g", {"targetUrl": "https://preview.example"})
    requests = [request_of(Port(), name, part, changed) for name, part in stored.parts.items()]
    assert requests == [RunRequest("test", "b"), RunRequest("test", "c")]


def test_a_part_of_the_version_before_is_built_or_is_an_error():
    """It kept the test's id in the name alone."""
    assert request_of(Port(), "test t1", Part(), GROUP) == RunRequest("test", "t1")
    changed = RunRequest("group", "g", {"targetUrl": "https://preview.example"})
    assert request_of(Port(), "test t1", Part(), changed) is None


# -- flaky tests


def flaky(record: Record, **tests: Outcome) -> set[str]:
    runs = [finished(f"{test}-now", outcome, test_id=test) for test, outcome in tests.items()]
    return {run.test_id for run in with_rounds(runs, record) if run.flaky}


def test_a_pass_after_a_failure_is_flaky():
    record = played(BASE, a=P, b=F)
    assert flaky(record, a=P, b=P, c=P) == {"b"}
    assert flaky(record, b=F) == set()


def test_a_failure_of_any_round_counts():
    """A failed in the first round and passed in the second, B in the third."""
    record = again(played(again(played(BASE, a=F, b=F, c=P)), a=P, b=F))
    carried = [finished("a1", test_id="a"), finished("c0", test_id="c"), finished("b-now", test_id="b")]
    assert {run.test_id for run in with_rounds(carried, record) if run.flaky} == {"a", "b"}


def test_what_the_service_broke_is_not_flaky():
    assert flaky(played(BASE, a=E, b=F), a=P) == set()


def test_a_first_round_has_no_flaky_tests():
    assert flaky(BASE, a=P, b=F) == set()


# -- removed tests


def test_a_test_that_the_service_no_longer_has_is_reported():
    """It is an entry of the result, and is not judged as if it had run."""
    record = again(played(BASE, a=P, b=F, c=F))
    name = next(iter(record.parts))
    record = without_test(record, name)
    assert (removed_tests(record), record.carried) == ({"b"}, ("a0", "b0"))
    runs = [finished("a0", test_id="a"), finished("b0", F, test_id="b"), finished("c1", test_id="c")]
    results = {run.test_id: run for run in with_rounds(runs, record)}
    assert results["b"].outcome is S
    assert results["b"].reason == "the service no longer has this test; its last outcome was failed"
    assert (results["a"].outcome, results["c"].outcome, results["c"].flaky) == (P, P, True)


# -- rejected runs


def test_a_rejected_run_says_so():
    """Reports and reasons would otherwise read as if somebody had cancelled it."""
    submission = Submission(("a", "b", "c", "d"), ("a", "b", "d"))
    record = BASE.with_part(WHOLE, Part(GROUP, PartState.STARTED, submission=submission))
    runs = [
        finished("a", Outcome.CANCELLED),
        finished("b", Outcome.CANCELLED, reason="duplicate"),
        finished("c", Outcome.CANCELLED, reason="by hand"),
        finished("d"),
    ]
    assert [(str(run.outcome), run.reason) for run in with_rounds(runs, record)] == [
        ("cancelled", "rejected by the service on submission"),
        ("cancelled", "rejected by the service on submission: duplicate"),
        ("cancelled", "by hand"),
        ("passed", ""),
    ]
