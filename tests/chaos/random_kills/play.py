"""One whole play: DAG runs are started, what was drawn is done to them, and Airflow settles."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from tests.chaos.random_kills.deeds import Deed, Draw
from tests.chaos.random_kills.evidence import Evidence
from tests.chaos.random_kills.eye import FINAL, Eye, key_of
from tests.chaos.random_kills.hands import Hands
from tests.chaos.random_kills.plan import BY_ID, DAG_ID, PROFILES, target_of, tests_of, waves
from tests.chaos.random_kills.record import gather
from tests.rig.airflow import LocalAirflow
from tests.rig.rest import RestError, UnavailableError
from tests.rig.waiting import TimedOutError, eventually

log = logging.getLogger(__name__)

#: Kills for which one DAG run is started.
KILLS_PER_WAVE: Final = 9
SETTLE_SECONDS: Final = 420.0
#: Seconds in which the runs of ended tasks must have been stopped; more than the judge allows.
STOP_SECONDS: Final = 150.0
#: Seconds after which a user marks a task again that no mark has ended.
MARKS_AGAIN: Final = 15.0


@dataclass
class Play:
    """What is played on one Airflow.

    :param draws: what happens to it.
    :param seed: also decides how the endless tasks are ended.
    """

    airflow: LocalAirflow
    service: SandboxServer
    draws: list[Draw]
    seed: int
    home: Path
    deeds: list[Deed] = field(default_factory=list)

    def run(self) -> Evidence:
        """Play, and return what there is to judge."""
        kills = sum(draw.kind == "kill" for draw in self.draws)
        count = max(1, -(-kills // KILLS_PER_WAVE))
        self._write_scripts(count)
        eye = Eye(self.airflow.database.url)
        hands = Hands(self.airflow, eye, self.service.control)
        self.deeds = hands.deeds
        try:
            runs = self._do_all(hands, count)
            self._settle(hands, eye)
            with contextlib.suppress(TimedOutError):
                eventually(lambda: not self._active(), STOP_SECONDS, "the end of all runs")
            return gather(eye, self.service.control, runs, hands.deeds, self.home / "logs")
        finally:
            eye.close()

    def _write_scripts(self, count: int) -> None:
        control = self.service.control
        for wave, profile in waves(count):
            for test, script in tests_of(wave, profile).items():
                if profile.vendor == "docket":
                    control.docket.override_script(int(test), script)
                else:
                    control.store.override_script(test, script)

    def _do_all(self, hands: Hands, count: int) -> dict[str, int]:
        """Do what was drawn, and start a DAG run from time to time; return the wave of each."""
        runs: dict[str, int] = {}
        starter = threading.Thread(target=self._start, args=(0, runs), daemon=True)
        starter.start()
        starter.join()
        for number, draw in enumerate(self.draws):
            wave = len(runs)
            if wave < count and number >= wave * len(self.draws) // count:
                self._start(wave, runs)
            time.sleep(draw.pause)
            hands.do(draw)
        hands.calm()
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

    def _settle(self, hands: Hands, eye: Eye) -> None:
        """End the endless tasks by hand, and wait until every task instance and DAG run has ended."""
        random = Random(self.seed)
        marked: dict[Any, float] = {}

        def settled() -> bool:
            self._revive()
            left = eye.instances()
            for row in left:
                key = key_of(row)
                due = time.monotonic() - marked.get(key, 0) > MARKS_AGAIN
                if BY_ID[key[1]].endless and row["state"] in ("running", "deferred") and due:
                    marked[key] = time.monotonic()
                    hands.mark(key, random.choice(("failed", "failed", "success")))
            ended = all(run["state"] in ("success", "failed") for run in eye.dag_runs())
            return ended and all(row["state"] in FINAL for row in left)

        eventually(settled, SETTLE_SECONDS, "Airflow settled", state=lambda: self._unsettled(eye), interval=2)

    def _revive(self) -> None:
        for process in self.airflow.processes.values():
            if not process.running:
                log.info("%s had ended by itself: %s", process.name, process.log_tail(3))
                process.start()

    def _unsettled(self, eye: Eye) -> str:
        left = [f"{key_of(row)} {row['state']}" for row in eye.instances() if row["state"] not in FINAL]
        history = "\n".join(map(str, self.deeds))
        return "\n".join([*left, self.airflow.describe(), history])

    def _active(self) -> list[str]:
        return self.service.control.store.active_run_ids()
