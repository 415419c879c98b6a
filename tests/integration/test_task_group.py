"""A task group on a real Airflow: one submission, a task for each test, and a clear that runs one test alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen
from tests.rig.airflow import LocalAirflow
from tests.rig.api import FINISHED_TASK
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

CHECKOUT = "checkout.checkout_with_a_credit_card"
GROUP_PATH = f"/groups/{catalog.GROUP_FAILING}/runs"
TEST_PATH = f"/tests/{catalog.TEST_FAILS}/runs"
JOURNEY_PATH = f"/groups/{catalog.GROUP_SEQUENTIAL}/runs"


@pytest.fixture(scope="module")
def night(run_dag: Callable[..., Seen]) -> Seen:
    """A run of the DAG `task_group`."""
    return run_dag("task_group")


@pytest.fixture(scope="module")
def first(night: Seen, sandbox: SandboxServer) -> list[str]:
    """The paths of the submissions before anything is cleared."""
    return _submissions(night, sandbox)


def _submissions(night: Seen, sandbox: SandboxServer) -> list[str]:
    since = night.calls[0].sequence - 1
    return sorted(call.path for call in sandbox.control.log.submissions() if call.sequence > since)


def test_one_submission_for_all_tests_of_a_group(night: Seen, first: list[str]) -> None:
    assert first == [GROUP_PATH, JOURNEY_PATH]


def test_a_failed_test_is_red_by_its_name(night: Seen) -> None:
    """Tests that are not in the file are judged as well."""
    states = {task: state for task, state in night.states.items() if task.startswith("checkout.")}
    assert states == {
        "checkout.start": "success",
        "checkout.home_page": "success",
        "checkout.newsletter": "success",
        CHECKOUT: "failed",
        "checkout.other_tests": "success",
    }
    assert night.task(CHECKOUT)["task_display_name"] == "Checkout with a credit card"
    others = night.xcom("checkout.other_tests")
    assert (others["verdict"], others["counts"]["total"]) == ("passed", 2)


def test_each_task_has_its_own_run_and_link(night: Seen) -> None:
    names = ["checkout.home_page", "checkout.newsletter", CHECKOUT]
    runs = [night.xcom(name, "run_ids") for name in names]
    assert [len(each) for each in runs] == [1, 1, 1]
    assert [run_id for each in runs for run_id in each] == night.xcom("checkout.start", "run_ids")[:3]
    (link,) = night.links(CHECKOUT).values()
    assert link is not None
    assert link.endswith(f"run={runs[2][0]}")


def test_mapped_tasks_have_the_titles_of_their_tests(night: Seen) -> None:
    tests = night.xcom("journey.start")
    mapped = [night.task("journey.test", index) for index in range(len(tests))]
    assert [task["rendered_map_index"] for task in mapped] == [test["test_title"] for test in tests]
    assert {task["state"] for task in mapped} == {"success"}


def test_a_cleared_test_runs_alone(
    night: Seen, first: list[str], airflow: LocalAirflow, sandbox: SandboxServer
) -> None:
    """With one more request, and a verdict on its new run."""
    before = night.xcom(CHECKOUT, "run_ids")
    sandbox.control.store.override_script(catalog.TEST_FAILS, "passes")
    airflow.clear_task("task_group", night.run_id, CHECKOUT)
    _wait_again(night)
    assert night.task(CHECKOUT)["state"] == "success"
    assert not set(night.xcom(CHECKOUT, "run_ids")) & set(before)
    assert _submissions(night, sandbox) == sorted([*first, TEST_PATH])


def test_a_cleared_group_starts_again_once(
    night: Seen, first: list[str], airflow: LocalAirflow, sandbox: SandboxServer
) -> None:
    """The test that ran alone takes the new run of the group."""
    before = _submissions(night, sandbox)
    airflow.clear_task("task_group", night.run_id, "checkout.start", downstream=True)
    _wait_again(night)
    assert _submissions(night, sandbox) == sorted([*before, GROUP_PATH])
    assert night.xcom(CHECKOUT, "run_ids")[0] in night.xcom("checkout.start", "run_ids")


def _wait_again(night: Seen) -> None:
    """Wait until every task of the DAG run has ended again."""

    def over() -> bool:
        tasks = night.airflow.task_instances("task_group", night.run_id)
        return all(task["state"] in FINISHED_TASK for task in tasks)

    eventually(over, 180, "the end of the cleared tasks")
    # A scheduler that is about to end the DAG run would not see another clear.
    night.airflow.wait_dag_run("task_group", night.run_id)
