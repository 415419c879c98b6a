"""Drills on triggerers and on the API server, with several deferred tasks."""

from __future__ import annotations

import signal
from typing import Final

from tests.chaos.cases import BOTH, Case, Drill
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage
from tests.chaos.user_drills import ACTIONS, user_case

AREA: Final = "Triggerer"
#: The log line of a trigger whose `on_kill` runs although the task is still deferred.
NOT_OURS: Final = "The task is still deferred: another triggerer waits for it"
FINISHES: Final = ("the run ends meanwhile", "the run ends later")


def drills() -> list[Drill]:
    """Return the drills of this area; each runs alone."""
    killed = tuple(Case(AREA, f"SIGKILL, {when}", "deferrable") for when in FINISHES)
    orphaned = tuple(user_case(action, "while no triggerer lives", "deferrable") for action in ACTIONS)
    terminated = tuple(Case(AREA, f"SIGTERM, {when}", "deferrable") for when in FINISHES)
    paused = tuple(
        Case(AREA, f"paused, another takes over, resumed: {when}", "deferrable") for when in FINISHES
    )
    restarted = tuple(Case("API server", "SIGKILL and restart", mode) for mode in BOTH)
    return [
        Drill((*killed, *orphaned), triggerer_killed, alone=True),
        Drill(terminated, triggerer_terminated, alone=True),
        Drill(paused, triggerer_paused, alone=True),
        Drill(restarted, api_server_restarted, alone=True),
    ]


def _deferred(scenes: list[Scene]) -> None:
    for scene in scenes:
        scene.script("endless")
        scene.start()
    for scene in scenes:
        scene.wait_deferred()


def triggerer_killed(stage: Stage, scenes: list[Scene]) -> None:
    """SIGKILL while tasks are deferred; a user acts on other tasks while no triggerer runs; a new one continues."""
    ended = {scene.case.what: scene for scene in scenes}
    deferred = [ended[f"SIGKILL, {when}"] for when in FINISHES]
    _deferred(deferred)
    stage.kill_triggerer(signal.SIGKILL)
    for scene in deferred:
        scene.moment()
    deferred[0].finish_runs()
    orphaned = [(scene, action) for scene, action in zip(scenes[len(deferred) :], ACTIONS, strict=True)]
    for scene, _ in orphaned:
        scene.script("endless")
        scene.start()
    for scene, action in orphaned:
        scene.wait_state("deferred")
        first = scene.wait_run()
        scene.act(action)
        scene.until(lambda first=first: first not in scene.active(), "the end of its run", 30)  # noqa: B023
    stage.start_triggerer()
    _go_on(deferred)
    for scene, _ in orphaned:
        scene.settle()


def triggerer_terminated(stage: Stage, scenes: list[Scene]) -> None:
    """SIGTERM while tasks are deferred cancels no run; a new triggerer continues."""
    _deferred(scenes)
    for scene in scenes:
        scene.moment()
    stage.kill_triggerer(signal.SIGTERM)
    scenes[0].finish_runs()
    stage.start_triggerer()
    _go_on(scenes)


def triggerer_paused(stage: Stage, scenes: list[Scene]) -> None:
    """A paused triggerer loses its triggers to another one; when it resumes, it must not cancel their runs."""
    _deferred(scenes)
    before = {scene: stage.triggerer_of(scene.dag_id, scene.run_id) for scene in scenes}
    for scene in scenes:
        scene.moment()
    stage.triggerer.pause()
    with stage.second_triggerer():
        for scene in scenes:
            scene.until(
                lambda scene=scene: (
                    stage.triggerer_of(scene.dag_id, scene.run_id) not in (None, before[scene])
                ),
                "another triggerer takes over",
                90,
            )
            scene.wait_polled(scene.now())
        scenes[0].finish_runs()
        stage.triggerer.resume()
        # The paused triggerer finds that it has lost its triggers, and Airflow calls their `on_kill`.
        scenes[1].until(lambda: NOT_OURS in scenes[1].log(), "the log line of on_kill", 60)
        _go_on(scenes)


def api_server_restarted(stage: Stage, scenes: list[Scene]) -> None:
    """While the API server is down, workers and triggerers cannot reach Airflow; the wait survives."""
    for scene in scenes:
        scene.script("endless")
        scene.start()
    for scene in scenes:
        if scene.case.mode == "deferrable":
            scene.wait_deferred()
        else:
            scene.wait_polled()
    for scene in scenes:
        scene.moment()
    stage.airflow.processes["api-server"].kill(signal.SIGKILL)
    stage.airflow.processes["api-server"].start()
    stage.airflow.wait_ready()
    for scene in scenes:
        scene.wait_polled(scene.now(), 90)
        scene.finish_runs()
    for scene in scenes:
        scene.settle()


def _go_on(scenes: list[Scene]) -> None:
    """Wait until the other scenes are polled again, and then end their runs."""
    for scene in scenes[1:]:
        scene.wait_polled(scene.now(), 90)
        scene.finish_runs()
    for scene in scenes:
        scene.settle()
