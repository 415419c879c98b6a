"""What a user, a lost worker or a restarted triggerer does to one task on Airflow 2.11."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.airflow2.airflow import Airflow2, running_airflow
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration

MODES = ["deferrable", "sync"]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow2]:
    """One Airflow for all of them."""
    with running_airflow(tmp_path_factory.mktemp("airflow2")) as running:
        yield running


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Numbers of tests that nobody has run yet."""
    return iter(range(1, 100))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_marked_task_leaves_no_run(
    airflow: Airflow2, numbers: Iterator[int], mode: str, state: str
) -> None:
    """Deferred, the trigger asks for the task's state when it is cancelled."""
    number = next(numbers)
    run_id = airflow.trigger(mode, number)
    airflow.act("mark", mode, run_id, state)
    eventually(lambda: not airflow.active(number), 40, "the run cancelled")
    assert airflow.state(run_id)[0] == state
    assert len(airflow.runs(number)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_cleared_task_starts_anew(airflow: Airflow2, numbers: Iterator[int], mode: str) -> None:
    """And the run of before is cancelled."""
    number = next(numbers)
    run_id = airflow.trigger(mode, number)
    [first] = airflow.runs(number)
    airflow.act("clear", mode, run_id)
    eventually(
        lambda: len(airflow.runs(number)) == 2, 90, "a second run", state=lambda: str(airflow.state(run_id))
    )
    eventually(lambda: first not in airflow.active(number), 40, "the first run cancelled")
    airflow.ends_well(run_id, number)
    assert len(airflow.runs(number)) == 2


def test_a_lost_worker_does_not_start_a_second_run(airflow: Airflow2, numbers: Iterator[int]) -> None:
    """The next try finds the record in an Airflow Variable, which is removed when the task has concluded."""
    number = next(numbers)
    run_id = airflow.trigger("sync", number)
    before = airflow.records()
    airflow.kill_worker(run_id)
    eventually(
        lambda: airflow.state(run_id)[1] >= 2 and airflow.state(run_id)[0] == "running",
        120,
        "the next try",
        state=lambda: str(airflow.state(run_id)),
    )
    airflow.ends_well(run_id, number)
    assert len(airflow.runs(number)) == 1
    assert airflow.records() == before - 1


def test_a_stopped_triggerer_cancels_nothing(airflow: Airflow2, numbers: Iterator[int]) -> None:
    """The next triggerer waits on."""
    number = next(numbers)
    run_id = airflow.trigger("deferrable", number)
    airflow.triggerer.kill(signal.SIGTERM, scope="process")
    airflow.triggerer.wait(60)
    time.sleep(2)
    assert len(airflow.active(number)) == 1
    airflow.triggerer.start()
    airflow.ends_well(run_id, number)
    assert len(airflow.runs(number)) == 1
