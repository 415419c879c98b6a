from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen

pytestmark = pytest.mark.integration

GROUPS = [catalog.GROUP_SEQUENTIAL, catalog.GROUP_WITH_DISABLED]


@pytest.fixture(scope="module")
def mapped(run_dag: Callable[..., Seen]) -> Seen:
    """A run of the DAG `mapped`."""
    return run_dag("mapped")


@pytest.fixture(scope="module")
def started(mapped: Seen) -> list[list[str]]:
    """The runs that each mapped task has started."""
    return [mapped.xcom("many", "run_ids", map_index) for map_index in range(len(GROUPS))]


@pytest.mark.parametrize("task_id", ["wait_many", "wait_summaries"])
def test_one_sensor_waits_for_what_mapped_tasks_have_started(
    mapped: Seen, started: list[list[str]], task_id: str
) -> None:
    """`output["run_ids"]` of a mapped task is a list of lists, `output` a list of summaries."""
    assert all(started)
    summary = mapped.xcom(task_id)
    assert (mapped.states[task_id], summary["verdict"]) == ("success", "passed")
    assert summary["run_ids"] == [run_id for run_ids in started for run_id in run_ids]


@pytest.mark.parametrize("task_id", ["wait_one", "wait_template"])
def test_a_sensor_takes_a_whole_summary(mapped: Seen, task_id: str) -> None:
    """As an operator's `output` is one; a template of a DAG with native objects gives a dict too."""
    summary = mapped.xcom(task_id)
    assert (mapped.states[task_id], summary["verdict"]) == ("success", "passed")
    assert summary["run_ids"] == mapped.xcom("one", "run_ids")


def test_numbers_are_sent_as_the_service_takes_them(
    mapped: Seen, started: list[list[str]], sandbox: SandboxServer
) -> None:
    """A commit of digits alone renders to a number in a DAG with native objects."""
    runs = sandbox.control.store.runs
    assert {runs[run_id].input["commitSha"] for run_ids in started for run_id in run_ids} == {"4112983"}
    for run_id in mapped.xcom("one", "run_ids"):
        assert runs[run_id].input == {"commitSha": "4112983", "prNumber": 42}


def test_everything_is_started_once(mapped: Seen) -> None:
    """Sensors start nothing."""
    starts = [mapped.submissions_of(f"/groups/{group_id}/runs") for group_id in GROUPS]
    assert starts == [2, 1]


def test_each_listed_test_has_a_task_of_its_own(mapped: Seen) -> None:
    """The list of a group's tests is made while the DAG runs."""
    tests = mapped.xcom("listed")
    assert tests == [catalog.TEST_PROFILE, catalog.TEST_ORDER_HISTORY]
    for map_index, test_id in enumerate(tests):
        assert mapped.task("each", map_index)["state"] == "success"
        assert mapped.submissions_of(f"/tests/{test_id}/runs") == 1
