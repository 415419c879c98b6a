"""A budget in Airflow's own store, on a real Airflow: tasks that start at once do not exceed it together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not airflow_compat.ASSET_STATE_STORE.available, reason="this Airflow has no asset state store"
    ),
]

TASKS = [f"test_{number}" for number in range(4)]


@pytest.fixture(scope="module")
def night(run_dag: Callable[..., Seen]) -> Seen:
    """A run of the DAG `budget`."""
    return run_dag("budget")


def test_two_of_four_tasks_go(night: Seen) -> None:
    """The others fail once, and their note says why."""
    states = [night.states[each] for each in TASKS]
    assert sorted(states) == ["failed", "failed", "success", "success"]
    for each in (task for task in TASKS if night.states[task] == "failed"):
        reason = night.xcom(each, "test_runs")["reason"]
        assert "The budget of pool 'budget' has no room left: 2 of 2 runs" in reason
        assert night.tries(each) == ["failed"]


def test_one_of_two_mapped_tasks_is_skipped(night: Seen) -> None:
    """They have a pool of their own."""
    states = [night.task("mapped", number)["state"] for number in range(2)]
    assert sorted(states) == ["skipped", "success"]


def test_the_service_has_seen_no_other_run(night: Seen) -> None:
    """Two of the DAG's pool, and one of the mapped tasks."""
    tests = (catalog.TEST_PASSES, catalog.TEST_PASSES_WITH_WARNING)
    assert sum(night.submissions_of(f"/tests/{each}/runs") for each in tests) == 3
