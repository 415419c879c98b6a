"""One submission, a task for each test, and what clears, retries and kills start and stop."""

from __future__ import annotations

import logging

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    RequestRefused,
    RunErrored,
    TestsFailedFinally,
)
from airflow_provider_testerarmy.lifecycle.listed_tests import listed_tests
from airflow_provider_testerarmy.lifecycle.orphans import stop_orphans
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.handover import KEY, OFFERED_FOR
from airflow_provider_testerarmy.runs.submission.stored import from_json
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.docs.blocks import ALL
from tests.lifecycle.tries import cancelled, is_active, posts, started
from tests.task_groups.group_run import TESTS, GroupRun, task_group

NAMES = ["home_page", "newsletter", "checkout", "voucher", "cart"]
START = ("regression.start", -1)


def paths(service):
    return [entry.path.removeprefix("/api/v1") for entry in service.control.log.submissions()]


GROUP_PATH = f"/groups/{catalog.GROUP_FAILING}/runs"
CHECKOUT_PATH = f"/tests/{catalog.TEST_FAILS}/runs"


def test_one_request_and_a_verdict_for_each_test(run, service):
    """Only the test that failed is red."""
    run.run("start")
    endings = {name: run.run(name) for name in NAMES}
    assert {name for name, ending in endings.items() if isinstance(ending, Exception)} == {"checkout"}
    assert type(endings["checkout"]) is TestsFailedFinally
    assert {ending["verdict"] for name, ending in endings.items() if name != "checkout"} == {"passed"}
    assert (paths(service), cancelled(service)) == ([GROUP_PATH], [])
    assert sorted(run_id for name in NAMES for run_id in run.run_ids(name)) == sorted(started(service))


def test_a_test_task_waits_for_its_own_run_without_a_worker(run, service):
    run.tries("start").seconds = run.tries("cart").seconds = 0
    run.run("start")
    deferred = run.begin("cart")
    assert type(deferred) is TaskDeferred
    kwargs = deferred.trigger.serialize()[1]
    assert kwargs["run_ids"] == run.run_ids("cart")
    assert (len(kwargs["run_ids"]), kwargs["batch_id"]) == (1, "")


def test_a_test_task_has_the_title_of_its_test(run):
    """The task that started the group has read it."""
    run.run("start")
    run.run("checkout")
    assert run.xcoms["regression.checkout", -1]["test_runs"]["title"] == "Checkout with a credit card"


def test_a_cleared_test_runs_alone_each_time(run, service):
    run.run("start")
    run.run("checkout")
    groups = set(started(service))
    for number in (1, 2):
        run.clear("checkout")
        run.run("checkout")
        assert paths(service) == [GROUP_PATH, *number * [CHECKOUT_PATH]]
        assert not groups & set(run.summary("checkout")["run_ids"])
    service.control.store.override_script(catalog.TEST_FAILS, "passes")
    run.clear("checkout")
    assert run.run("checkout")["run_ids"] == started(service)[-1:]


def test_a_cleared_group_starts_once_and_every_test_takes_its_new_run(run, service):
    for _ in range(2):
        run.run("start")
        for name in NAMES:
            run.run(name)
        run.clear("start", *NAMES)
    assert paths(service) == [GROUP_PATH, GROUP_PATH]
    second = service.control.log.submissions()[1].run_ids
    assert sorted(run_id for name in NAMES for run_id in run.run_ids(name)) == sorted(second)


def test_a_test_that_ran_alone_takes_the_run_of_a_new_start(run, service):
    run.run("start")
    run.run("checkout")
    run.clear("checkout")
    run.run("checkout")
    run.clear("start", "checkout")
    run.run("start")
    run.run("checkout")
    assert paths(service) == [GROUP_PATH, CHECKOUT_PATH, GROUP_PATH]
    assert run.summary("checkout")["run_ids"][0] in service.control.log.submissions()[2].run_ids
    run.clear("checkout")
    run.run("checkout")
    assert paths(service)[3:] == [CHECKOUT_PATH]


@pytest.mark.parametrize("clears", [0, None], ids=["Airflow 3", "Airflow 2"])
def test_a_new_start_before_a_retry_counts(run, service, clears):
    """Somebody cleared the start task alone, while a test task waited for its retry. Airflow 2 counts no clears."""
    run.clear_number = clears
    run.tries("start").seconds = run.tries("cart").seconds = 0
    run.run("start")
    run.begin("cart", retries=2)
    run.clear("start")
    run.tries("start").seconds = 60
    run.run("start")
    assert run.run("cart", retries=2)["run_ids"][0] in service.control.log.submissions()[1].run_ids
    assert paths(service) == [GROUP_PATH, GROUP_PATH]


