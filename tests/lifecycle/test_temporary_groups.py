"""Failures of a group with an address: the failed tests run again in a temporary group, which is always deleted."""

from __future__ import annotations

import signal

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import RequestRefused, RunInterrupted
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Group
from tests.lifecycle.tries import Died, cancelled, group, started

pytestmark = pytest.mark.usefixtures("connections")

TWICE = {"confirm": 2}
FLAKY = catalog.GROUP_FLAKY
URL = "https://preview.shop.example/"


def task(**options):
    """A task whose group has an address."""
    return group(**{"group_id": FLAKY, "gate": TWICE, "target_url": URL, "commit_sha": "4f2d1c9"} | options)


def run(tries, one, **options):
    """Run a try to its end, through the triggerer wherever it defers."""
    result = tries.execute(one, **options)
    while isinstance(result, TaskDeferred):
        result = tries.through_trigger(one)
    return result


def temporary(service):
    """The temporary groups that exist now."""
    groups = service.control.store.catalog.groups.values()
    return [one for one in groups if one.name.startswith("Airflow confirms ")]


def sizes(service):
    """The number of runs of each round."""
    return [len(one.run_ids) for one in service.control.log.submissions()]


def calls(service, operation):
    """How often an operation was requested."""
    return len([one for one in service.control.log.entries() if one.operation == operation])


@pytest.mark.parametrize("deferrable", [False, True])
def test_only_the_failed_test_runs_again_at_the_same_address(tries, service, deferrable):
    """The second round has its address and its commit, and the group is deleted."""
    summary = run(tries, task(deferrable=deferrable))
    assert (summary["verdict"], summary["flaky"], sizes(service)) == ("passed", 1, [2, 1])
    runs = service.control.store.runs
    first, again = (runs[one.run_ids[-1]] for one in service.control.log.submissions())
    assert (again.target_url, again.external_ref) == (first.target_url, first.external_ref)
    assert again.input["commitSha"] == "4f2d1c9"
    (flaky,) = [test for test in summary["tests"] if test.get("flaky")]
    assert [one["outcome"] for one in flaky["attempts"]] == ["failed", "passed"]
    assert temporary(service) == []
    assert set(summary["run_ids"]) == set(started(service)) == set(tries.xcoms["run_ids"])
    assert "temporary" not in tries.record


def test_a_test_that_stays_undecided_gets_a_group_of_each_round(tries, service):
    """It fails, passes and fails. The group of a round is deleted before the next one is created."""
    error = run(tries, task(gate={"confirm": {"times": 2, "of": 3}}))
    assert "attempts: failed, passed, failed" in str(error)
    assert (sizes(service), temporary(service)) == ([2, 1, 1], [])


def test_the_preparation_test_runs_in_the_temporary_group(tries, service):
    """Its result there counts for nothing."""
    service.control.store.override_script(catalog.TEST_PROFILE, "flaky")
    summary = run(tries, task(group_id=catalog.GROUP_PREPARED))
    rounds = [
        [service.control.store.runs[run_id].test.id for run_id in one.run_ids]
        for one in service.control.log.submissions()
    ]
    assert rounds[1] == [catalog.TEST_PREPARATION, catalog.TEST_PROFILE]
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 3, "passed": 3})
    assert temporary(service) == []


def test_a_group_of_which_all_tests_failed_runs_again_itself(tries, service):
    """A temporary group would be a copy of it."""
    service.control.store.catalog.change_group(FLAKY, [catalog.TEST_FLAKY])
    assert run(tries, task())["verdict"] == "passed"
    assert (sizes(service), calls(service, "create_group")) == ([1, 1], 0)


