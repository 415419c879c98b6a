"""Runs start once: a task finds its own lost runs, adopts no other's, and sends nothing after a later try."""

from __future__ import annotations

import json
import signal

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_testerarmy.exceptions import RequestRefused, ServiceUnavailable, SubmissionUnclear
from airflow_provider_testerarmy.lifecycle.record_backends import StoreUnavailable
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunPromptOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest as SandboxRequest
from tests.lifecycle.tries import Died, Tries, cancelled, group, posts, single, started

pytestmark = pytest.mark.usefixtures("connections", "no_pauses")


def lose_the_answer(service, *, effect, operation="trigger_test", **options):
    service.control.faults.add("reset_after" if effect else "reset_before", operation, **options)


# -- mapped twins, and other tasks with the same target


@pytest.fixture
def twins(service, variables):
    """Two mapped tasks with the same parameters."""
    return Tries(service, map_index=0), Tries(service, map_index=1)


def test_twins_run_once_each_though_an_answer_is_lost(twins, service):
    """The request of the second task had no effect, and it does not adopt the run of the first."""
    one, other = twins
    one.execute(single(catalog.TEST_ENDLESS, deferrable=True))
    lose_the_answer(service, effect=False)
    other.execute(single(catalog.TEST_ENDLESS, deferrable=True))
    assert posts(service) == 2
    assert one.xcoms["run_ids"] != other.xcoms["run_ids"]


def test_a_twin_finds_its_own_run(twins, service):
    """Its request took effect. The run of the first task appears before or after it."""
    one, other = twins
    one.execute(single(catalog.TEST_ENDLESS, deferrable=True))
    lose_the_answer(service, effect=True)
    other.execute(single(catalog.TEST_ENDLESS, deferrable=True))
    assert posts(service) == 2
    assert sorted([*one.xcoms["run_ids"], *other.xcoms["run_ids"]]) == sorted(started(service))


def test_a_twin_that_starts_in_the_same_moment_keeps_its_run(twins, service):
    """The run of the first task appears after the second has stored its intent."""
    one, other = twins
    lose_the_answer(service, effect=False)
    began = []

    def start_the_first_one(record):
        if "sending" in json.dumps(record) and not began:
            began.append(True)
            one.execute(single(catalog.TEST_ENDLESS, deferrable=True))

    lose_the_answer(service, effect=False)
    other.store.on_set = start_the_first_one
    other.execute(single(catalog.TEST_ENDLESS, deferrable=True))
    assert posts(service) == 2
    assert one.xcoms["run_ids"] != other.xcoms["run_ids"]


@pytest.mark.parametrize("effect", [False, True])
def test_a_single_test_does_not_take_the_run_of_anothers_group(twins, service, effect):
    """Four groups start the test after the task has stored its intent. Each claims only one of its runs."""
    _, other = twins
    theirs, began = [], []

    def start_the_groups(record):
        if "sending" in json.dumps(record) and not began:
            began.append(True)
            for number in range(2, 6):
                one = Tries(service, map_index=number)
                one.execute(group(catalog.GROUP_ENDLESS, deferrable=True))
                theirs.extend(one.xcoms["run_ids"])
            lose_the_answer(service, effect=effect)

    other.store.on_set = start_the_groups
    other.execute(single(catalog.TEST_ENDLESS, deferrable=True))
    assert len(theirs) == 8
    assert not set(other.xcoms["run_ids"]) & set(theirs)
    assert sorted([*theirs, *other.xcoms["run_ids"]]) == sorted(started(service))


def test_a_killed_twin_stops_its_own_run_only(twins, service, airflow_says):
    one, other = twins
    one.execute(single(catalog.TEST_ENDLESS, deferrable=True))
    airflow_says("failed")
    lose_the_answer(service, effect=False)
    other.seconds = 2
    task = single(catalog.TEST_ENDLESS)
    other.execute(task, meanwhile=task.on_kill)
    assert cancelled(service) == other.xcoms["run_ids"]


