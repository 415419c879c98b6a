"""A flaky test that a gate confirms, on a real Airflow: the task defers again for the second round."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def night(run_dag: Callable[..., Seen]) -> Seen:
    """A run of the DAG `confirm`."""
    return run_dag("confirm")


@pytest.mark.parametrize("task_id", ["worker", "triggerer"])
def test_a_flaky_test_runs_again_in_the_same_try(night: Seen, task_id: str) -> None:
    """It has one try, and passes with both attempts in its summary."""
    summary = night.xcom(task_id)
    assert (night.states[task_id], night.tries(task_id)) == ("success", ["success"])
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 2, "passed": 2})
    (flaky,) = [test for test in summary["tests"] if test.get("flaky")]
    assert [one["outcome"] for one in flaky["attempts"]] == ["failed", "passed"]
    assert night.xcom(task_id, "run_ids") == summary["run_ids"]
    assert len(summary["run_ids"]) == 3


def test_only_the_failed_test_runs_again(night: Seen) -> None:
    """Each task submits the group once and the test once."""
    assert night.submissions_of(f"/groups/{catalog.GROUP_FLAKY}/runs") == 2
    assert night.submissions_of(f"/tests/{catalog.TEST_FLAKY}/runs") == 2
