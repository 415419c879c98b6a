"""Nights of a mapped task on PostgreSQL: a night without a DAG run, one without a result, and one that is late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from tests.chaos.conftest import database_url
from tests.nights import calendar
from tests.nights.stage import SPEED, commit_of
from tests.nights.tests_of import catalog, id_of
from tests.rig.airflow import LocalAirflow

__all__ = ["database_url"]

pytestmark = pytest.mark.integration

GOOD, ABSENT, BROKEN, BAD, KNOWN, LATE, NEXT = range(1, 8)
FIRST_DATE = datetime(2026, 1, 1, tzinfo=UTC)
#: The test that breaks is one of the second group.
CHECKOUT = id_of("triggerer", "checkout")


def address(number: int) -> str:
    """Where the product of a night is deployed."""
    return f"https://n{number}.shop.example/"


class Nights:
    """What each mapped task came to on each night."""

    def __init__(self, airflow: LocalAirflow, service: SandboxServer) -> None:
        self._airflow = airflow
        self._store = service.control.store
        self.groups = service.control.store.catalog.groups
        self.dates: dict[int, str] = {}
        self.states: dict[tuple[int, int], str] = {}
        self.summaries: dict[tuple[int, int], dict[str, Any]] = {}

    def play(self) -> None:
        """Play all nights. The product has been broken since the night on which the service broke the run."""
        for number in range(BROKEN, NEXT + 1):
            self._store.override_script(CHECKOUT, "fails", address(number))
        for number in (GOOD, BROKEN, BAD, KNOWN, LATE, NEXT):
            if number == BROKEN:
                self._store.override_script(CHECKOUT, "breaks", address(number))
            elif number == BAD:
                self._store.override_script(CHECKOUT, "fails", address(BROKEN))
            self._play(number)

    def _play(self, number: int) -> None:
        calendar.set_night(self._airflow.home, number)
        date = FIRST_DATE + timedelta(days=ABSENT if number == LATE else number)
        self.dates[number] = date.date().isoformat()
        run_id = f"night-{number}"
        conf = {"address": address(number), "commit": commit_of(number)}
        self._airflow.trigger_dag("mapped", conf, logical_date=date, run_id=run_id)
        self._airflow.wait_dag_run("mapped", run_id)
        for index in (0, 1):
            found = self._airflow.task_instance("mapped", run_id, "shop", index)
            self.states[number, index] = found["state"]
            self.summaries[number, index] = self._airflow.xcom("mapped", run_id, "shop", map_index=index)


@pytest.fixture(scope="module")
def nights(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    home = tmp_path_factory.mktemp("mapped")
    calendar.set_night(home, GOOD)
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED), catalog=catalog())) as service:
        fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
        with LocalAirflow(
            [Path(__file__).parent / "dags" / "mapped.py"],
            home=home,
            database_url=database_url,
            connections={"testerarmy_default": fields},
            parallelism=4,
        ) as airflow:
            nights = Nights(airflow, service)
            nights.play()
            yield nights


def test_each_mapped_task_has_a_memory_of_its_own(nights: Nights) -> None:
    """The other group passes on every night, and knows no failure."""
    assert {nights.states[number, 0] for number, index in nights.states if index == 0} == {"success"}
    assert all(nights.summaries[number, 0]["known"] == [] for number in (GOOD, BAD, KNOWN, LATE, NEXT))
    assert [nights.states[number, 1] for number in (GOOD, BROKEN, BAD, KNOWN, LATE, NEXT)] == [
        "success",
        "failed",
        "failed",
        "success",
        "failed",
        "success",
    ]


def test_a_night_without_a_dag_run_is_no_night(nights: Nights) -> None:
    """The last good night is the one that was judged, and the failure is known for two nights, not three."""
    reasons = "\n".join(nights.summaries[BAD, 1]["reasons"])
    good, bad = (f"{nights.dates[number]} on commit {commit_of(number)}" for number in (GOOD, BAD))
    assert f"new: last good {good} at {address(GOOD)}, first bad {bad}" in reasons
    (known,) = nights.summaries[KNOWN, 1]["known"]
    assert (known["nights"], known["since"]) == (2, nights.dates[BAD])


def test_the_commit_of_a_night_without_a_result_is_found(nights: Nights) -> None:
    """The service broke its run, and a night later the test runs at its address."""
    (found,) = nights.summaries[BAD, 1]["bisected"]
    assert (found["end"], found["bad"]["commit"]) == ("found", commit_of(BROKEN))
    assert f"commit {commit_of(BROKEN)} broke it" in nights.summaries[BAD, 1]["reasons"][0]
    assert [group.name for group in nights.groups.values() if group.name.startswith("Airflow")] == []


def test_a_dag_run_of_an_older_date_is_judged_by_the_nights_before_it(nights: Nights) -> None:
    """The test passed on the night before its date. From then on it has failed for four nights."""
    reasons = "\n".join(nights.summaries[LATE, 1]["reasons"])
    good, bad = (f"{nights.dates[number]} on commit {commit_of(number)}" for number in (GOOD, LATE))
    assert f"new: last good {good} at {address(GOOD)}, first bad {bad}" in reasons
    (known,) = nights.summaries[NEXT, 1]["known"]
    assert (known["nights"], known["since"]) == (4, nights.dates[LATE])
