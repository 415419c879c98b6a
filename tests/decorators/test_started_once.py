"""Never start twice, though the function returns something else on each call and workers are lost."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.exceptions import RequestRefused
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.decorators.returning import Returns, group_of, task_of
from tests.lifecycle.tries import Died, Tries, cancelled, posts, started

pytestmark = pytest.mark.usefixtures("connections", "no_pauses", "variables")

ONE, OTHER = catalog.TEST_ENDLESS, catalog.TEST_PASSES


@pytest.fixture
def changing():
    """Returns one test, and then another one."""
    return Returns(ONE, OTHER)


def die(_record):
    raise Died


def dies_on(word, tries):
    """The worker is lost when the record with the word is written. It is written to the end."""
    tries.store.on_set = lambda record: die(record) if f'"{word}"' in json.dumps(record) else None


def test_a_worker_lost_between_intent_and_request(tries, service, changing):
    """Nothing was sent, so the next try sends what the function returned first."""
    dies_on("sending", tries)
    assert type(tries.execute(task_of(changing), max_tries=2)) is Died
    tries.store.on_set = lambda _record: None
    assert posts(service) == 0
    made = task_of(changing, deferrable=True)
    tries.execute(made, try_number=2, max_tries=2)
    assert (changing.calls, made.test_id, posts(service)) == (1, ONE, 1)


def test_a_worker_lost_between_request_and_record(tries, service, changing):
    """The run is active and the record has no id: the next try finds the run."""
    dies_on("started", tries)
    real = tries.store.set

    def lose_the_record(key, value):
        if '"started"' in json.dumps(value):
            raise Died
        real(key, value)

    tries.store.set = lose_the_record
    assert type(tries.execute(task_of(changing), max_tries=2)) is Died
    assert [part["state"] for part in tries.record["parts"].values()] == ["sending"]
    tries.store.set = real
    tries.store.on_set = lambda _record: None
    tries.execute(task_of(changing, deferrable=True), try_number=2, max_tries=2)
    assert (changing.calls, posts(service), cancelled(service)) == (1, 1, [])
    assert tries.xcoms["run_ids"] == started(service)


def test_a_worker_lost_after_the_record(tries, service, changing):
    dies_on("started", tries)
    tries.execute(task_of(changing), max_tries=2)
    tries.store.on_set = lambda _record: None
    tries.execute(task_of(changing, deferrable=True), try_number=2, max_tries=2)
    assert (changing.calls, posts(service), cancelled(service)) == (1, 1, [])


def test_an_answer_that_is_lost(tries, service, changing):
    service.control.faults.add("reset_after", "trigger_test")
    tries.execute(task_of(changing, deferrable=True), max_tries=2)
    tries.execute(task_of(changing, deferrable=True), try_number=2, max_tries=2)
    assert (changing.calls, posts(service)) == (1, 1)


def test_a_retry_of_an_errored_run_asks_for_the_same(tries, service):
    """Results of two tests in one task would say nothing."""
    function = Returns(catalog.TEST_BREAKS, OTHER)
    tries.execute(task_of(function), max_tries=1)
    made = task_of(function)
    tries.execute(made, try_number=2, max_tries=1)
    assert (function.calls, made.test_id, posts(service)) == (1, catalog.TEST_BREAKS, 2)


def test_a_clear_calls_the_function_again(tries, service, changing):
    """A person wants new runs. Those of before are cancelled."""
    tries.execute(task_of(changing, deferrable=True), max_tries=0)
    made = task_of(changing)
    assert tries.execute(made, try_number=2, max_tries=1)["verdict"] == "passed"
    assert (changing.calls, made.test_id) == (2, OTHER)
    assert cancelled(service) == started(service)[:1]


def test_a_function_that_fails_after_a_clear_leaves_no_run(tries, service):
    function = Returns(ONE, KeyError("commit"))
    tries.execute(task_of(function, deferrable=True), max_tries=0)
    assert type(tries.execute(task_of(function), try_number=2, max_tries=1)) is KeyError
    assert cancelled(service) == started(service)


def test_a_resumed_task_does_not_call_the_function(tries, service):
    """It is another process, with a task from the DAG file."""
    function = Returns(OTHER, AssertionError("called again"))
    tries.execute(task_of(function, deferrable=True))
    made = task_of(function, deferrable=True)
    assert tries.through_trigger(made)["verdict"] == "passed"
    assert (function.calls, made.test_id) == (1, OTHER)


def test_a_resumed_task_confirms_with_the_first_value(tries, service):
    """The confirming round starts runs, and has to ask for the same."""
    function = Returns(catalog.GROUP_FAILING, catalog.GROUP_SEQUENTIAL)
    gate = {"confirm": 2}
    tries.execute(group_of(function, deferrable=True, gate=gate))
    tries.through_trigger(group_of(function, deferrable=True, gate=gate))
    assert function.calls == 1
    assert len(service.control.log.submissions()) > 1


def test_a_failed_trigger_does_not_call_the_function(tries, service, changing):
    tries.execute(task_of(changing, deferrable=True))
    tries.resume(task_of(changing, deferrable=True), "__fail__", {"error": "Trigger timeout"})
    assert (changing.calls, posts(service)) == (1, 1)


def test_an_edited_record_decides_nothing(tries, service, changing):
    """A user has put another test into the record. Its signature is not valid any more."""
    tries.execute(task_of(changing, deferrable=True), max_tries=2)
    tries.store["test_runs"] = {**tries.record, "chosen": json.dumps({"test_id": catalog.TEST_FAILS})}
    ending = tries.execute(task_of(changing), try_number=2, max_tries=2)
    assert type(ending) is RequestRefused
    assert "not signed" in str(ending)
    assert posts(service) == 1


def test_an_edited_record_does_not_reach_a_resumed_task(tries, service):
    function = Returns(OTHER)
    tries.execute(task_of(function, deferrable=True))
    tries.store["test_runs"] = {**tries.record, "chosen": json.dumps({"test_id": catalog.TEST_FAILS})}
    made = task_of(function, deferrable=True)
    assert tries.through_trigger(made)["verdict"] == "passed"
    assert (function.calls, made.test_id, posts(service)) == (1, None, 1)


def test_the_same_value_reconnects_after_a_change_of_the_key(tries, service, monkeypatch):
    """The function is asked again, and confirms what the record says."""
    function = Returns(ONE)
    tries.execute(task_of(function, deferrable=True), max_tries=2)
    tries.store["test_runs"] = {**tries.record, "signature": "0" * 64}
    tries.execute(task_of(function, deferrable=True), try_number=2, max_tries=2)
    assert (function.calls, posts(service), tries.xcoms["run_ids"]) == (2, 1, started(service))


def test_a_task_that_keeps_nothing_calls_the_function_on_every_try(tries, service, changing):
    """So do all operators with durable=False."""
    tries.execute(task_of(changing, deferrable=True, durable=False), max_tries=2)
    tries.execute(task_of(changing, deferrable=True, durable=False), try_number=2, max_tries=2)
    assert (changing.calls, posts(service)) == (2, 2)


def test_mapped_tasks_keep_their_own_value(service):
    for index in (0, 1):
        tries = Tries(service, map_index=index)
        function = Returns(ONE, OTHER)
        tries.execute(task_of(function, deferrable=True), max_tries=2)
        tries.execute(task_of(function, deferrable=True), try_number=2, max_tries=2)
        assert function.calls == 1
    assert posts(service) == 2
