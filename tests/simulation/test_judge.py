"""What the judge excuses is as narrow as the limit that docs/reliability.md describes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Group, SavedTest
from tests.simulation.judge import judge
from tests.simulation.plan import Incident, Plan, PlannedTask, id_of_group, id_of_test
from tests.simulation.world import Simulation

FOUND = Path(__file__).parent / "found"


@pytest.fixture
def exchanged():
    """A world in which two requests without answers have started runs, and each task has the other one's run."""
    plan = json.loads((FOUND / "seen-first-at-the-last-look.json").read_text())["plan"]
    simulation = Simulation(Plan.from_json(plan))
    yield simulation.run()
    simulation.bury()


def promises(outcome):
    return {violation.promise for violation in judge(outcome)}


def owners(outcome):
    """Which task has sent the request of each run that a task has read, and which one has read it."""
    sent = {
        run_id: each.peer
        for each in outcome.vendor.log
        for run_id in each.run_ids
        if each.effect == "submitted"
    }
    return {
        (sent[run_id].partition(" try ")[0], peer.partition(" try ")[0])
        for run_id, peers in outcome.vendor.readers.items()
        for peer in peers
        if " try " in peer
    }


def test_two_tasks_may_exchange_the_runs_of_equal_requests_without_answers(exchanged):
    assert owners(exchanged) >= {("a.tests[0]", "a.tests[1]"), ("a.tests[1]", "a.tests[0]")}
    assert promises(exchanged) == set()


def test_a_run_whose_task_had_its_answer_is_nobody_elses(exchanged):
    """Only requests without a prompt answer are excused."""
    for sent in exchanged.sent:
        sent.settled = sent.at + 1.0
    assert "never passed without a pass" in promises(exchanged)


def test_a_run_that_two_tasks_wait_for_is_not_exchanged(exchanged):
    """It has one task, and the other one has none."""
    for run_id, peers in exchanged.vendor.readers.items():
        submitted = (each for each in exchanged.vendor.log if run_id in each.run_ids)
        peers.add(next(submitted).peer)
    assert "never passed without a pass" in promises(exchanged)


def test_a_run_that_nobody_waits_for_is_not_exchanged(exchanged):
    """A task has then started two runs."""
    started = [entry for entry in exchanged.vendor.log if entry.effect == "submitted"]
    last = next(entry for entry in reversed(started) if entry.peer.startswith("a.tests[0] try 2"))
    del exchanged.vendor.readers[last.run_ids[0]]
    assert "started once" in promises(exchanged)


def test_tasks_with_other_requests_exchange_nothing(exchanged):
    """Their verdicts would be about another test."""
    first, second = exchanged.plan.tasks
    exchanged.plan = replace(exchanged.plan, tasks=(first, replace(second, target=2)))
    assert "never passed without a pass" in promises(exchanged)


@pytest.fixture
def confirmed():
    """A world with a whole group as the confirming round; a test that broke before passes in it."""
    scripts = {1: "flaky", 2: "breaks_once"}
    tests = tuple(
        SavedTest(id_of_test(number), f"Test {number}", name, 3.0) for number, name in scripts.items()
    )
    groups = (Group(id_of_group(1), "Group", tuple(test.id for test in tests)),)
    task = PlannedTask(
        "group",
        1,
        deferrable=False,
        retries=2,
        timeout=60.0,
        max_outage=8.0,
        retry_delay=30.0,
        retry_failed_tests=True,
        confirm=True,
        address=True,
    )
    # No temporary group can be created, and a little later a whole one can run.
    refused = {
        "kind": "status",
        "match": "post",
        "times": 1000,
        "lasting": 20.0,
        "retry_after": None,
        "status": 429,
    }
    plan = Plan(446472, tests, groups, (task,), (Incident("fault", 5.12, details=refused),), triggerers=1)
    simulation = Simulation(plan)
    yield simulation.run()
    simulation.bury()


def test_a_retry_may_repeat_a_test_that_broke_before_the_confirming_round(confirmed):
    first, second, again = (entry for entry in confirmed.vendor.log[:3])
    assert [len(entry.run_ids) for entry in (first, second, again)] == [2, 2, 2]
    assert (first.peer, again.peer) == (second.peer, "a.tests try 2.2")
    assert {confirmed.vendor.state_of(run_id) for run_id in second.run_ids} == {"passed"}
    assert promises(confirmed) == set()


def test_a_retry_may_not_repeat_what_has_passed(confirmed, monkeypatch):
    """In each round before."""
    monkeypatch.setattr(confirmed.vendor, "state_of", lambda run_id: "passed")
    assert "started once" in promises(confirmed)