def test_two_prompts_do_not_take_each_others_runs(twins, service):
    one, other = twins

    def prompt(text):
        return TesterArmyRunPromptOperator(task_id="tests", prompt=text, deferrable=True)

    one.execute(prompt("Check that the imprint names the company."))
    lose_the_answer(service, effect=False, operation="submit_prompt")
    other.execute(prompt("Sign in and buy a red shirt."))
    assert posts(service) == 2
    assert one.xcoms["run_ids"] != other.xcoms["run_ids"]


def test_two_runs_of_a_group_are_told_apart(twins, service):
    one, other = twins
    one.execute(group(catalog.GROUP_ENDLESS, deferrable=True))
    lose_the_answer(service, effect=True, operation="trigger_group")
    other.execute(group(catalog.GROUP_ENDLESS, deferrable=True))
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 2]
    assert not set(one.xcoms["run_ids"]) & set(other.xcoms["run_ids"])


def test_a_lost_intent_of_long_ago_takes_nobody_elses_run(tries, service, variables):
    """The lost request had started nothing. Now another DAG runs the same test, and this task is cleared."""
    lose_the_answer(service, effect=False)
    tries.store.on_set = lambda record: die() if "sending" in json.dumps(record) else None

    def die():
        raise Died

    tries.execute(single(catalog.TEST_ENDLESS), max_tries=0)
    tries.store.on_set = lambda _record: None
    service.control.faults.clear()
    service.control.clock.advance(2 * 86_400)
    test = service.control.store.catalog.tests[catalog.TEST_ENDLESS]
    foreign = service.control.store.submit_test(test, SandboxRequest()).id
    tries.execute(single(catalog.TEST_ENDLESS, deferrable=True), try_number=2, max_tries=1)
    assert cancelled(service) == []
    assert tries.xcoms["run_ids"] != [foreign]


def test_a_claim_outlives_its_task(twins, service):
    """A try that searches for a lost request may start long after the other task was judged."""
    one, other = twins
    lose_the_answer(service, effect=False)
    other.store.on_set = lambda record: die() if "sending" in json.dumps(record) else None

    def die():
        raise Died

    other.execute(single(), max_tries=1)
    service.control.faults.clear()
    other.store.on_set = lambda _record: None
    task = single(deferrable=True)
    one.execute(task)
    assert one.through_trigger(task)["verdict"] == "passed"
    service.control.clock.advance(3600)
    other.execute(single(deferrable=True), try_number=2, max_tries=1)
    assert posts(service) == 2
    assert one.xcoms["run_ids"] != other.xcoms["run_ids"]


# -- who was away does not send


def test_a_try_that_another_has_followed_does_not_send(tries, service):
    """The try was paused between intent and request. Airflow refuses what it stores now."""

    def refuse(record):
        if "sending" in json.dumps(record):
            raise RuntimeError("404: Task instance not found")

    tries.store.on_set = refuse
    ending = tries.execute(single(), max_tries=2)
    assert type(ending) is StoreUnavailable
    assert posts(service) == 0


def test_an_orphan_that_waits_out_a_rate_limit_does_not_send(tries, service):
    """Its supervisor was killed, and the next try has started."""
    service.control.faults.add("status", "trigger_test", status=429, retry_after=75)
    intents = []

    def refuse_the_second(record):
        if "sending" in json.dumps(record):
            intents.append(record)
            if len(intents) > 1:
                raise ConnectionError("the supervisor is gone")

    tries.store.on_set = refuse_the_second
    assert type(tries.execute(single(), max_tries=2)) is StoreUnavailable
    assert posts(service) == 0


def test_a_task_that_remembers_nothing_does_not_send_either(tries, service):
    """It stores nothing except a value that Airflow accepts only from the current try."""

    def refuse(_value):
        raise RuntimeError("404: Task instance not found")

    tries.store.on_set = refuse
    tries.execute(single(durable=False), max_tries=2)
    assert posts(service) == 0


# -- every interruption is placed


