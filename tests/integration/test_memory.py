"""Two nights of a failing test on a real Airflow: the second one knows it."""

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


@pytest.fixture(scope="module")
def nights(run_dag: Callable[..., Seen]) -> tuple[Seen, Seen]:
    """Two runs of the DAG `memory`."""
    return run_dag("memory"), run_dag("memory")


@pytest.mark.parametrize("task_id", ["worker", "triggerer", "mapped", "folder"])
def test_a_failure_is_known_in_the_second_night(nights: tuple[Seen, Seen], task_id: str) -> None:
    """A failed task has stored its night, and the next DAG run reads it."""
    map_index = 0 if task_id == "mapped" else -1
    first, second = (night.xcom(task_id, map_index=map_index) for night in nights)
    assert [night.states[task_id] for night in nights] == ["failed", "success"]
    assert (first["verdict"], first["known"], second["verdict"]) == ("failed", [], "passed")
    assert "No earlier night is remembered" in first["reasons"][0]
    (known,) = second["known"]
    assert (known["test_id"], known["nights"], known["commit"]) == (catalog.TEST_FAILS, 2, "4f2d1c9")
