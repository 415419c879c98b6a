"""However a try ends, no run is left active without a waiter, and the known results are judged."""

from __future__ import annotations

import json
import os
import signal
import sys
from types import ModuleType

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_testerarmy.exceptions import (
    CredentialsRejected,
    RequestRefused,
    RunInterrupted,
    ServiceUnavailable,
    TestsFailed,
    TriggerFailed,
    WaitTimedOut,
)
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import cancelled, group, posts, single, started

pytestmark = pytest.mark.usefixtures("connections")

FINISHED = {"event": {"version": 1, "end": "finished"}}
DEADLINE = {"event": {"version": 1, "end": "deadline", "message": "too late"}}
LOST = {"event": {"version": 1, "end": "lost", "message": "no such connection"}}
RAISED = {"error": "Trigger failure", "traceback": ["Traceback\n", "AirflowNotFoundException: no conn\n"]}


def once_seen(task, act):
    """Call a function from a signal handler after the task has polled its runs."""

    def handle():
        lifecycle = task._lifecycle
        if len(lifecycle.waiter.known(lifecycle.run_ids)) == len(lifecycle.run_ids):
            act()
        else:
            signal.setitimer(signal.ITIMER_REAL, 0.05)

    return handle


def deferred(tries, task, **numbers):
    assert isinstance(tries.execute(task, **numbers), TaskDeferred)


# -- the trigger is lost


@pytest.mark.parametrize(("method", "kwargs"), [("__fail__", RAISED), ("execute_complete", LOST)])
def test_a_trigger_that_cannot_wait_leaves_nothing_behind(tries, service, method, kwargs):
    """The trigger raised or reported a failure. Without a retry left, the runs are cancelled."""
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS, deferrable=True)
    deferred(tries, task, max_tries=0)
    ending = tries.resume(task, method, kwargs)
    assert type(ending) is TriggerFailed
    assert set(cancelled(service)) == set(started(service))
    assert (tries.summary["verdict"], tries.record["stage"]) == ("cancelled", "concluded")


@pytest.mark.parametrize(("method", "kwargs"), [("__fail__", RAISED), ("execute_complete", LOST)])
def test_with_a_retry_left_the_runs_are_kept(tries, service, method, kwargs):
    """The next try reconnects."""
    tries.seconds = 2
    task = group(catalog.GROUP_ENDLESS, deferrable=True)
    deferred(tries, task, max_tries=1)
    ending = tries.resume(task, method, kwargs)
    assert type(ending) is TriggerFailed
    assert "The next try waits for the same runs" in str(ending)
    deferred(tries, group(catalog.GROUP_ENDLESS, deferrable=True), try_number=2, max_tries=1)
    assert (posts(service), cancelled(service)) == (1, [])


@pytest.mark.parametrize(("method", "kwargs"), [("__fail__", RAISED), ("execute_complete", LOST)])
def test_runs_that_have_ended_are_judged_all_the_same(tries, method, kwargs):
    """A failed trigger does not lose a result."""
    task = group(deferrable=True)
    deferred(tries, task)
    assert tries.resume(task, method, kwargs)["verdict"] == "passed"


def test_why_the_trigger_failed_is_said(tries):
    tries.seconds = 2
    task = single(catalog.TEST_ENDLESS, deferrable=True)
    deferred(tries, task)
    assert "AirflowNotFoundException: no conn" in str(tries.resume(task, "__fail__", RAISED))


@pytest.mark.parametrize("remembered", [True, False])
def test_a_deferral_without_a_record_stops_its_runs_too(tries, service, remembered):
    """With `durable=False` the runs are read from the XComs."""
    tries.seconds = 2
    task = single(catalog.TEST_ENDLESS, deferrable=True, durable=remembered)
    deferred(tries, task)
    tries.resume(task, "__fail__", RAISED)
    assert cancelled(service) == started(service)


class HookOfADag(TesterArmyHook):
    """A hook that the triggerer cannot import."""


@pytest.mark.parametrize("module", ["__main__", "unusual_prefix_0123_dag", "no_such_module"])
def test_a_hook_that_the_triggerer_cannot_import_starts_nothing(tries, service, monkeypatch, module):
    """The task fails before it starts any run."""
    monkeypatch.setitem(sys.modules, "unusual_prefix_0123_dag", ModuleType("unusual_prefix_0123_dag"))
    monkeypatch.setattr(HookOfADag, "__module__", module)

    class Operator(TesterArmyRunGroupOperator):
        hook = property(lambda self: HookOfADag(self.testerarmy_conn_id))

    ending = tries.execute(Operator(task_id="tests", group_id=catalog.GROUP_ENDLESS, deferrable=True))
    assert type(ending) is RequestRefused
    assert "cannot import the hook" in str(ending)
    assert posts(service) == 0


# -- collecting is not waiting


