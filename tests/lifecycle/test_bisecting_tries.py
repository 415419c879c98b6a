"""Bisecting while workers are lost, tasks are killed, and the service or the budget refuses a run."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import (
    RunInterrupted,
    RunsForgotten,
    ServiceUnavailable,
    TestsFailed,
)
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.triggers.runs import make_event
from tests.lifecycle.test_bisecting import CART, MODES, Bisected, address, commit, task_options
from tests.lifecycle.test_temporary_groups import temporary
from tests.lifecycle.tries import Died, cancelled, group, posts, started

pytestmark = pytest.mark.usefixtures("connections")


@pytest.fixture
def nights(service, monkeypatch, tmp_path):
    nights = Bisected(service, monkeypatch, tmp_path / "memory")
    nights.clear_number = 0
    return nights


def dies_at(tries, number):
    """Kill the worker when it writes this of its records that have a search."""
    seen = []

    def die(record):
        if "search" in record:
            seen.append(record)
            if len(seen) == number:
                raise Died

    tries.store.on_set = die


def until_lost(nights, number, **options):
    """Run the last night until its worker dies, and return the task of the next try."""
    task = nights.until_broken(retries=1, **options)
    start = nights.execute

    def execute(*given, **numbers):
        dies_at(nights, number)
        return start(*given, **numbers)

    nights.execute = execute
    ending = nights.to_end(task, nights.night(task, max_tries=1))
    nights.execute = start
    assert isinstance(ending, Died)
    nights.store.on_set = lambda record: None
    return task


#: The name and the id of the group, the round, the intent and the runs of the first two rounds, and further ones.
WRITES = [*range(1, 13), 20, 28]


@MODES
@pytest.mark.parametrize("write", WRITES)
def test_a_worker_lost_at_any_moment_of_a_search(nights, service, write, deferrable, no_pauses, monkeypatch):
    """The next try ends as if nothing had happened: no run is started twice, and no group is left."""
    task = until_lost(nights, write, deferrable=deferrable)
    ending = nights.to_end(task, nights.execute(task, try_number=2, max_tries=1))
    assert isinstance(ending, TestsFailed)
    assert (nights.bisected["end"], nights.bisected["bad"]["commit"]) == ("found", commit(4))
    assert nights.tried() == [one["address"] for one in nights.bisected["tried"]]
    assert temporary(service) == []
    assert "temporary" not in nights.record


@pytest.mark.parametrize("write", WRITES)
def test_the_listener_ends_a_search_without_a_worker(nights, service, write, listener, no_pauses):
    """It cancels the run that is active, and deletes the group."""
    nights.seconds = 60
    until_lost(nights, write)
    listener(nights.record)
    assert temporary(service) == []
    assert [run_id for run_id in started(service) if run_id in service.control.store.active_run_ids()] == []


def test_a_killed_task_leaves_neither_run_nor_group(nights, service, airflow_says):
    """The verdict that was known is reported."""
    task = nights.until_broken()
    airflow_says("running")

    def keep_it_active(record):
        if record.get("search") and record["search"]["tests"]:
            nights.seconds = 0

    def kill():
        # The first round starts the timer too, and the search starts it again.
        if posts(service) == 2:
            airflow_says("failed")
            task.on_kill()

    start = nights.execute

    def execute(*given, **numbers):
        nights.store.on_set = keep_it_active
        return start(*given, **numbers, meanwhile=kill)

    nights.execute = execute
    assert type(nights.night(task)) is RunInterrupted
    _, search = service.control.log.submissions()
    assert set(cancelled(service)) == set(search.run_ids)
    assert temporary(service) == []


@pytest.mark.parametrize(("kind", "fields"), [("reset_after", {}), ("status_after", {"status": 504})])
def test_a_lost_answer_starts_no_second_run(nights, service, kind, fields, no_pauses, variables):
    """Its runs are found, and claimed: no other task takes them."""
    nights.paused = no_pauses
    task = nights.until_broken()
    service.control.faults.add(kind, "trigger_group", armed_by="add_group_test", **fields)
    nights.run(task)
    assert nights.tried() == [one["address"] for one in nights.bisected["tried"]]
    assert nights.bisected["end"] == "found"


def test_the_deadline_ends_a_search(nights, service, no_pauses, monkeypatch):
    """Its run is cancelled, and the verdict is the same as without it."""
    task = nights.until_broken(timeout=600, deferrable=True)
    nights.night(task)
    nights.through_trigger(task)
    nights.seconds = 0
    nights.through_trigger(task)
    active = service.control.store.active_run_ids()
    late = ServiceSession.clock() + 1000
    monkeypatch.setattr(ServiceSession, "clock", staticmethod(lambda: late))
    ending = nights.to_end(task, nights.through_trigger(task))
    assert isinstance(ending, TestsFailed)
    assert "bisecting stopped, because the timeout has passed. It broke after 2023-11-15" in str(ending)
    assert set(cancelled(service)) == set(active) != set()
    assert temporary(service) == []
    assert nights.summary["counts"] == {"total": 4, "passed": 3, "failed": 1}


@pytest.mark.parametrize("retries", [0, 1])
def test_an_outage_during_a_search(nights, service, retries, no_pauses, monkeypatch):
    """A retry continues the search. Without one, the verdict is given as soon as the service answers."""
    task = nights.until_broken(deferrable=True, retries=retries, max_outage=60)
    nights.night(task, max_tries=retries)
    nights.through_trigger(task)
    away = Waited(WaitEnd.UNAVAILABLE, {}, "the service answers 503")
    event = make_event(away, nights.deferred.trigger.run_ids)
    monkeypatch.setattr(airflow_compat, "retry_follows", lambda _ti: bool(retries))
    ending = nights.resume(task, "execute_complete", {"event": event})
    nights.seconds = 60
    if retries:
        assert isinstance(ending, ServiceUnavailable)
        assert len(temporary(service)) == 1
        nights.to_end(task, nights.execute(task, try_number=2, max_tries=1))
        assert nights.bisected["end"] == "found"
    else:
        assert isinstance(ending, TestsFailed)
        assert "because the service could not be reached" in str(ending)
    assert temporary(service) == []


@pytest.mark.parametrize("status", [400, 402, 404])
@pytest.mark.parametrize("operation", ["create_group", "trigger_group"])
def test_a_refused_search_leaves_the_verdict(nights, service, status, operation, no_pauses):
    """The reason says why, and nothing is left."""
    task = nights.until_broken()
    armed = {"armed_by": "add_group_test"} if operation == "trigger_group" else {}
    service.control.faults.add("status", operation, status=status, times=-1, **armed)
    ending = nights.run(task)
    assert isinstance(ending, TestsFailed)
    assert ": not bisected, because " in str(ending)
    assert (posts(service), temporary(service)) == (1, [])


def test_a_refusal_in_a_later_try_leaves_the_verdict(nights, service, no_pauses):
    """The worker was lost before the round was sent."""
    task = until_lost(nights, 3)
    service.control.faults.add("status", "trigger_group", status=402, times=-1)
    ending = nights.execute(task, try_number=2, max_tries=1)
    assert isinstance(ending, TestsFailed)
    assert "not bisected, because " in str(ending)
    assert temporary(service) == []


@pytest.mark.parametrize("lost", [False, True])
def test_a_budget_bounds_a_search(nights, service, lost, no_pauses):
    """What the night itself needed is spent, and there is room for one more round."""
    task = until_lost(nights, 9) if lost else nights.until_broken()
    # A round has two runs, that of the test and that of its preparation.
    task.budget = {"runs": 1 if lost else 8, "per": "month"}
    ending = nights.execute(task, try_number=2, max_tries=1) if lost else nights.run(task)
    assert isinstance(ending, TestsFailed)
    assert "because The budget of pool 'dag' has no room left" in str(ending)
    assert temporary(service) == []


def test_a_worker_lost_after_its_verdict_searches_no_further(nights, service):
    """The next try judges the same runs again, and says the same."""
    task = nights.until_broken(retries=1)
    assert isinstance(nights.night(task, max_tries=1), TestsFailed)
    before, said = posts(service), nights.bisected
    assert isinstance(nights.execute(task, try_number=2, max_tries=1), TestsFailed)
    assert (posts(service), nights.bisected) == (before, said)


def test_max_reruns_bounds_a_search(nights, service):
    """Its runs count as confirming runs do."""
    gate = {"fail_on": "new", "confirm": {"times": 2, "of": 2, "max_reruns": 3}}
    ending = nights.run(nights.until_broken(gate=gate))
    assert "bisecting stopped, because max_reruns (3) is reached" in str(ending)
    assert len(nights.bisected["tried"]) == 2
    assert posts(service) == 4


@MODES
def test_a_failure_is_confirmed_before_it_is_bisected(nights, service, deferrable):
    """A flaky test is not bisected."""
    gate = {"fail_on": "new", "confirm": 2}
    nights.run(nights.until_broken(gate=gate, deferrable=deferrable))
    assert (nights.bisected["end"], nights.bisected["bad"]["commit"]) == ("found", commit(4))
    (entry,) = [test for test in nights.summary["tests"] if test["test_id"] == CART]
    assert [one["outcome"] for one in entry["attempts"]] == ["failed", "failed"]


def test_a_flaky_failure_is_not_bisected(nights, service):
    """It passes when it runs again."""
    task = nights.until_broken(gate={"fail_on": "new", "confirm": 2})
    service.control.store.override_script(CART, "flaky", address(7))
    assert nights.run(task)["verdict"] == "passed"
    assert posts(service) == 2


def test_a_failure_that_the_gate_allows_is_not_bisected(nights, service):
    """There is nothing to explain."""
    summary = nights.run(nights.until_broken(gate={"fail_on": "new", "min_pass_rate": 0.5}))
    assert (summary["verdict"], posts(service)) == ("passed", 1)


def test_only_the_last_try_bisects(nights, service):
    """With `retry_failed_tests` the next try runs the failed tests again."""
    task = nights.until_broken(retries=1, retry_failed_tests=True)
    assert isinstance(nights.night(task, max_tries=1), TestsFailed)
    assert posts(service) == 1
    nights.execute(task, try_number=2, max_tries=1)
    assert (nights.bisected["end"], nights.tried()[1:]) == (
        "found",
        [one["address"] for one in nights.bisected["tried"]],
    )


def test_report_only_bisects_too(nights, service):
    """The task succeeds, and its summary has the result."""
    summary = nights.run(nights.until_broken(gate={"fail_on": "new", "report_only": True}))
    assert (summary["verdict"], summary["bisected"][0]["end"]) == ("failed", "found")


def test_a_lost_record_does_not_let_a_search_pass(nights, service):
    """A pass at another address is no pass of tonight's product."""
    task = nights.until_broken(deferrable=True)
    nights.night(task)
    nights.through_trigger(task)
    nights.lose_record()
    assert type(nights.through_trigger(task)) is RunsForgotten


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gate": None}, "needs a gate that remembers"),
        ({"gate": {"confirm": 2}}, "needs a gate that remembers"),
        ({"target_url": None}, "needs target_url"),
        ({"mobile": {"build_id": "b"}}, "no mobile build"),
        ({"durable": False}, "durable=True"),
        ({"wait_for_completion": False}, "wait_for_completion=True"),
        ({"bisect": "perhaps"}, "bisect must be True or False"),
    ],
)
def test_what_cannot_be_bisected_is_refused_when_the_file_is_parsed(nights, changed, said):
    """Before anything is started."""
    with pytest.raises(ValueError, match=said):
        group(**task_options(nights, 1) | changed)


def test_docket_has_no_such_parameter():
    """Its tests have addresses of their own."""
    with pytest.raises(Exception, match="bisect"):
        DocketRunTestsOperator(task_id="tests", test_blueprint_ids=[1], bisect=True)


def test_a_gate_that_renders_to_one_without_a_memory_starts_nothing(nights, service):
    """It is known only when the task runs."""
    task = nights.task(1, gate="{{ var.json.gate | tojson }}")
    task.gate = "{}"
    assert "needs a gate that remembers" in str(nights.run(task))
    assert posts(service) == 0
