"""Signals at unusual moments: before a try has begun, and long after a later try has taken over."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.chaos.attempt_drills import Play
from tests.chaos.cases import ANY, BOTH, Case, Drill, Mode
from tests.chaos.own import judged, reading
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage, connection
from tests.rig.airflow import WorkerProcess
from tests.rig.settings import connection_variables

AREA: Final = "Signal"
#: The `Retry-After` in seconds: longer than Airflow takes to notice a lost worker plus the next try's look-up.
RETRY_AFTER: Final = 75
DAGS_TEST: Final = "dags_test"


def drills() -> list[Drill]:
    """Return the drills of this area."""
    orphan: dict[str, Any] = {"kind": "test", "tries": 2}
    dags_test: dict[str, Any] = {"state": ANY, "tries": 0, "retries": 0, "own_service": True}
    early = "SIGTERM before there is a connection"
    return [
        *(
            _drill(f"Ctrl-C in airflow dags test, {when}", mode, interrupted_in_dags_test, **dags_test)
            for when in ("while waiting", "during the POST")
            for mode in BOTH
        ),
        _drill(early, "sync", terminated_early, tries=2),
        _drill(
            f"{early}, on the last try", "deferrable", terminated_early, posts=0, retries=0, state="failed"
        ),
        _drill("supervisor lost during a Retry-After", "sync", orphaned, **orphan),
        _drill("paused before the intent", "sync", paused, **orphan),
        _drill("paused before the POST is sent again", "sync", paused, **orphan),
        *(_drill("worker lost after the verdict", mode, lost_after_the_verdict, tries=2) for mode in BOTH),
    ]


def _drill(what: str, mode: Mode, play: Play, *, kind: Any = "own", **expected: Any) -> Drill:
    return Drill((Case(AREA, what, mode, kind=kind, **expected),), play)


def interrupted_in_dags_test(stage: Stage, scenes: list[Scene]) -> None:
    """Ctrl-C in `airflow dags test`, which has neither a scheduler nor a triggerer."""
    (scene,) = scenes
    scene.script("endless")
    scene.write_dag(testerarmy_conn_id=DAGS_TEST)
    # A separate database, because the scheduler of the stage would take over the task.
    database = f"sqlite:///{stage.airflow.home / scene.dag_id}.db"
    env = stage.airflow.env | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database}
    env |= connection_variables({DAGS_TEST: connection(scene.service)})
    if "POST" in scene.case.what:
        scene.fault("delay_after", scene.submission, seconds=3)
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=env, check=True, capture_output=True, timeout=120)
    subprocess.run([*airflow, "dags", "reserialize"], env=env, check=True, capture_output=True, timeout=120)
    output = stage.airflow.home / f"{scene.dag_id}.txt"
    with output.open("wb") as file:
        command = [*airflow, "dags", "test", scene.dag_id]
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file, start_new_session=True)
    scene.run_id = "of dags test"
    try:
        scene.wait_run(timeout=90)
        if "waiting" in scene.case.what:
            scene.wait_polled(timeout=60)
        scene.moment()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        scene.outcome.details = output.read_text(errors="replace")[-4000:]
    scene.until(lambda: not scene.active(), "the end of its run", 15)
    scene.outcome.seconds = time.monotonic() - scene.since


def terminated_early(stage: Stage, scenes: list[Scene]) -> None:
    """SIGTERM while the connection is read: the try must not start a run."""
    (scene,) = scenes
    scene.write_dag(slow=True)
    scene.start()
    begun = reading(scene.dag_id, stage.airflow.home)
    scene.until(begun.exists, "the connection being read")
    scene.signal_worker(signal.SIGTERM)
    scene.settle()


def lost_after_the_verdict(stage: Stage, scenes: list[Scene]) -> None:
    """Airflow never hears of the verdict: the next try judges the same run, which nobody asked to start again."""
    (scene,) = scenes
    scene.write_dag(lingers=True)
    scene.start()
    scene.until(judged(scene.dag_id, stage.airflow.home).exists, "the verdict", 90)
    scene.lose_worker()
    scene.settle()


def orphaned(_stage: Stage, scenes: list[Scene]) -> None:
    """The task's process outlives its supervisor and waits for a `Retry-After`, while the next try submits."""
    (scene,) = scenes
    scene.fault("status", scene.submission, status=429, retry_after=RETRY_AFTER)
    scene.start()
    scene.wait_call(scene.submission)
    worker = scene.worker()
    scene.moment()
    worker.kill_supervisor(signal.SIGKILL)
    try:
        scene.settle()
        _until_gone(scene, worker)
    finally:
        _kill(worker)


def paused(_stage: Stage, scenes: list[Scene]) -> None:
    """Worker and supervisor are stopped, the next try submits and waits, and then they continue."""
    (scene,) = scenes
    scene.script("endless")
    if "intent" in scene.case.what:
        looked_at = f"GET /tests/{scene.target}"
        scene.fault("delay", looked_at, seconds=6)
    else:
        looked_at = scene.submission
        scene.fault("status", looked_at, status=429, retry_after=8)
    scene.start()
    scene.wait_call(looked_at)
    worker = scene.worker()
    scene.moment()
    with _stopped(worker):
        scene.until(lambda: scene.tries() > 1, "a second try", 90)
        scene.wait_polled(timeout=90)
    _until_gone(scene, worker)
    scene.finish_runs()
    scene.settle()


@contextmanager
def _stopped(worker: WorkerProcess) -> Iterator[None]:
    # Stop the supervisor first, so that it does not notice that its task is stopped.
    worker.kill_supervisor(signal.SIGSTOP)
    worker.kill(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.kill(signal.SIGCONT)
        worker.kill_supervisor(signal.SIGCONT)


def _until_gone(scene: Scene, worker: WorkerProcess) -> None:
    scene.until(lambda: not _is_alive(worker.pid), "the end of the first try's process", RETRY_AFTER + 60)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _kill(worker: WorkerProcess) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGKILL)
