"""Nights of one group at the same time, on PostgreSQL and the CeleryExecutor, while a worker is lost."""

from __future__ import annotations

import signal
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
from tests.chaos.conftest import broker_url, database_url
from tests.chaos.stage import LOST_AFTER
from tests.nights.memories import AssetStates
from tests.nights.stage import SLOW, SPEED
from tests.nights.tests_of import GROUPS, catalog, id_of
from tests.rig import procfs
from tests.rig.airflow import LocalAirflow
from tests.rig.processes import ManagedProcess
from tests.rig.waiting import eventually

__all__ = ["broker_url", "database_url"]

pytestmark = pytest.mark.integration

SYNC, DEFERRABLE = "concurrent_sync", "concurrent_deferrable"
CHECKOUT: Final = id_of("worker", "checkout")
#: Nights at once after the failure is known: two of each DAG.
CROWD: Final = ("crowd-1", "crowd-2")


class Nights:
    """What each night came to, by DAG and DAG run."""

    def __init__(self, airflow: LocalAirflow, service: SandboxServer) -> None:
        self._airflow = airflow
        self._service = service
        self.states: dict[tuple[str, str], str] = {}
        self.summaries: dict[tuple[str, str], dict[str, Any]] = {}
        self.tries: dict[tuple[str, str], int] = {}
        self.requests: list[str] = []
        self.assets: list[str] = []
        self.asset_events = -1

    def play(self) -> None:
        """A good night; two bad ones at once, of which one loses its worker; and four at once."""
        self._play([(SYNC, "good")])
        self._service.control.store.override_script(CHECKOUT, "fails")
        self._service.control.log.clear()
        self._lose_a_worker()
        self.requests = [call.path for call in self._service.control.log.submissions()]
        self._play([(dag_id, run_id) for run_id in CROWD for dag_id in (SYNC, DEFERRABLE)])
        self.assets = [str(each["name"]) for each in self._airflow.rest.get("/assets")["assets"]]
        self.asset_events = int(self._airflow.rest.get("/assets/events")["total_entries"])

    def _play(self, nights: list[tuple[str, str]]) -> None:
        for dag_id, run_id in nights:
            self._airflow.trigger_dag(dag_id, run_id=run_id)
        for night in nights:
            self._note(*night)

    def _lose_a_worker(self) -> None:
        """Kill the worker of a night while both wait for their second round. The other night ends first."""
        clock = self._service.control.clock
        clock.set_speed(SLOW)
        self._airflow.trigger_dag(SYNC, run_id="bad")
        self._sent(2)
        clock.set_manual(True)
        self._airflow.trigger_dag(DEFERRABLE, run_id="bad")
        self._end_runs(self._sent(3))
        runs = self._sent(4)
        lost = self._worker_of(SYNC, "bad")
        lost.kill(signal.SIGKILL, scope="session")
        self._end_runs(runs)
        self._note(DEFERRABLE, "bad")
        self._airflow.wait_task_state(SYNC, "bad", "shop", "running", timeout=120, try_number=2)
        clock.set_manual(False)
        clock.set_speed(SPEED)
        self._note(SYNC, "bad")
        lost.start()

    def _sent(self, count: int) -> tuple[str, ...]:
        """Wait until so many requests have started runs, and return the runs of the last one."""
        log = self._service.control.log
        eventually(lambda: len(log.submissions()) >= count, 120, f"request {count}")
        return tuple(map(str, log.submissions()[count - 1].run_ids))

    def _end_runs(self, run_ids: tuple[str, ...]) -> None:
        """End runs while the clock of the service stands still."""
        store = self._service.control.store
        for run_id in run_ids:
            failed = store.runs[run_id].test.id == CHECKOUT
            store.force(run_id, status="completed", script="fails" if failed else "passes")

    def _worker_of(self, dag_id: str, run_id: str) -> ManagedProcess:
        """The Celery worker that runs a night."""
        (task,) = self._airflow.worker_pids(dag_id, "shop", run_id)
        workers = [each for name, each in self._airflow.processes.items() if name.startswith("worker")]
        families = ({member.pid for member in procfs.family({each.pid})} for each in workers)
        return next(each for each, pids in zip(workers, families, strict=True) if task.pid in pids)

    def _note(self, dag_id: str, run_id: str) -> None:
        self._airflow.wait_dag_run(dag_id, run_id, timeout=240)
        found = self._airflow.task_instance(dag_id, run_id, "shop")
        self.states[dag_id, run_id], self.tries[dag_id, run_id] = found["state"], found["try_number"]
        self.summaries[dag_id, run_id] = self._airflow.xcom(dag_id, run_id, "shop")

    def memory(self) -> Memory:
        """The memory that all nights share."""
        storage = AssetStates(self._airflow.database.url)
        (entry,) = entries(storage)
        found = ring.load(storage, entry, now=time.time())
        assert isinstance(found, Memory), found
        return found