def test_a_worker_slot_after_the_deadline_collects_what_had_ended_in_time(tries, service):
    """One transient fault while collecting is no problem."""
    task = group(deferrable=True, timeout=0.05)
    deferred(tries, task)
    service.control.faults.add("status", "get_run", status=503)
    assert tries.resume(task, "execute_complete", FINISHED)["verdict"] == "passed"
    assert cancelled(service) == []


def test_a_retry_after_the_deadline_judges_what_had_ended_in_time(tries, service):
    """The worker was lost, and the next try starts after the deadline."""
    deferred(tries, group(deferrable=True, timeout=0.05), max_tries=1)
    summary = tries.execute(group(timeout=0.05), try_number=2, max_tries=1)
    assert (summary["verdict"], posts(service)) == ("passed", 1)


def test_runs_that_ended_long_after_the_deadline_have_timed_out(tries, service, monkeypatch):
    """Nothing could cancel them at the deadline. They count as timed out all the same."""
    deferred(tries, group(deferrable=True, timeout=0.05), max_tries=1)
    monkeypatch.setitem(tries.record, "deadline", service.control.clock.time() - 3600)
    assert type(tries.execute(group(timeout=0.05), try_number=2, max_tries=1)) is WaitTimedOut


def test_results_that_cannot_be_fetched_are_not_a_time_out(tries, service):
    """The runs have ended. The next try fetches the results."""
    task = group(deferrable=True, max_outage=0.1)
    deferred(tries, task, max_tries=1)
    service.control.down = "html"
    ending = tries.resume(task, "execute_complete", FINISHED)
    assert type(ending) is ServiceUnavailable
    service.control.down = None
    assert tries.execute(group(), try_number=2, max_tries=1)["verdict"] == "passed"
    assert (posts(service), cancelled(service)) == (1, [])


# -- what is known is judged


def almost_finished(service, *, left=(catalog.TEST_CART,)):
    """A group in which some tests never end."""
    for test_id in left:
        service.control.store.override_script(test_id, "endless")


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_at_a_time_out_what_has_passed_is_reported_and_kept(tries, service, tmp_path, deferrable):
    """The next round runs only the tests without a pass."""
    almost_finished(service)
    path = tmp_path / "report.json"
    parameters = {"group_id": catalog.GROUP_FAILING, "report_path": str(path), "deferrable": deferrable}
    service.control.store.override_script(catalog.TEST_FAILS, "passes")
    task = group(**parameters, timeout=0.3)
    ending = tries.execute(task, max_tries=1)
    if deferrable:
        ending = tries.through_trigger(task)
    assert type(ending) is WaitTimedOut
    assert tries.summary["counts"] == {"total": 5, "passed": 4, "cancelled": 1}
    assert tries.summary["verdict"] == "cancelled"
    assert tries.summary["reasons"][0].startswith("Timed out")
    assert len(json.loads(path.read_text())["runs"]) == 5
    service.control.store.override_script(catalog.TEST_CART, "passes")
    summary = tries.execute(group(**parameters | {"deferrable": False}), try_number=2, max_tries=1)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [5, 1]
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 5, "passed": 5})


def test_a_gate_that_holds_without_the_rest_is_no_pass_at_a_time_out(tries, service):
    """Tests that have not ended count as untested."""
    almost_finished(service)
    service.control.store.override_script(catalog.TEST_FAILS, "passes")
    gate = {"min_pass_rate": 0.5, "on_cancelled": "ignore"}
    ending = tries.execute(group(catalog.GROUP_FAILING, timeout=0.3, gate=gate))
    assert type(ending) is WaitTimedOut
    assert tries.summary["verdict"] == "errored"


def test_a_failure_that_is_known_is_a_failure_at_a_time_out(tries, service):
    almost_finished(service)
    tries.execute(group(catalog.GROUP_FAILING, timeout=0.3))
    assert tries.summary["verdict"] == "failed"
    assert tries.summary["counts"] == {"total": 5, "passed": 3, "failed": 1, "cancelled": 1}


def test_an_interruption_reports_what_is_known(tries, service, airflow_says, tmp_path):
    """A user marks the task failed with most of its runs passed."""
    airflow_says("failed")
    almost_finished(service)
    path = tmp_path / "report.json"
    task = group(catalog.GROUP_FAILING, report_path=str(path))
    ending = tries.execute(task, meanwhile=once_seen(task, task.on_kill))
    assert type(ending) is RunInterrupted
    assert tries.summary["counts"]["passed"] == 3
    assert path.exists()


@pytest.mark.parametrize("parameters", [{"deferrable": True}, {"wait_for_completion": False}])
def test_a_task_that_was_marked_while_it_submitted_stops_what_it_started(
    tries, service, airflow_says, parameters
):
    """Airflow would refuse the deferral or the result, and nothing would wait for the runs."""
    airflow_says("success")
    tries.seconds = 2
    ending = tries.execute(single(catalog.TEST_ENDLESS, **parameters))
    assert type(ending) is RunInterrupted
    assert cancelled(service) == started(service)


