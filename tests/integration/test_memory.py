"""Two nights of a failing test on a real Airflow: the second one knows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.integration.conftest import Seen
from tests.rig.airflow import LocalAirflow

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


def test_the_command_line_reads_and_changes_what_tasks_remember(
    nights: tuple[Seen, Seen], airflow: LocalAirflow, run_dag: Callable[..., Seen], tmp_path: Path
) -> None:
    """It lists the memories of the workers, quarantines a test, and takes a memory to another place and back."""
    listed = command(airflow, "show", "--output", "json")
    memories = {each["environment"]["environment"]: each for each in json.loads(listed)["memories"]}
    assert memories.keys() == {"production", "staging", "preview"}
    (test,) = (each for each in memories["staging"]["tests"] if each["test_id"] == catalog.TEST_FAILS)
    assert (test["outcomes"], test["failing"]["nights"]) == ("FF", 2)
    folder = ("--memory-path", str(airflow.home / "memory"))
    assert "FF" in command(airflow, "show", *folder)
    where = ("--environment", "staging", "--test", catalog.TEST_FAILS)
    note = ("--owner", "ada", "--reason", "the shop's clock", "--until", "14d")
    assert "is in quarantine until" in command(airflow, "quarantine", *where, *note)
    third = run_dag("memory")
    (known,) = third.xcom("worker")["known"]
    assert (third.states["worker"], known["standing"]) == ("success", "quarantined")
    assert "is judged again" in command(airflow, "quarantine", *where, "--lift")
    file = str(tmp_path / "export.json")
    command(airflow, "export", "--file", file)
    before = command(airflow, "show", "--output", "json")
    for name in memories:
        command(airflow, "forget", "--environment", name, "--yes")
    assert "no memory yet" in airflow.cli("testerarmy", "memory", "show").stderr
    command(airflow, "import", file)
    assert json.loads(command(airflow, "show", "--output", "json")) == json.loads(before)
    fourth = run_dag("memory")
    assert [each["nights"] for each in fourth.xcom("triggerer")["known"]] == [4]


def command(airflow: LocalAirflow, *words: str) -> str:
    """What a command prints, by Airflow's own command line."""
    ended = airflow.cli("testerarmy", "memory", *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