@pytest.fixture(scope="module")
def nights(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED), catalog=catalog())) as service:
        fields = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
        with LocalAirflow(
            [Path(__file__).parent / "dags" / "concurrent.py"],
            home=tmp_path_factory.mktemp("celery"),
            database_url=database_url,
            executor="CeleryExecutor",
            broker_url=broker_url,
            connections={"testerarmy_default": fields},
            env={**LOST_AFTER, "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4"},
        ) as airflow:
            nights = Nights(airflow, service)
            nights.play()
            yield nights


def test_a_lost_worker_between_rounds_starts_no_run_twice(nights: Nights) -> None:
    """Two requests for the group and two for the failed test alone: one of each night."""
    assert nights.tries[SYNC, "bad"] == 2
    group, test = GROUPS["worker"], CHECKOUT
    assert sorted(path.split("/")[-2] for path in nights.requests) == sorted([group, group, test, test])


@pytest.mark.parametrize("dag_id", [SYNC, DEFERRABLE])
def test_two_nights_at_once_both_report_the_new_failure(nights: Nights, dag_id: str) -> None:
    """The night that was due first ends last, and does not take the failure of the other one for a known one."""
    assert nights.states[dag_id, "bad"] == "failed"
    assert "new: last good" in "\n".join(nights.summaries[dag_id, "bad"]["reasons"])
    summary = nights.summaries[dag_id, "bad"]
    (entry,) = [test for test in summary["tests"] if test["test_id"] == CHECKOUT]
    assert [one["outcome"] for one in entry["attempts"]] == ["failed", "failed"]


def test_no_night_is_lost(nights: Nights) -> None:
    """Seven nights, of which up to four were judged and remembered at once, on two workers."""
    memory = nights.memory()
    keys = [night.key for night in memory.nights]
    assert keys[:3] == [f"{SYNC}/good", f"{SYNC}/bad", f"{DEFERRABLE}/bad"]
    # They may be due in the same second.
    assert sorted(keys[3:]) == sorted(
        f"{dag_id}/{run_id}" for run_id in CROWD for dag_id in (SYNC, DEFERRABLE)
    )
    assert memory.nights[1].judged > memory.nights[2].judged
    assert memory.tests[test_key(CHECKOUT)].letters == "PFFFFFF"


def test_the_asset_of_the_memory_makes_no_event(nights: Nights) -> None:
    """Airflow has it since the DAG was parsed, and no night triggers anything by it."""
    assert (nights.assets, nights.asset_events) == (["testerarmy-memory"], 0)


@pytest.mark.parametrize("run_id", CROWD)
@pytest.mark.parametrize("dag_id", [SYNC, DEFERRABLE])
def test_a_known_failure_is_known_to_all_nights_at_once(nights: Nights, dag_id: str, run_id: str) -> None:
    """Each of them knows at least the two bad nights before them."""
    assert nights.states[dag_id, run_id] == "success"
    (known,) = nights.summaries[dag_id, run_id]["known"]
    assert known["nights"] >= 3