def test_a_clear_of_one_test_does_not_make_the_others_run_again(run, service):
    """Airflow counts every clear in the DAG run."""
    run.run("start")
    run.run("checkout")
    run.clear("checkout")
    assert run.run("cart")["verdict"] == "passed"
    run.run("checkout")
    assert paths(service) == [GROUP_PATH, CHECKOUT_PATH]


def test_a_clear_of_a_test_that_waits_without_a_limit_starts_it_alone(service, connections):
    """Nothing but the taken run is stored before it waits."""
    run = GroupRun(service, task_group(operator_args={"timeout": None}))
    run.tries("start").seconds = run.tries("cart").seconds = 0
    run.run("start")
    run.begin("cart")
    old = run.run_ids("cart")
    run.clear("cart")
    run.begin("cart")
    assert (posts(service), cancelled(service)) == (2, old)
    assert run.run_ids("cart") == started(service)[5:]


def test_a_lost_worker_of_a_test_reconnects(run, service):
    run.tries("start").seconds = run.tries("cart").seconds = 0
    run.run("start")
    run.begin("cart", retries=2)
    service.control.clock.advance(60)
    assert run.run("cart", retries=2)["verdict"] == "passed"
    assert paths(service) == [GROUP_PATH]


def test_a_lost_worker_of_the_start_task_reconnects(run, service):
    """It had not yet told Airflow that it succeeded."""
    assert run.run("start", retries=2) == run.run("start", retries=2)
    assert paths(service) == [GROUP_PATH]


def test_an_errored_test_is_retried_alone(service, connections):
    """The service broke its run. A failed verdict is not retried."""
    run = GroupRun(
        service,
        task_group(
            [{"id": catalog.TEST_BREAKS_ONCE, "title": "Filters"}],
            testerarmy_group_id=catalog.GROUP_BREAKS_ONCE,
        ),
    )
    run.run("start")
    assert type(run.run("filters", retries=1)) is RunErrored
    assert run.run("filters", retries=1)["verdict"] == "passed"
    assert len(paths(service)) == 2


def test_a_killed_test_cancels_its_own_run_only(run, service):
    service.control.store.override_script(catalog.TEST_CART, "endless")
    service.control.store.override_script(catalog.TEST_FAILS, "endless")
    run.run("start")
    run.begin("cart")
    run.clear("cart")
    run.begin("cart")
    assert cancelled(service) == run.xcoms["regression.start", -1]["run_ids"][4:]
    assert posts(service) == 2


@pytest.mark.usefixtures("listener")
def test_runs_that_no_task_took_are_cancelled_with_the_dag_run(run, service):
    """The listener finds the start task's record open when the DAG run ends."""
    service.control.store.override_script(catalog.TEST_CART, "endless")
    run.run("start")
    record = run.tries("start").record
    assert record["stage"] == "open"
    cart = run.xcoms[START]["run_ids"][4]
    assert is_active(service, cart)
    task = airflow_compat.TaskName("dag", "manual", "regression.start")
    assert stop_orphans(from_json(record), record, task, logging.getLogger(__name__)) is StopResult.STOPPED
    assert not is_active(service, cart)


def test_a_test_that_the_group_does_not_run_fails(service, connections):
    run = GroupRun(service, task_group([*TESTS, {"id": catalog.TEST_LOGIN, "title": "Login"}]))
    run.run("start")
    ending = run.run("login")
    assert type(ending) is RequestRefused
    assert "is not part of the group's run" in str(ending)
    assert paths(service) == [GROUP_PATH]


def test_tests_without_a_task_are_judged_together(service, connections):
    run = GroupRun(service, task_group(TESTS[:2]))
    run.run("start")
    others = run.xcoms[START]["other_run_ids"]
    assert others == started(service)[2:]
    sensor = run.task("other_tests")
    sensor.run_ids = others
    ending = run.run("other_tests")
    assert type(ending) is TestsFailedFinally
    assert run.summary("other_tests")["counts"]["total"] == 3


def test_without_such_tests_their_task_waits_for_nothing(run, service):
    run.run("start")
    run.task("other_tests").run_ids = run.xcoms[START]["other_run_ids"]
    assert run.run("other_tests") is None


def test_a_start_task_that_started_nothing_leaves_nothing_to_wait_for(run, service):
    """It was marked as succeeded by hand."""
    ending = run.run("cart")
    assert type(ending) is RequestRefused
    assert "has left no list of started tests" in str(ending)
    assert paths(service) == []