def test_an_execution_timeout_reports_what_is_known(tries, service):
    """Passes are kept for the next round."""
    almost_finished(service)
    service.control.store.override_script(catalog.TEST_FAILS, "passes")

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    ending = tries.execute(group(catalog.GROUP_FAILING), max_tries=1, meanwhile=time_out)
    assert isinstance(ending, AirflowTaskTimeout)
    assert tries.summary["counts"] == {"total": 5, "passed": 4, "cancelled": 1}
    assert len(cancelled(service)) >= 1
    service.control.store.override_script(catalog.TEST_CART, "passes")
    assert tries.execute(group(catalog.GROUP_FAILING), try_number=2, max_tries=1)["verdict"] == "passed"
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [5, 1]


def test_an_outage_reports_what_is_known(tries, service):
    almost_finished(service)
    task = group(catalog.GROUP_FAILING, max_outage=0.2)
    down = once_seen(task, lambda: setattr(service.control, "down", "html"))
    ending = tries.execute(task, max_tries=1, meanwhile=down)
    assert type(ending) is ServiceUnavailable
    assert tries.summary["counts"]["passed"] == 3
    assert tries.summary["verdict"] in ("failed", "errored")


def test_a_test_that_was_removed_between_two_rounds_is_reported(tries, service):
    """The rest is judged."""
    service.control.store.override_script(catalog.TEST_CART, "fails")
    failing = {"group_id": catalog.GROUP_FAILING, "retry_failed_tests": True}
    assert type(tries.execute(group(**failing), max_tries=1)) is TestsFailed
    failed = [test["test_id"] for test in tries.summary["tests"] if test["outcome"] == "failed"]
    removed, kept = failed
    service.control.store.override_script(kept, "passes")
    service.control.faults.add("status", f"* /tests/{removed}*", status=404, times=-1)
    summary = tries.execute(group(**failing), try_number=2, max_tries=1)
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 5, "passed": 4, "skipped": 1})
    assert any("no longer has this test" in reason for reason in summary["reasons"])


# -- the key changes


def test_a_key_that_is_changed_twice_while_waiting(tries, service, monkeypatch):
    """In the worker, as in the triggerer."""
    tries.seconds = 2
    keys = iter(["sk_second", "sk_third"])

    def rotate():
        key = next(keys, None)
        if key is None:
            service.control.clock.advance(120)
            return
        old = json.loads(connection())["password"]
        service.control.keys.add(key)
        set_key(key)
        service.control.keys.revoke(old)
        signal.setitimer(signal.ITIMER_REAL, 0.5)

    def connection():
        return os.environ["AIRFLOW_CONN_TESTERARMY_DEFAULT"]

    def set_key(key):
        changed = json.dumps(json.loads(connection()) | {"password": key})
        monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", changed)

    summary = tries.execute(group(), meanwhile=rotate)
    assert (summary["verdict"], posts(service), cancelled(service)) == ("passed", 1, [])


def test_a_key_that_is_rejected_for_good_ends_the_wait(tries, service):
    tries.seconds = 2
    ending = tries.execute(
        group(catalog.GROUP_ENDLESS), meanwhile=lambda: service.control.keys.revoke(DEFAULT_API_KEY)
    )
    assert type(ending) is CredentialsRejected
    assert isinstance(ending, AirflowFailException)


# -- Ctrl-C


def test_ctrl_c_stops_the_runs(tries, service):
    """`airflow dags test` runs tasks in the foreground, where Ctrl-C reaches them."""
    tries.seconds = 2

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tries.execute(group(catalog.GROUP_ENDLESS), max_tries=2, meanwhile=interrupt)
    assert set(cancelled(service)) == set(started(service))


def test_a_try_that_is_cut_off_while_it_looks_starts_nothing_more(tries, service):
    """`execution_timeout` interrupts the search for lost runs. The next try judges the runs that it finds."""

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    service.control.faults.add("list_lag", "trigger_test", seconds=20)
    service.control.faults.add("timeout_after", "trigger_test")
    tries.store.on_set = lambda _record: signal.setitimer(signal.ITIMER_REAL, 0.3)
    tries.execute(single(), max_tries=3, meanwhile=time_out)
    tries.store.on_set = lambda _record: None
    service.control.clock.advance(60)
    lag = service.control.faults.add("status", "list_runs", status=503, times=2)

    def time_out_of_the_looks():
        if lag.hits:
            raise AirflowTaskTimeout("Timeout")
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    signal.setitimer(signal.ITIMER_REAL, 0.05)
    second = tries.execute(single(), try_number=2, max_tries=3, meanwhile=time_out_of_the_looks)
    assert isinstance(second, AirflowTaskTimeout)
    assert tries.execute(single(), try_number=3, max_tries=3)["verdict"] == "passed"
    assert posts(service) == 1
