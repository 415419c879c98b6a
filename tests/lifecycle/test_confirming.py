"""Failures that the gate confirms: failed tests run again in the same try, before the verdict."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import RunInterrupted, RunsForgotten, TestsFailed
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunPromptOperator
from airflow_provider_testerarmy.runs.gate import QualityGate
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle.tries import Died, cancelled, group, posts, single, started

pytestmark = pytest.mark.usefixtures("connections")

#: Two failures of two runs.
TWICE = {"confirm": 2}
FLAKY, BROKEN = catalog.GROUP_FLAKY, catalog.GROUP_FAILING


def run(tries, task, **options):
    """Run a try to its end, through the triggerer wherever it defers."""
    result = tries.execute(task, **options)
    while isinstance(result, TaskDeferred):
        result = tries.through_trigger(task)
    return result


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_flaky_test_does_not_fail_the_task(tries, service, deferrable):
    """It fails once, and passes then. Only this test runs again."""
    summary = run(tries, group(FLAKY, deferrable=deferrable, gate=TWICE))
    assert (summary["verdict"], summary["counts"], summary["flaky"]) == (
        "passed",
        {"total": 2, "passed": 2},
        1,
    )
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]
    (flaky,) = [test for test in summary["tests"] if test.get("flaky")]
    assert [one["outcome"] for one in flaky["attempts"]] == ["failed", "passed"]
    assert set(summary["run_ids"]) == set(started(service)) == set(tries.xcoms["run_ids"])


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_broken_test_fails_the_task(tries, service, deferrable):
    """It fails twice, so there is no third run."""
    error = run(
        tries, group(BROKEN, deferrable=deferrable, gate=TWICE | {"confirm": {"unless_failing": 1.0}})
    )
    assert "failed" in str(error)
    rounds = [len(one.run_ids) for one in service.control.log.submissions()]
    failed = tries.summary["counts"]["failed"]
    assert rounds[1:] == [1] * failed
    assert "attempts: failed, failed" in " ".join(tries.summary["reasons"])


def test_two_failures_of_three_runs(tries, service):
    """The test fails, passes and fails."""
    error = run(tries, group(FLAKY, gate={"confirm": {"times": 2, "of": 3}}))
    assert "attempts: failed, passed, failed" in str(error)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1, 1]


def test_the_gate_says_what_a_flaky_test_means(tries):
    """With ``on_flaky`` it fails the task."""
    error = run(tries, group(FLAKY, gate=TWICE | {"on_flaky": "fail"}))
    assert "fails on flaky tests" in str(error)


def test_a_single_test_runs_again_whole(tries, service):
    """It is one failure, so `unless_failing` does not keep it from a second run."""
    summary = run(tries, single(catalog.TEST_FLAKY, gate=TWICE))
    assert (summary["verdict"], posts(service)) == ("passed", 2)


def test_too_many_failures_are_not_confirmed(tries, service):
    """The verdict says so."""
    error = run(tries, group(BROKEN, gate=TWICE | {"confirm": {"unless_failing": 0.0}}))
    assert ("not confirmed" in str(error)) == (tries.summary["counts"]["failed"] > 1)


def test_a_worker_lost_between_the_rounds(tries, service):
    """The next try continues the round, and starts nothing twice."""

    def die(record):
        if record.get("confirming"):
            raise Died

    tries.clear_number = 0
    tries.store.on_set = die
    assert isinstance(tries.execute(group(FLAKY, gate=TWICE, retries=1), max_tries=1), Died)
    tries.store.on_set = lambda record: None
    summary = run(tries, group(FLAKY, gate=TWICE, retries=1), try_number=2, max_tries=1)
    assert (summary["verdict"], summary["flaky"]) == ("passed", 1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]


def test_a_worker_lost_while_a_confirming_run_is_active(tries, service):
    """The next try reconnects to it."""
    tries.clear_number = 0
    task = group(FLAKY, gate=TWICE, retries=1, deferrable=True)
    tries.execute(task, max_tries=1)
    tries.through_trigger(task)
    assert posts(service) == 2
    summary = run(tries, group(FLAKY, gate=TWICE, retries=1), try_number=2, max_tries=1)
    assert (summary["verdict"], [len(one.run_ids) for one in service.control.log.submissions()]) == (
        "passed",
        [2, 1],
    )


def test_a_lost_record_does_not_let_the_confirming_runs_pass_alone(tries, service):
    """Nobody knows then what they were to confirm."""
    task = group(FLAKY, gate=TWICE, deferrable=True)
    tries.execute(task)
    tries.through_trigger(task)
    tries.lose_record()
    assert type(tries.through_trigger(task)) is RunsForgotten


def test_a_record_that_is_lost_before_the_verdict(tries, service):
    """The trigger still names the runs. What the task had asked for is unknown, so the failure stands."""
    task = group(FLAKY, gate=TWICE, deferrable=True)
    tries.execute(task)
    tries.lose_record()
    error = tries.through_trigger(task)
    assert "Failures were not confirmed: the record of what the task requested is lost" in str(error)
    assert posts(service) == 1


def test_without_a_record_nothing_is_confirmed(tries, service):
    """The failure stands, and the verdict says why."""
    error = run(tries, group(FLAKY, gate=TWICE, durable=False))
    assert "Failures were not confirmed: durable=False" in str(error)
    assert posts(service) == 1


@pytest.mark.parametrize("changed", [{"group_id": catalog.GROUP_NIGHTLY}, {"commit_sha": "4f2d1c9"}])
def test_a_task_that_was_edited_does_not_confirm(tries, service, changed):
    """A run of something else says nothing about the failure."""
    tries.execute(group(FLAKY, gate=TWICE, deferrable=True))
    edited = group(**{"group_id": FLAKY, "gate": TWICE, "deferrable": True} | changed)
    error = tries.through_trigger(edited)
    assert "Failures were not confirmed: the task asks for something else now" in str(error)
    assert posts(service) == 1


def test_after_the_deadline_nothing_is_confirmed(tries, service, no_pauses):
    """It counts for all rounds together."""
    task = group(FLAKY, gate=TWICE, timeout=600, deferrable=True)
    tries.execute(task)
    no_pauses[0] += 1000
    error = tries.through_trigger(task)
    assert "Failures were not confirmed: the timeout has passed" in str(error)
    assert posts(service) == 1


def test_a_later_round_keeps_the_deadline(tries):
    """A confirming round does not start another time-out."""
    task = group(FLAKY, gate=TWICE, deferrable=True)
    first = tries.execute(task).trigger.deadline
    assert tries.through_trigger(task).trigger.deadline == first


def test_a_kill_cancels_the_confirming_runs(tries, service, airflow_says):
    """As it cancels any others."""
    airflow_says("running")
    task = group(FLAKY, gate=TWICE)

    def keep_it_active(record):
        if record.get("confirming"):
            tries.seconds = 0

    def kill():
        # The first round also starts the timer, and may take longer than it. The second round starts it again.
        if posts(service) == 2:
            airflow_says("failed")
            task.on_kill()

    tries.store.on_set = keep_it_active
    assert type(tries.execute(task, meanwhile=kill)) is RunInterrupted
    _, second = service.control.log.submissions()
    assert cancelled(service) == second.run_ids


def test_a_mark_stops_the_task_before_another_round(tries, service, airflow_says):
    """Its worker learns of the mark from Airflow, not yet by a signal."""
    airflow_says("failed")
    assert type(tries.execute(group(FLAKY, gate=TWICE))) is RunInterrupted
    assert posts(service) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 404])
def test_a_refused_round_leaves_the_failure(tries, service, status, no_pauses):
    """The verdict is given without it."""
    service.control.faults.add("status", "trigger_test", status=status, times=-1)
    error = run(tries, group(FLAKY, gate=TWICE))
    assert "1 of 2 judged runs passed" in str(error)
    assert "Failures were not confirmed: " in str(error)
    assert tries.summary["counts"] == {"total": 2, "passed": 1, "failed": 1}


def test_the_answer_of_a_confirming_request_is_lost(tries, service, no_pauses):
    """The run is found, and there is no second one."""
    service.control.faults.add("reset_after", "trigger_test")
    summary = run(tries, group(FLAKY, gate=TWICE))
    assert (summary["verdict"], posts(service)) == ("passed", 2)


def test_a_retry_confirms_anew(tries, service):
    """After a confirmed failure, Airflow's retry runs the failed tests again, and confirms them again."""
    task = group(
        BROKEN,
        gate={"confirm": {"times": 2, "of": 2, "unless_failing": 1.0}},
        retry_failed_tests=True,
        retries=1,
    )
    assert type(run(tries, task, max_tries=1)) is TestsFailed
    before = posts(service)
    run(tries, task, try_number=2, max_tries=1)
    assert posts(service) == before + 2 * tries.summary["counts"]["failed"]


def test_a_prompt_is_confirmed_as_well(tries, service):
    """It has no test, and one run."""
    task = TesterArmyRunPromptOperator(
        task_id="tests", prompt="Buy a bike [sandbox:flaky]", gate=TWICE, poll_interval=0.05, deferrable=False
    )
    assert run(tries, task)["verdict"] == "passed"
    assert posts(service) == 2


def test_a_sensor_cannot_confirm():
    """It starts no runs."""
    with pytest.raises(ValueError, match="A sensor starts no runs"):
        TesterArmyRunSensor(task_id="wait", run_ids=["r"], gate=TWICE)


def test_gates_of_before_keep_their_digest():
    """Records of earlier versions name it."""
    assert "confirm" not in str(QualityGate())