def test_an_edited_xcom_is_not_believed(run, service):
    """It names the run of another test."""
    run.run("start")
    tests = run.xcoms[START][KEY]["tests"]
    tests[4]["run_ids"] = tests[0]["run_ids"]
    ending = run.run("cart")
    assert type(ending) is RequestRefused
    assert "cannot be of this test" in str(ending)
    assert run.run("home_page")["verdict"] == "passed"


PREVIEW = "https://preview.shop.example/"


@pytest.fixture
def preview(service, connections):
    """A group at another address, to which the service sends no single test. One test has failed there."""
    run = GroupRun(service, task_group(target_url=PREVIEW))
    run.run("start")
    assert type(run.run("checkout")) is TestsFailedFinally
    return run


def test_a_test_alone_runs_at_the_address_of_its_group(preview, service):
    """In a temporary group of its own, which is deleted."""
    service.control.store.override_script(catalog.TEST_FAILS, "passes")
    preview.clear("checkout")
    (run_id,) = preview.run("checkout")["run_ids"]
    run = service.control.store.runs[run_id]
    assert (run.test.id, run.input["targetUrl"]) == (catalog.TEST_FAILS, PREVIEW)
    assert posts(service) == 2
    assert len(service.control.store.catalog.groups) == len(catalog.GROUPS)


def test_a_lost_worker_of_a_test_in_a_temporary_group_reconnects(preview, service):
    service.control.store.override_script(catalog.TEST_FAILS, "endless")
    preview.clear("checkout")
    preview.begin("checkout")
    preview.begin("checkout")
    assert posts(service) == 2
    preview.clear("checkout")
    preview.begin("checkout")
    assert (posts(service), cancelled(service)) == (3, started(service)[5:6])
    assert len(service.control.store.catalog.groups) == len(catalog.GROUPS) + 1


def test_a_test_alone_that_would_test_something_else_is_refused(preview, service):
    """The service creates no group now."""
    service.control.faults.add("status", "create_group", status=403, times=-1)
    preview.clear("checkout")
    ending = preview.run("checkout")
    assert type(ending) is RequestRefused
    assert "cannot run alone" in str(ending)
    assert paths(service) == [GROUP_PATH]


def test_an_old_start_is_not_taken_without_a_record(run, service, no_pauses):
    """Airflow has deleted the record by then, so the run may have been judged before."""
    run.run("start")
    no_pauses[0] += OFFERED_FOR + 60
    run.run("checkout")
    assert paths(service) == [GROUP_PATH, CHECKOUT_PATH]


def test_without_a_store_only_the_first_try_takes_the_run(run, service):
    run.tries("checkout").store = None
    run.run("start")
    run.run("checkout")
    assert paths(service) == [GROUP_PATH]
    run.clear("checkout")
    run.run("checkout")
    assert paths(service) == [GROUP_PATH, CHECKOUT_PATH]


def test_the_start_task_returns_the_tests_for_a_mapped_task(run, service):
    assert run.run("start")[0] == {"test_id": catalog.TEST_PASSES, "test_title": "Search finds a product"}


def test_the_preparation_of_a_group_has_its_title(service, connections):
    """The service does not list it among the tests of the group."""
    run = GroupRun(service, task_group(testerarmy_group_id=catalog.GROUP_PREPARED))
    titles = [test["test_title"] for test in run.run("start")]
    assert titles == [
        "A customer account exists",
        "Address can be changed",
        "Order history lists the last order",
    ]


def test_a_test_alone_counts_in_the_budget_and_a_taken_run_does_not(service, connections, tmp_path):
    """The start task has reserved the runs of the group."""
    limited = {"budget": {"runs": 6, "per": "day"}, "memory_path": str(tmp_path)}
    run = GroupRun(service, task_group(operator_args=limited))
    run.run("start")
    for ending in (TestsFailedFinally, TestsFailedFinally, BudgetExhausted):
        assert type(run.run("checkout")) is ending
        run.clear("checkout")
    assert paths(service) == [GROUP_PATH, CHECKOUT_PATH]


def test_the_function_on_the_page_writes_the_list(service, connections, tmp_path):
    (block,) = [block for block in ALL if "def write_tests" in block.text]
    found = {}
    exec(compile(block.text, str(block), "exec"), found)
    found["write_tests"](tmp_path / "tests.json", catalog.GROUP_FAILING)
    listed = listed_tests("tests.json", [str(tmp_path / "dag.py")], ())
    assert [test.test_id for test in listed] == [test["id"] for test in TESTS]