def test_a_request_that_execution_timeout_cut_off_keeps_its_intent(tries, service):
    """The request took effect, but a short search does not find the run. The next try searches before it sends."""
    service.control.faults.add("list_lag", "trigger_test", seconds=20)
    service.control.faults.add("timeout_after", "trigger_test")
    tries.store.on_set = lambda _record: signal.setitimer(signal.ITIMER_REAL, 0.3)

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    ending = tries.execute(single(catalog.TEST_ENDLESS), max_tries=2, meanwhile=time_out)
    assert isinstance(ending, AirflowTaskTimeout)
    tries.store.on_set = lambda _record: None
    service.control.clock.advance(60)
    assert [part["state"] for part in tries.record["parts"].values()] == ["sending"]
    tries.execute(single(catalog.TEST_ENDLESS, deferrable=True), try_number=2, max_tries=2)
    assert posts(service) == 1
    assert tries.xcoms["run_ids"] == started(service)


def test_a_kill_before_there_is_anything_to_kill_starts_nothing(tries, service, airflow_says):
    """SIGTERM arrives while the connection is read, and Airflow calls `on_kill` only once."""
    airflow_says("failed")
    task = single()
    task.on_kill()
    ending = tries.execute(task)
    assert "no run yet" in str(ending)
    assert posts(service) == 0


def test_a_kill_while_the_request_is_under_way_says_what_may_be_running(tries, service, airflow_says, capsys):
    """Airflow may kill the process before the answer arrives."""
    airflow_says("failed")
    task = single(catalog.TEST_ENDLESS)
    tries.store.on_set = lambda record: None
    real = service.control.store.submit_test

    def submit_and_kill(*arguments, **options):
        task.on_kill()
        return real(*arguments, **options)

    service.control.store.submit_test = submit_and_kill
    tries.execute(task)
    assert "has been sent and has no answer yet" in capsys.readouterr().out
    assert cancelled(service) == started(service)


def test_an_unclear_submission_sends_nothing_on_the_next_try(tries, service):
    """Two runs could stem from one request. The message names both."""
    lose_the_answer(service, effect=True)
    test = service.control.store.catalog.tests[catalog.TEST_ENDLESS]
    real = service.control.store.submit_test

    def twice(*arguments, **options):
        real(test, SandboxRequest())
        return real(*arguments, **options)

    service.control.store.submit_test = twice
    ending = tries.execute(single(catalog.TEST_ENDLESS), max_tries=2)
    assert type(ending) is SubmissionUnclear
    assert len(ending.run_ids) == 2
    service.control.store.submit_test = real
    assert tries.record["stage"] == "concluded"
    assert [part["state"] for part in tries.record["parts"].values()] == ["unclear"]


def test_a_look_that_gets_no_answer_is_left_to_the_next_try(tries, service):
    """Nothing is sent before a search has succeeded."""
    lose_the_answer(service, effect=True)
    service.control.faults.add("status", "list_runs", status=503, after=1, times=-1)
    ending = tries.execute(single(catalog.TEST_ENDLESS, max_outage=5), max_tries=2)
    assert type(ending) is ServiceUnavailable
    assert "not known yet" in str(ending)
    service.control.faults.clear()
    tries.execute(single(catalog.TEST_ENDLESS, deferrable=True), try_number=2, max_tries=2)
    assert posts(service) == 1


def test_a_target_that_is_gone_does_not_hide_a_lost_request(tries, service):
    """The run may have started before the test was deleted."""
    lose_the_answer(service, effect=True)
    tries.store.on_set = lambda record: die() if "sending" in json.dumps(record) else None

    def die():
        raise Died

    tries.execute(single(catalog.TEST_ENDLESS), max_tries=2)
    tries.store.on_set = lambda _record: None
    service.control.faults.add("status", "get_test", status=404)
    ending = tries.execute(single(catalog.TEST_ENDLESS), try_number=2, max_tries=2)
    assert type(ending) is SubmissionUnclear
    assert type(ending) is not RequestRefused
