"""The history of test tasks: filters, figures, nights, flakiness, and the page of one test."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.ui.history_filter import Filter
from tests.reports.cases import NIGHT, summary_of
from tests.runs.scripted import finished
from tests.ui.histories import history
from tests.ui.test_payloads import stored


def night(day, outcomes, title="Nightly", label="group 1"):
    """A task of that day, with a test for each outcome."""
    results = [
        finished(f"{day}-{name}", outcome, title=name, test_id=name, duration=10.0 + day)
        for name, outcome in outcomes.items()
    ]
    moment = datetime(2026, 2, day, 2, tzinfo=UTC)
    return stored(summary_of(results), {"label": label, "title": title}, started=moment, run_id=str(day))


P, F = Outcome.PASSED, Outcome.FAILED
#: The newest first, as the database gives them.
NIGHTS = [
    night(4, {"steady": P, "shaky": F, "broken": F}),
    night(3, {"steady": P, "shaky": P, "broken": F}, title=""),
    night(2, {"steady": P, "shaky": F, "broken": F}),
]


def test_the_flakiest_come_first():
    """A test that always fails is broken, not flaky."""
    tests = history(NIGHTS, Filter())["tests"]
    assert [test["title"] for test in tests] == ["shaky", "broken", "steady"]
    assert [test["changes"] for test in tests] == [2, 0, 0]
    assert [outcome for _, outcome, _ in tests[0]["outcomes"]] == ["failed", "passed", "failed"]
    assert tests[0]["durations"] == [12.0, 13.0, 14.0]
    assert tests[0]["seconds"] == 13.0


def test_a_group_is_called_by_its_newest_name():
    """A try that only reconnected does not know the group's title."""
    found = history(NIGHTS, Filter())
    assert {run["group_title"] for run in found["runs"]} == {"Nightly"}
    assert found["choices"]["groups"] == [{"key": "group 1", "title": "Nightly"}]


def test_filters():
    """Each filter works alone, and the choices do not shrink."""
    other = night(1, {"steady": P}, "Smoke", "group 2")
    tasks = [*NIGHTS, other]
    assert [run["run_id"] for run in history(tasks, Filter(group="group 2"))["runs"]] == ["1"]
    assert [run["run_id"] for run in history(tasks, Filter(verdict="passed"))["runs"]] == ["1"]
    assert history(tasks, Filter(dag_id="other"))["runs"] == []
    assert len(history(tasks, Filter(dag_id="other"))["choices"]["groups"]) == 2
    assert [test["title"] for test in history(tasks, Filter(group="group 2"))["tests"]] == ["steady"]


def test_a_task_without_a_verdict_is_listed():
    """A task that was stopped or still waits has no verdict."""
    (entry,) = history([stored(None, {"label": "group 1"}, state="running")], Filter())["runs"]
    assert (entry["verdict"], entry["finished"], entry["rate"], entry["counts"]) == ("", False, None, {})


def test_a_test_is_flaky_in_its_own_place_alone():
    """A test that always passes in one DAG and always fails in another is not flaky."""
    passing, failing = (
        summary_of([finished("a", outcome, title="Checkout", test_id="t1")])
        for outcome in (Outcome.PASSED, Outcome.FAILED)
    )
    places = [{"dag_id": "staging"}, {"dag_id": "production"}, {"task_id": "other"}, {"map_index": 1}]
    tasks = [
        stored(failing if place == places[1] else passing, {"label": "group g"}, **place)
        for _ in range(4)
        for place in places
    ]
    shown = history(tasks, Filter())["tests"]
    assert [(test["flakiness"], test["changes"]) for test in shown] == [(0.0, 0)] * 4
    assert {test["dag_id"] for test in shown} == {"staging", "production", "d"}


def test_a_line_of_a_list_has_the_reasons_that_name_tests():
    """The first reason often only gives the rate; the next ones name the tests."""
    summary = {**summary_of(NIGHT), "reasons": ["4 of 5 runs passed", "Checkout failed", "c", "d"]}
    (entry,) = history([stored({**summary, "truncated": {"reasons": 2}})], Filter())["runs"]
    assert (entry["reasons"], entry["more_reasons"]) == (["4 of 5 runs passed", "Checkout failed", "c"], 3)


