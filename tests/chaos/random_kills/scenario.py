"""The scenario on one executor: start DAG runs, execute the planned events, wait until Airflow has settled."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from tests.chaos.random_kills.airflow_tables import FINAL, AirflowTables, key_of
from tests.chaos.random_kills.collect import gather
from tests.chaos.random_kills.events import Draw, Event
from tests.chaos.random_kills.evidence import Evidence
from tests.chaos.random_kills.injector import Injector
from tests.chaos.random_kills.plan import BY_ID, DAG_ID, PROFILES, target_of, tests_of, waves
from tests.rig.airflow import LocalAirflow
from tests.rig.rest import RestError, UnavailableError
from tests.rig.waiting import TimedOutError, eventually

log = logging.getLogger(__name__)

#: Kills per DAG run.
KILLS_PER_WAVE: Final = 9
SETTLE_SECONDS: Final = 420.0
#: Seconds to wait until no run is active; more than the judge allows.
STOP_SECONDS: Final = 150.0
#: Seconds after which a user marks a task again that has not ended.
MARKS_AGAIN: Final = 15.0


@dataclass
class Scenario:
    """A scenario on one Airflow.

    :param draws: the planned events.
    :param seed: also decides how users end the endless tasks.
    """

    airflow: LocalAirflow
    service: SandboxServer
    draws: list[Draw]
    seed: int
    home: Path
    events: list[Event] = field(default_factory=list)

    def run(self) -> Evidence:
        """Run it, and return the evidence."""
        kills = sum(draw.kind == "kill" for draw in self.draws)
        count = max(1, -(-kills // KILLS_PER_WAVE))
        self._write_scripts(count)
        tables = AirflowTables(self.airflow.database.url)
        injector = Injector(self.airflow, tables, self.service.control)
        self.events = injector.events
        try:
            runs = self._execute(injector, count)
            self._settle(injector, tables)
            with contextlib.suppress(TimedOutError):
                eventually(lambda: not self._active(), STOP_SECONDS, "the end of all runs")
            return gather(tables, self.service.control, runs, injector.events, self.home / "logs")
        finally:
            tables.close()

    def _write_scripts(self, count: int) -> None:
        control = self.service.control
        for wave, profile in waves(count):
            for test, script in tests_of(wave, profile).items():
                if profile.vendor == "docket":
                    control.docket.override_script(int(test), script)
                else:
                    control.store.override_script(test, script)

    def _execute(self, injector: Injector, count: int) -> dict[str, int]:
        """Execute the planned events and start the DAG runs; return the wave of each."""
        runs: dict[str, int] = {}
        for number, draw in enumerate(self.draws):
            wave = len(runs)
            if wave < count and number >= wave * len(self.draws) // count:
                self._start(wave, runs)
            time.sleep(draw.pause)
            injector.do(draw)
        injector.restore()
        while len(runs) < count:
            self._start(len(runs), runs)
        return runs

    def _start(self, wave: int, runs: dict[str, int]) -> None:
        conf: dict[str, Any] = {profile.task_id: target_of(wave, profile) for profile in PROFILES}
        run_id = f"wave-{wave}"

        def started() -> bool:
            with contextlib.suppress(RestError):
                self.airflow.trigger_dag(DAG_ID, conf, run_id=run_id)
            return bool(self.airflow.dag_run(DAG_ID, run_id))

        eventually(started, 120, f"{run_id} started", retry_on=(UnavailableError, RestError))
        runs[run_id] = wave

    def _settle(self, injector: Injector, tables: AirflowTables) -> None:
        """End the endless tasks by hand, and wait until every task instance and DAG run has ended."""
        random = Random(self.seed)
        marked: dict[Any, float] = {}

        def settled() -> bool:
            self._revive()
            left = tables.instances()
            for row in left:
                key = key_of(row)
                due = time.monotonic() - marked.get(key, 0) > MARKS_AGAIN
                if BY_ID[key[1]].endless and row["state"] in ("running", "deferred") and due:
                    marked[key] = time.monotonic()
                    injector.mark(key, random.choice(("failed", "failed", "success")))
            ended = all(run["state"] in ("success", "failed") for run in tables.dag_runs())
            return ended and all(row["state"] in FINAL for row in left)

        eventually(
            settled, SETTLE_SECONDS, "Airflow settled", state=lambda: self._unsettled(tables), interval=2
        )

    def _revive(self) -> None:
        for process in self.airflow.processes.values():
            if not process.running:
                log.info("%s ended on its own: %s", process.name, process.log_tail(3))
                process.start()

    def _unsettled(self, tables: AirflowTables) -> str:
        left = [f"{key_of(row)} {row['state']}" for row in tables.instances() if row["state"] not in FINAL]
        history = "\n".join(map(str, self.events))
        return "\n".join([*left, self.airflow.describe(), history])

    def _active(self) -> list[str]:
        return self.service.control.store.active_run_ids()
