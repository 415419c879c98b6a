"""Drills on a user's actions (mark, clear, fail the DAG run) and on time-outs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.chaos.cases import BOTH, Case, Drill, Mode
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage

AREA: Final = "User"

#: A user's actions: the text in the table, the expected final state, and the expected submissions.
ACTIONS: Final[dict[str, tuple[str, str, int]]] = {
    "failed": ("marks failed", "failed", 1),
    "success": ("marks success", "success", 1),
    "clear": ("clears", "success", 2),
    "run failed": ("fails the DAG run", "failed", 1),
}


def user_case(action: str, when: str, mode: Mode) -> Case:
    """Return the case of a user's action at this time."""
    words, state, posts = ACTIONS[action]
    return Case(AREA, f"{words} {when}", mode, state=state, posts=posts, tries=posts)


def drills() -> list[Drill]:
    """Return the drills of this area, except those without a triggerer."""
    found = [
        Drill(
            (user_case(action, "while running" if mode == "sync" else "while deferred", mode),),
            _acting(action),
        )
        for mode in BOTH
        for action in ACTIONS
    ]
    found.append(
        Drill(
            tuple(user_case(action, "just after the defer", "deferrable") for action in ACTIONS),
            just_after_the_defer,
            alone=True,
        )
    )
    for mode in BOTH:
        late: dict[str, Any] = {"state": "failed", "retries": 0}
        found.append(Drill((Case("Time-out", "timeout", mode, **late),), timed_out))
        found.append(Drill((Case("Time-out", "execution_timeout", mode, kind="limited", **late),), timed_out))
    return found


def _acting(action: str) -> Callable[[Stage, list[Scene]], None]:
    def play(_stage: Stage, scenes: list[Scene]) -> None:
        (scene,) = scenes
        scene.script("endless")
        scene.start()
        if scene.case.mode == "sync":
            scene.wait_polled()
        else:
            scene.wait_deferred()
        scene.act(action)
        scene.settle()

    return play


def just_after_the_defer(_stage: Stage, scenes: list[Scene]) -> None:
    """The user acts within 0.2 s after the defer, usually before a triggerer has picked up the trigger."""
    for scene, action in zip(scenes, ACTIONS, strict=True):
        scene.script("endless")
        scene.start()
        scene.wait_state_closely("deferred")
        scene.act(action)
        scene.note_delay()
    for scene in scenes:
        scene.settle()


def timed_out(_stage: Stage, scenes: list[Scene]) -> None:
    """After the deadline the run is cancelled, by the worker or by the triggerer."""
    (scene,) = scenes
    scene.script("endless")
    scene.start(timeout=8 if scene.case.what == "timeout" else 3600)
    scene.settle()
