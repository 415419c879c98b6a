"""The judge finds each violation in evidence that is made by hand, and none where everything is as promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.random_kills import events, judge, table
from tests.chaos.random_kills.events import Event, Kind
from tests.chaos.random_kills.evidence import Evidence, Post, Read, Run, Task, Try

KEY = ("wave-0", "task", -1)
NEIGHBOUR = ("wave-0", "other", -1)
FAMILY = "0/task"

SUCCESS = Task(KEY, FAMILY, "success", 2, (Try(1, 10.0, 40.0, "success"),), run_ended=50.0, own_runs=("a",))
FAILED = replace(SUCCESS, state="failed", tries=(Try(1, 10.0, 40.0, "failed", "TestsFailed"),), own_runs=None)
POST = Post(12.0, FAMILY, accepted=True, unclear=False, runs=("a",))
LOST = replace(POST, unclear=True)
PASSED = Run("a", FAMILY, "test", 12.0, 30.0, passed=True, passes=True)
CUT_OFF = replace(PASSED, passed=False)
WRONG = replace(PASSED, passed=False, passes=False)
FINE = Evidence(1000.0, (SUCCESS,), (POST,), (), (PASSED,))


def event(kind: Kind, name: str, at: float, key: events.Key = KEY, until: float | None = None) -> Event:
    return Event(1, kind, name, at, at if until is None else until, (key,))


def clear(at: float, key: events.Key = KEY) -> Event:
    return event("user", "user clears", at, key)


def two_tries(*states: str) -> tuple[Try, ...]:
    return Try(1, 10.0, 40.0, states[0]), Try(2, 42.0, 80.0, states[1])


AGAIN = replace(SUCCESS, tries=two_tries("failed", "success"), run_ended=90.0, own_runs=("b",))
SECOND_POST = replace(POST, at=44.0, runs=("b",))
SECOND_RUN = replace(PASSED, id="b", created=44.0, ended=70.0)
TWINS = tuple(
    replace(SUCCESS, key=("wave-0", "task", index), siblings=2, own_runs=(run,))
    for index, run in enumerate("ab")
)
DOCKET: dict[str, Any] = {"can_cancel": False, "can_list": False}

VIOLATIONS: dict[str, tuple[str, Evidence]] = {
    "a second request in one generation": (
        judge.STARTED,
        replace(FINE, tasks=(AGAIN,), posts=(POST, SECOND_POST), runs=(PASSED, SECOND_RUN)),
    ),
    "an unclear answer, and again without a list": (
        judge.STARTED,
        replace(FINE, posts=(replace(LOST, accepted=False), replace(POST, at=14.0))),
    ),
    "an unclear answer, and again where the list was another test's": (
        judge.STARTED,
        replace(
            FINE,
            posts=(replace(LOST, accepted=False), replace(POST, at=14.0)),
            reads=(Read(13.0, "0/other"),),
        ),
    ),
    "an unclear answer of a service without lists, and again": (
        judge.STARTED,
        replace(
            FINE,
            tasks=(replace(SUCCESS, **DOCKET),),
            posts=(replace(LOST, accepted=False), replace(POST, at=14.0)),
            reads=(Read(13.0, None),),
        ),
    ),
    "more requests than siblings": (
        judge.STARTED,
        replace(
            FINE,
            tasks=TWINS,
            posts=(POST, POST, SECOND_POST),
            runs=(PASSED, replace(PASSED, id="b"), replace(PASSED, id="c")),
        ),
    ),
    "cleared, and nothing was started": (
        judge.CLEARED,
        replace(FINE, tasks=(replace(AGAIN, state="skipped"),), events=(clear(41.0),)),
    ),
    "cleared, and failed without a reason": (
        judge.CLEARED,
        replace(
            FINE,
            tasks=(replace(FAILED, tries=two_tries("failed", "failed"), ends=False),),
            events=(clear(41.0),),
        ),
    ),
    "still active": (judge.LEFT, replace(FINE, runs=(PASSED, replace(PASSED, id="b", ended=None)))),
    "stopped late": (judge.LEFT, replace(FINE, runs=(PASSED, replace(PASSED, id="b", ended=300.0)))),
    "still active, cannot be stopped, and not named": (
        judge.LEFT,
        replace(
            FINE,
            tasks=(replace(SUCCESS, **DOCKET),),
            posts=(replace(POST, runs=("a", "b")),),
            runs=(PASSED, replace(PASSED, id="b", ended=None)),
        ),
    ),
    "success of a failed run": (judge.PASSED, replace(FINE, runs=(WRONG,))),
    "success of a run from before the clear": (
        judge.PASSED,
        replace(
            FINE,
            tasks=(replace(AGAIN, own_runs=("a",)),),
            posts=(POST, SECOND_POST),
            runs=(PASSED, replace(SECOND_RUN, passed=False)),
            events=(clear(41.0),),
        ),
    ),
    "success of another's run": (judge.PASSED, replace(FINE, tasks=(replace(SUCCESS, own_runs=("c",)),))),
    "one run for two siblings": (
        judge.PASSED,
        replace(
            FINE,
            tasks=tuple(replace(task, own_runs=("a",)) for task in TWINS),
            posts=(POST, POST),
            runs=(PASSED, replace(PASSED, id="b")),
        ),
    ),
    "success without a summary": (judge.PASSED, replace(FINE, tasks=(replace(SUCCESS, own_runs=None),))),
    "failed although its run passed": (judge.HICCUP, replace(FINE, tasks=(FAILED,))),
    "failed by its own word although it was killed": (
        judge.HICCUP,
        replace(FINE, tasks=(FAILED,), events=(event("kill", "SIGKILL of the API server", 35.0),)),
    ),
    "failed by a triggerer's death": (
        judge.HICCUP,
        replace(
            FINE,
            tasks=(replace(FAILED, tries=(Try(1, 10.0, 40.0, "failed"),)),),
            events=(event("kill", "SIGKILL of the triggerer", 35.0),),
        ),
    ),
    "its run was cut off and nobody wanted that": (
        judge.HICCUP,
        replace(FINE, tasks=(FAILED,), runs=(CUT_OFF,)),
    ),
    "one kill for two tries": (
        judge.HICCUP,
        replace(
            FINE,
            tasks=(replace(FAILED, tries=(Try(1, 10.0, 40.0, "failed"), Try(2, 142.0, 180.0, "failed"))),),
            events=(event("kill", "SIGKILL of a task's process", 40.0),),
        ),
    ),
    "failed before anything was started": (judge.HICCUP, replace(FINE, tasks=(FAILED,), posts=(), runs=())),
    "failed by an outage of moments": (
        judge.HICCUP,
        replace(FINE, tasks=(replace(FAILED, tries=(Try(1, 10.0, 40.0, "failed", "ServiceUnavailable"),)),)),
    ),
    "failed before it was judged": (
        judge.HICCUP,
        replace(
            FINE, tasks=(replace(FAILED, tries=(Try(1, 10.0, 40.0, "failed", "OSError"),)),), runs=(WRONG,)
        ),
    ),
}

KEPT: dict[str, Evidence] = {
    "a pass": FINE,
    "a failed run": replace(FINE, tasks=(FAILED,), runs=(WRONG,)),
    "a lost answer, a list, and again": replace(
        FINE, posts=(replace(LOST, accepted=False), replace(POST, at=14.0)), reads=(Read(13.0, FAMILY),)
    ),
    "a clear": replace(
        FINE, tasks=(AGAIN,), posts=(POST, SECOND_POST), runs=(CUT_OFF, SECOND_RUN), events=(clear(41.0),)
    ),
    "a clear of a neighbour before a retry": replace(
        FINE,
        tasks=(AGAIN,),
        posts=(POST, SECOND_POST),
        runs=(CUT_OFF, SECOND_RUN),
        events=(clear(41.0, NEIGHBOUR),),
    ),
    "a failed run, and a kill of the retry after a neighbour was cleared": replace(
        FINE,
        tasks=(
            replace(FAILED, tries=(Try(1, 10.0, 40.0, "failed", "RunErrored"), Try(2, 42.0, 80.0, "failed"))),
        ),
        runs=(WRONG,),
        events=(clear(41.0, NEIGHBOUR), event("kill", "SIGKILL of a task's process", 80.0)),
    ),
    "a round after a broken run": replace(
        FINE, tasks=(AGAIN,), posts=(POST, SECOND_POST), runs=(WRONG, SECOND_RUN)
    ),
    "a clear that fails with a reason": replace(
        FINE,
        tasks=(
            replace(
                FAILED, tries=(Try(1, 10.0, 40.0, "failed"), Try(2, 42.0, 80.0, "failed", "RequestRefused"))
            ),
        ),
        events=(clear(41.0), event("user", "user marks failed", 81.0)),
    ),
    "left to a service that cannot stop it, and named": replace(
        FINE,
        tasks=(replace(SUCCESS, **DOCKET),),
        runs=(PASSED, replace(PASSED, id="b", ended=None)),
        named=frozenset({"b"}),
    ),
    "left to a service that cannot stop it, and its answer was lost": replace(
        FINE,
        tasks=(replace(SUCCESS, **DOCKET),),
        posts=(replace(LOST, runs=("b",)),),
        runs=(PASSED, replace(PASSED, id="b", ended=None)),
    ),
    "marked success": replace(FINE, runs=(WRONG,), events=(event("user", "user marks success", 20.0),)),
    "marked failed": replace(FINE, tasks=(FAILED,), events=(event("user", "user marks failed", 20.0),)),
    "killed on its only try": replace(
        FINE,
        tasks=(replace(FAILED, tries=(Try(1, 10.0, 40.0, "failed"),)),),
        runs=(CUT_OFF,),
        events=(event("kill", "SIGKILL of a task's process", 39.0),),
    ),
    "a lost answer of a service without lists": replace(
        FINE,
        tasks=(replace(FAILED, tries=(Try(1, 10.0, 40.0, "failed", "SubmissionUnclear"),), **DOCKET),),
        posts=(LOST,),
    ),
    "siblings": replace(FINE, tasks=TWINS, posts=(POST, POST), runs=(PASSED, replace(PASSED, id="b"))),
    "a failure that the gate lets through": replace(
        FINE, tasks=(replace(SUCCESS, tolerates=1),), runs=(PASSED, replace(WRONG, id="b", test="second"))
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_found_and_no_other(name: str) -> None:
    rule, evidence = VIOLATIONS[name]
    found = judge.Judge(evidence).violations()
    assert {violation.rule for violation in found} == {rule}, found


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_promise_is_not_taken_for_a_violation(name: str) -> None:
    assert judge.Judge(KEPT[name]).violations() == []


@pytest.mark.parametrize("kind", ["kill", "user", "fault"])
def test_a_seed_draws_the_same_again(kind: Kind) -> None:
    def names(seed: int) -> list[str]:
        return [d.name for d in events.draw(seed, "CeleryExecutor", 60, 3.0) if d.kind == kind]

    assert names(1) == names(1)
    assert names(1) != names(2)
    assert kind != "kill" or len(names(1)) == 60


def test_the_table_keeps_the_rows_of_an_executor_that_was_not_run(tmp_path: Path) -> None:
    def told(executor: str, seed: int) -> table.Result:
        return table.Result(executor, seed, FINE, [])

    path = tmp_path / "page.md"
    path.write_text(f"before\n{table.BEGIN}{table.END}after\n")
    table.write(path, [told("LocalExecutor", 1), told("CeleryExecutor", 2)])
    table.write(path, [told("LocalExecutor", 3)])
    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "(seed 2) | CeleryExecutor" in text
    assert "(seed 3) | LocalExecutor" in text
    assert "(seed 1)" not in text
    assert text.count("| --- | --- | --- | --- | --- |") == 1
