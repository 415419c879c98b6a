"""Tests that a gate confirms, on a real Airflow: a waiting task defers again for the second round."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_testerarmy.sandbox.docket import catalog as docket
from airflow_provider_testerarmy.sandbox.docket.store import DocketStore
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def night(run_dag: Callable[..., Seen]) -> Seen:
    """A run of the DAG `confirm`."""
    return run_dag("confirm")


@pytest.mark.parametrize("task_id", ["worker", "triggerer", "docket_worker", "docket_triggerer"])
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


def test_docket_runs_the_failed_test_alone(night: Seen, sandbox: SandboxServer) -> None:
    """Each task starts one group run of both tests, then one of the flaky test."""
    both = (docket.BLUEPRINT_PASSES, docket.BLUEPRINT_FLAKY)
    for task_id in ("docket_worker", "docket_triggerer"):
        assert _started(sandbox, night, task_id) == [both, both[1:]]


def test_docket_runs_all_tests_of_a_commit_again(night: Seen, sandbox: SandboxServer) -> None:
    """The failure is confirmed, and the test that passed counts once."""
    summary = night.xcom("docket_commit")
    everything = (docket.BLUEPRINT_FAILS, docket.BLUEPRINT_CART)
    assert _started(sandbox, night, "docket_commit") == [everything, everything]
    assert (night.states["docket_commit"], night.tries("docket_commit")) == ("failed", ["failed"])
    assert summary["counts"] == {"total": 2, "passed": 1, "failed": 1}
    (failed,) = [test for test in summary["tests"] if test["outcome"] == "failed"]
    assert [one["outcome"] for one in failed["attempts"]] == ["failed", "failed"]


def _started(sandbox: SandboxServer, night: Seen, task_id: str) -> list[tuple[int, ...]]:
    """The tests of each group run that a task started, the oldest first."""
    own = {int(run_id) for run_id in night.xcom(task_id, "run_ids")}
    groups: dict[int, list[int]] = {}
    for run in sandbox.control.store_of(DocketStore).runs.values():
        if run.id in own:
            groups.setdefault(run.group_run_id, []).append(run.blueprint.id)
    return [tuple(sorted(ids)) for _, ids in sorted(groups.items())]
