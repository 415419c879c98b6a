"""Nights of the past, played by ``airflow backfill create``: backwards, forwards, and once more.

The checkout of the shop was broken from the 3rd to the 6th of January. The shop of today is fine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.directory import entries
from airflow_provider_testerarmy.runs.memory.model import Memory, test_key
from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from tests.chaos.conftest import database_url
from tests.nights.memories import AssetStates
from tests.nights.stage import SPEED
from tests.nights.tests_of import catalog, id_of
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

__all__ = ["database_url"]

pytestmark = pytest.mark.integration

DAG_ID: Final = "backfilled"
CHECKOUT: Final = id_of("worker", "checkout")
BROKEN: Final = (3, 4, 5, 6)
BROKEN_TONIGHT: Final = "https://tonight.shop.example/"


def address(day: int) -> str:
    """Where the shop of a day of January is deployed."""
    return f"https://d01{day:02d}.shop.example/"


class Nights:
    """What the task came to in each DAG run, and how its letters in the memory were after each part."""

    def __init__(self, airflow: LocalAirflow) -> None:
        self._airflow = airflow
        self.states: dict[str, str] = {}
        self.summaries: dict[str, dict[str, Any]] = {}
        self.letters: list[str] = []

    def play(self) -> None:
        """The night of today, three backfills, and a run by hand that fails."""
        self._airflow.rest.patch(f"/dags/{DAG_ID}", {"is_paused": False})
        runs = eventually(lambda: self._airflow.dag_runs(DAG_ID), 180, "the run that is due today")
        self._note("today", str(runs[0]["dag_run_id"]))
        self._backfill("backwards", (5, 4, 3, 2), 1, "--run-backwards")
        self._backfill("forwards", (6, 7), 2)
        self._backfill("again", (4,), 1, "--reprocess-behavior", "completed")
        self._note("tonight", self._airflow.trigger_dag(DAG_ID, {"address": BROKEN_TONIGHT}))

    def _backfill(self, name: str, days: tuple[int, ...], at_once: int, *options: str) -> None:
        window = ("--from-date", f"2026-01-{min(days):02d}", "--to-date", f"2026-01-{max(days):02d}")
        words = ("--dag-id", DAG_ID, *window, "--max-active-runs", str(at_once), *options)
        ended = self._airflow.cli("backfill", "create", *words)
        assert ended.returncode == 0, ended.stderr
        for day in days:
            self._note(f"{name} {day}", f"backfill__2026-01-{day:02d}T00:00:00+00:00", last=day == days[-1])
        # Airflow allows one backfill of a DAG at a time, and notices the end of the last one after a while.
        eventually(self._is_over, 120, "the end of the backfill")

    def _is_over(self) -> bool:
        found = self._airflow.rest.get("/backfills", dag_id=DAG_ID)["backfills"]
        return bool(found) and all(each["completed_at"] for each in found)

    def _note(self, name: str, run_id: str, *, last: bool = True) -> None:
        self._airflow.wait_dag_run(DAG_ID, run_id)
        self.states[name] = self._airflow.task_instance(DAG_ID, run_id, "shop")["state"]
        self.summaries[name] = self._airflow.xcom(DAG_ID, run_id, "shop")
        if last:
            self.letters.append(self._remembered())

    def _remembered(self) -> str:
        storage = AssetStates(self._airflow.database.url)
        (entry,) = entries(storage)
        memory = ring.load(storage, entry, now=time.time())
        assert isinstance(memory, Memory), memory
        return memory.tests[test_key(CHECKOUT)].letters

    def reasons(self, name: str) -> str:
        """The reasons of a DAG run's verdict."""
        return "\n".join(self.summaries[name]["reasons"])


@pytest.fixture(scope="module")
def nights(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED), catalog=catalog())) as service:
        for place in (*map(address, BROKEN), BROKEN_TONIGHT):
            service.control.store.override_script(CHECKOUT, "fails", place)
        fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
        with LocalAirflow(
            [Path(__file__).parent / "dags" / "backfilled.py"],
            home=tmp_path_factory.mktemp("backfilled"),
            # The command writes while the scheduler does, and SQLite then says "database is locked".
            database_url=database_url,
            connections={"testerarmy_default": fields},
        ) as airflow:
            nights = Nights(airflow)
            nights.play()
            yield nights


def test_each_night_finds_its_place_in_the_memory(nights: Nights) -> None:
    """Whatever the order in which they were played, and how often."""
    assert nights.letters == ["P", "PFFFP", "PFFFFPP", "PFFFFPP", "PFFFFPPF"]


def test_a_night_of_the_past_is_judged_by_the_nights_before_it(nights: Nights) -> None:
    """Played backwards, there is none yet, so every failure counts. Later its failure is known."""
    assert {day: nights.states[f"backwards {day}"] for day in (5, 4, 3, 2)} == {
        5: "failed",
        4: "failed",
        3: "failed",
        2: "success",
    }
    assert "No earlier night is remembered" in nights.reasons("backwards 3")
    assert (nights.states["forwards 6"], nights.states["forwards 7"]) == ("success", "success")
    assert "since 4 nights, first on commit c0de010" in nights.reasons("forwards 6")


def test_a_night_that_is_played_again_replaces_its_result(nights: Nights) -> None:
    """It is judged by what the backfill has found since then of the nights before it."""
    assert nights.states["again 4"] == "success"
    (known,) = nights.summaries["again 4"]["known"]
    assert (known["nights"], known["since"]) == (2, "2026-01-03")


def test_a_failure_of_the_past_does_not_hide_the_one_of_tonight(nights: Nights) -> None:
    """The backfills have found the same failure last, on nights that are long over."""
    assert nights.states["tonight"] == "failed"
    today = nights.summaries["today"]["finished_at"][:10]
    assert f"new: last good {today}" in nights.reasons("tonight")