def test_without_a_record_no_group_is_created(tries, service):
    """Nothing would delete it after a lost worker."""
    run(tries, task(durable=False))
    assert (sizes(service), calls(service, "create_group")) == ([2], 0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("operation", ["create_group", "add_group_test"])
def test_where_no_group_is_allowed_the_whole_group_runs_again(
    tries, service, status, operation, no_pauses, capsys
):
    """The log says why, what was made is removed, and the verdict is the same."""
    service.control.faults.add("status", operation, status=status, times=-1)
    summary = run(tries, task())
    assert (summary["verdict"], summary["flaky"], sizes(service)) == ("passed", 1, [2, 2])
    assert temporary(service) == []
    assert "cannot run in a group of their own" in capsys.readouterr().out


def test_a_project_that_is_full_runs_the_whole_group_again(tries, service):
    """A project has at most 20 groups."""
    known = service.control.store.catalog
    for number in range(20):
        known.create_group(Group(f"30000000-0000-4000-8000-{number + 500:012d}", f"More {number}", ()))
    assert run(tries, task())["verdict"] == "passed"
    assert sizes(service) == [2, 2]


def test_a_project_that_is_not_named_runs_the_whole_group_again(tries, service):
    """A group needs a project."""
    service.control.faults.add("edit", "get_group", drop=["projectId"], times=-1)
    assert run(tries, task())["verdict"] == "passed"
    assert (sizes(service), calls(service, "create_group")) == ([2, 2], 0)


@pytest.mark.parametrize("status", [400, 404])
def test_a_group_that_does_not_run_is_replaced_by_the_whole_group(tries, service, status, no_pauses):
    """The service refuses the run of the temporary group alone."""
    service.control.faults.add("status", "trigger_group", status=status, times=1, armed_by="add_group_test")
    summary = run(tries, task())
    assert (summary["verdict"], summary["flaky"], sizes(service)) == ("passed", 1, [2, 2])
    assert temporary(service) == []


def test_a_whole_group_that_is_too_large_leaves_the_failure(tries, service, no_pauses):
    """Without a temporary group, its two tests are more than may run again."""
    service.control.faults.add("status", "create_group", status=403, times=-1)
    error = run(tries, task(gate={"confirm": {"max_reruns": 1}}))
    assert "more than max_reruns allows" in str(error)
    assert (sizes(service), temporary(service)) == ([2], [])


@pytest.mark.parametrize("kind", ["reset_after", "garbage", "status_after"])
def test_a_lost_answer_to_the_creation_is_settled_by_its_name(tries, service, kind, no_pauses):
    """There is no second group."""
    service.control.faults.add(kind, "create_group", **({"status": 504} if kind == "status_after" else {}))
    summary = run(tries, task())
    assert (summary["verdict"], sizes(service)) == ("passed", [2, 1])
    assert (calls(service, "create_group"), temporary(service)) == (1, [])


def test_a_lost_answer_that_cannot_be_settled_now(tries, service, no_pauses):
    """The whole group runs again, and the group is found by its name at the end of the try."""
    service.control.faults.add("reset_after", "create_group")
    service.control.faults.add("status", "list_groups", status=503, times=6)
    summary = run(tries, task())
    assert (summary["verdict"], sizes(service), temporary(service)) == ("passed", [2, 2], [])


def test_a_lost_answer_to_the_run_of_the_group(tries, service, no_pauses):
    """Its runs are found."""
    service.control.faults.add("reset_after", "trigger_group", armed_by="add_group_test")
    summary = run(tries, task())
    assert (summary["verdict"], sizes(service), temporary(service)) == ("passed", [2, 1], [])


def test_a_group_that_cannot_be_deleted_fails_nothing(tries, service, no_pauses, capsys):
    """The log names it, and a later try deletes it."""
    tries.clear_number = 0
    service.control.faults.add("status", "delete_group", status=500, times=-1)
    assert run(tries, task())["verdict"] == "passed"
    (left,) = temporary(service)
    assert f"Could not delete the temporary group '{left.name}'" in capsys.readouterr().out
    service.control.faults.clear()
    tries.clear_number = 1
    run(tries, task(), try_number=2, max_tries=1)
    assert temporary(service) == []
    assert "temporary" not in tries.record


def test_a_group_that_is_gone_already_is_deleted(tries, service):
    """Somebody has deleted it, and its runs continue."""
    one = task(deferrable=True)
    tries.execute(one)
    tries.through_trigger(one)
    (left,) = temporary(service)
    service.control.store.catalog.delete_group(left.id)
    assert tries.through_trigger(one)["verdict"] == "passed"


def dies_at(tries, number):
    """Kill the worker when it writes this of its records that name a temporary group."""
    seen = []

    def die(record):
        if "temporary" in record:
            seen.append(record)
            if len(seen) == number:
                raise Died

    tries.store.on_set = die


#: The name, the id, the round, the intent of its run, and its runs.
WRITES = range(1, 6)


@pytest.mark.parametrize("write", WRITES)
def test_a_worker_lost_at_any_moment_of_the_creation(tries, service, write, no_pauses):
    """The next try ends as if nothing had happened, and leaves no group."""
    tries.clear_number = 0
    dies_at(tries, write)
    assert isinstance(tries.execute(task(retries=1), max_tries=1), Died)
    tries.store.on_set = lambda record: None
    summary = run(tries, task(retries=1), try_number=2, max_tries=1)
    assert (summary["verdict"], summary["flaky"], sizes(service)) == ("passed", 1, [2, 1])
    assert temporary(service) == []


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("cancels", [True, False])
def test_the_listener_deletes_the_group_of_a_task_without_a_worker(
    tries, service, write, cancels, listener, no_pauses
):
    """Also where the runs of the task are to continue."""
    dies_at(tries, write)
    tries.execute(task(cancel_on_kill=cancels))
    listener(tries.record)
    assert temporary(service) == []


def test_the_listener_waits_with_a_group_that_may_have_runs(tries, service, listener, no_pauses):
    """Runs are looked up through their group. Only its last attempt deletes it anyway."""
    dies_at(tries, 4)
    tries.execute(task())
    assert listener(tries.record, last=False) is StopResult.UNKNOWN
    assert len(temporary(service)) == 1
    listener(tries.record)
    assert temporary(service) == []


def test_the_listener_tries_again_if_the_group_is_not_deleted(tries, service, listener, no_pauses):
    """The runs have ended, and the group is left."""
    dies_at(tries, 5)
    tries.execute(task())
    service.control.faults.add("status", "delete_group", status=503, times=-1)
    assert listener(tries.record) is StopResult.UNKNOWN
    service.control.faults.clear()
    assert listener(tries.record) is StopResult.STOPPED
    assert temporary(service) == []


def deferred_in_the_second_round(tries, service, one):
    """Let a task wait for its temporary group."""
    tries.execute(one, max_tries=1)
    tries.seconds = 0
    tries.through_trigger(one)
    (left,) = temporary(service)
    return left


def test_a_deferral_keeps_the_group_and_a_clear_deletes_it(tries, service):
    """The cleared task starts anew."""
    tries.clear_number = 0
    deferred_in_the_second_round(tries, service, task(deferrable=True))
    _, second = service.control.log.submissions()
    tries.clear_number, tries.seconds = 1, 60
    assert run(tries, task(), try_number=2, max_tries=1)["verdict"] == "passed"
    assert temporary(service) == []
    assert set(second.run_ids) <= set(cancelled(service))


def test_a_kill_deletes_the_group(tries, service, airflow_says):
    """And cancels its runs."""
    airflow_says("running")
    one = task()

    def keep_it_active(record):
        if record.get("confirming"):
            tries.seconds = 0

    def kill():
        if len(service.control.log.submissions()) < 2:
            # The first round has not ended yet, so the signal comes again.
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return
        airflow_says("failed")
        one.on_kill()

    tries.store.on_set = keep_it_active
    assert type(tries.execute(one, meanwhile=kill)) is RunInterrupted
    assert cancelled(service) == service.control.log.submissions()[1].run_ids
    assert temporary(service) == []


def test_an_edited_task_deletes_the_group_of_before(tries, service):
    """It asks for another group now, so what it started before is stopped."""
    tries.clear_number = 0
    deferred_in_the_second_round(tries, service, task(deferrable=True))
    tries.seconds = 60
    run(tries, group(catalog.GROUP_SEQUENTIAL), try_number=2, max_tries=1)
    assert temporary(service) == []


def test_a_task_that_an_edit_broke_deletes_its_group(tries, service):
    """It cannot start anything, and cleans up."""
    deferred_in_the_second_round(tries, service, task(deferrable=True))
    broken = task()
    broken.target_url = "not an address"
    assert type(tries.execute(broken, try_number=2, max_tries=1)) is RequestRefused
    assert temporary(service) == []


def test_a_broken_task_deletes_a_group_that_was_left(tries, service, no_pauses):
    """Its runs have ended long ago."""
    tries.clear_number = 0
    service.control.faults.add("status", "delete_group", status=500, times=-1)
    run(tries, task())
    service.control.faults.clear()
    broken = task()
    broken.target_url = "not an address"
    tries.execute(broken, try_number=2, max_tries=1)
    assert temporary(service) == []
