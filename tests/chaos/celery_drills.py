"""The main cases on the CeleryExecutor, with two workers and two triggerers."""

from __future__ import annotations

import signal
from typing import Any, Final

from tests.chaos.cases import BOTH, Case, Drill, Mode
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage
from tests.chaos.worker_drills import finish_after_reconnect, hold_the_collection
from tests.rig import procfs
from tests.rig.processes import ManagedProcess

AREA: Final = "Celery"


def drills() -> list[Drill]:
    """Return the drills of this area."""
    failed: dict[str, Any] = {"state": "failed"}
    found: list[Drill] = []
    for mode in BOTH:
        found += [
            Drill((_case("the run passes", mode),), it_runs),
            Drill((_case("the run fails", mode, **failed),), it_runs),
            Drill((_case("a user marks failed", mode, **failed),), marked_failed),
        ]
    return [
        *found,
        Drill((_case("worker lost while waiting", "sync", tries=2),), worker_lost_while_waiting, alone=True),
        Drill(
            (_case("worker lost in execute_complete", "deferrable", tries=2),),
            worker_lost_in_execute_complete,
            alone=True,
        ),
        Drill((_case("one triggerer lost", "deferrable"),), triggerer_lost, alone=True),
    ]


def _case(what: str, mode: Mode, **expected: Any) -> Case:
    return Case(AREA, what, mode, **expected)


def it_runs(_stage: Stage, scenes: list[Scene]) -> None:
    """Nothing goes wrong, except that the test may fail."""
    (scene,) = scenes
    scene.script("fails" if "fails" in scene.case.what else "passes")
    scene.start()
    scene.settle()


def marked_failed(_stage: Stage, scenes: list[Scene]) -> None:
    """The run is cancelled, whichever worker or triggerer has the task."""
    (scene,) = scenes
    scene.script("endless")
    scene.start()
    if scene.case.mode == "sync":
        scene.wait_polled()
    else:
        scene.wait_deferred()
    scene.act("failed")
    scene.settle()


def worker_lost_while_waiting(stage: Stage, scenes: list[Scene]) -> None:
    """A Celery worker dies with its tasks; the next try reconnects on the other worker."""
    (scene,) = scenes
    scene.script("endless")
    scene.start()
    scene.wait_polled()
    lost = _lose_celery_worker(stage, scene)
    finish_after_reconnect(scene)
    lost.start()


def worker_lost_in_execute_complete(stage: Stage, scenes: list[Scene]) -> None:
    """A Celery worker dies while a task collects results; the other worker judges the finished run."""
    (scene,) = scenes
    hold_the_collection(scene)
    lost = _lose_celery_worker(stage, scene)
    scene.settle()
    lost.start()


def triggerer_lost(stage: Stage, scenes: list[Scene]) -> None:
    """The triggerer with the trigger dies; the other one continues to poll."""
    (scene,) = scenes
    scene.script("endless")
    scene.start()
    scene.wait_deferred()
    before = stage.triggerer_of(scene.dag_id, scene.run_id)
    scene.moment()
    # Job ids ascend, and "triggerer" is started before "triggerer-2".
    first, second = (stage.airflow.processes[name] for name in ("triggerer", "triggerer-2"))
    by_age = sorted(job["id"] for job in stage.airflow.jobs("TriggererJob"))
    lost = first if by_age.index(before) == 0 else second
    lost.kill(signal.SIGKILL)
    scene.until(
        lambda: stage.triggerer_of(scene.dag_id, scene.run_id) not in (None, before),
        "the other triggerer",
        60,
    )
    scene.wait_polled(scene.now())
    scene.finish_runs()
    scene.settle()


def _lose_celery_worker(stage: Stage, scene: Scene) -> ManagedProcess:
    """SIGKILL the Celery worker that has the task, with everything it runs."""
    task = scene.worker()
    workers = [process for name, process in stage.airflow.processes.items() if name.startswith("worker")]
    for process in workers:
        members = {member.pid for member in procfs.family({process.pid})}
        if task.pid in members:
            scene.moment()
            process.kill(signal.SIGKILL, scope="session")
            return process
    raise AssertionError(f"no worker has the process {task.pid} of the task")