def test_a_line_of_a_list_names_a_test_after_any_number_of_general_reasons():
    """A gate with a memory says what it remembers first, and a time-out says what happened."""
    summary = summary_of([finished("a", title="Login"), finished("b", Outcome.FAILED, title="Checkout")])
    general = ["Timed out.", "This night is not remembered.", "1 quarantine ends soon.", "1 of 2 passed"]
    reasons = [*general, "Checkout: failed: no total https://x/b", "Warning"]
    (entry,) = history([stored({**summary, "reasons": reasons})], Filter())["runs"]
    assert entry["reasons"] == [*general[:2], "Checkout: failed: no total https://x/b"]
    assert entry["more_reasons"] == 3
    (entry,) = history([stored({**summary, "reasons": general})], Filter())["runs"]
    assert (entry["reasons"], entry["more_reasons"]) == (general[:3], 1)


def test_a_task_whose_runs_were_all_rejected():
    """Its verdict is the gate's "cancelled", which nobody did; a filter finds it as rejected."""
    results = [finished(each, Outcome.CANCELLED) for each in "ab"]
    rejected = stored(summary_of(results), {"rejected": ["a", "b"]})
    cancelled = stored(summary_of(results), {"rejected": ["a"]}, run_id="s")
    found = history([rejected, cancelled], Filter())
    assert [run["verdict"] for run in found["runs"]] == ["rejected", "cancelled"]
    assert found["choices"]["verdicts"] == ["cancelled", "rejected"]
    (entry,) = history([rejected, cancelled], Filter(verdict="rejected"))["runs"]
    assert entry["run_id"] == "r"


def test_a_task_without_a_verdict_says_why():
    """A refused task is listed with its reason; a verdict has reasons of its own."""
    note = {"label": "test t", "reason": "The test t was not started: not found."}
    (entry,) = history([stored(None, note, state="failed")], Filter())["runs"]
    assert (entry["reasons"], entry["more_reasons"]) == ([note["reason"]], 0)
    (entry,) = history([stored(summary_of(NIGHT), note)], Filter())["runs"]
    assert note["reason"] not in entry["reasons"]


def test_lists_tell_rejected_runs_from_cancelled_ones():
    """In a DAG run's list, in the history's rows and in a test's outcomes."""
    results = [finished(each, Outcome.CANCELLED, title=each, test_id=each) for each in "ab"]
    found = history([stored(summary_of(results), {"rejected": ["a"]})], Filter())
    (entry,) = found["runs"]
    assert (entry["counts"]["cancelled"], entry["counts"]["rejected"], entry["counts"]["total"]) == (1, 1, 2)
    assert {test["title"]: test["outcomes"][0][1] for test in found["tests"]} == {
        "a": "rejected",
        "b": "cancelled",
    }


def of_one_test(outcomes, places):
    """The history of one test with these outcomes, the newest last, each in its place."""
    tasks = [
        stored(
            summary_of([finished("a", outcome, title="Checkout", test_id="t1")]),
            {"label": "group g", **dict(zip(("environment", "address"), place, strict=True))},
        )
        for outcome, place in zip(outcomes, places, strict=True)
    ]
    return history(tasks[::-1], Filter())["tests"]


def test_a_test_is_flaky_in_its_own_environment_alone():
    """One task may test staging and production in turn, for example by a DAG parameter."""
    shown = of_one_test([P, F] * 3, [("staging", ""), ("production", "")] * 3)
    assert {test["environment"]: (test["flakiness"], test["rate"]) for test in shown} == {
        "staging": (0.0, 1.0),
        "production": (0.0, 0.0),
    }


def test_an_outcome_at_another_address_is_no_change():
    """Each preview has its own address, and a test may fail in one of them alone."""
    one, other = ("", "https://one.test/"), ("", "https://other.test/")
    (test,) = of_one_test([P, F] * 3, [one, other] * 3)
    assert (test["changes"], test["flakiness"], len(test["outcomes"])) == (0, 0.0, 6)
    (test,) = of_one_test([P, F, F, P], [one, one, other, other])
    assert test["changes"] == 2
    (test,) = of_one_test([P, F, P], [("", "")] * 3)
    assert test["changes"] == 2


def test_the_number_of_tests_is_that_of_all(monkeypatch):
    """The list is limited, and its heading counts what is left out too."""
    monkeypatch.setattr("airflow_provider_testerarmy.ui.history_figures.MAX_TESTS", 2)
    found = history(NIGHTS, Filter())
    assert (len(found["tests"]), found["more_tests"]) == (2, 1)
