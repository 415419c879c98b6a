"""Drills on workers: SIGKILL and SIGTERM in every phase of a task."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from tests.chaos.cases import BOTH, Case, Drill, Mode
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage

AREA = "Worker"
#: The delay of a request in seconds, during which the worker is killed.
HELD = 12

Play = Callable[[Stage, list[Scene]], None]


def drills() -> list[Drill]:
    """Return the drills of this area."""
    found: list[Drill] = []
    for mode in BOTH:
        found += [
            _drill("lost before the POST", mode, lost_before_the_post),
            _drill("lost between POST and store", mode, lost_before_the_store),
            _drill("SIGTERM during the POST", mode, terminated_in_the_post),
        ]
    last: dict[str, Any] = {"state": "failed", "retries": 0, "tries": 1}
    return [
        *found,
        _drill("lost in execute_complete", "deferrable", lost_in_execute_complete),
        _drill("lost while waiting", "sync", lost_while_waiting),
        _drill("lost while waiting, on the last try", "sync", lost_for_good, **last),
        _drill("SIGKILL of the task alone", "sync", killed_while_waiting),
        _drill("SIGKILL of the task alone, on the last try", "sync", killed_for_good, **last),
        _drill("SIGTERM while waiting", "sync", terminated_while_waiting),
        _drill("SIGTERM while waiting, on the last try", "sync", terminated_for_good, **last),
        _drill("SIGTERM in execute_complete", "deferrable", terminated_in_execute_complete),
    ]


def _drill(what: str, mode: Mode, play: Play, *, tries: int = 2, **expected: Any) -> Drill:
    return Drill((Case(AREA, what, mode, tries=tries, **expected),), play)


def lost_before_the_post(_stage: Stage, scenes: list[Scene]) -> None:
    """The worker dies while it reads the target: the next try submits."""
    (scene,) = scenes
    scene.fault("delay", f"GET /tests/{scene.target}", seconds=HELD)
    scene.start()
    scene.wait_call(f"GET /tests/{scene.target}")
    scene.lose_worker()
    assert not scene.posts(), "the run was started before the worker was killed"
    scene.settle()


def lost_before_the_store(_stage: Stage, scenes: list[Scene]) -> None:
    """The POST took effect and its response is lost: the next try finds the run, which continues."""
    (scene,) = scenes
    scene.script("endless")
    scene.fault("timeout_after", scene.submission)
    scene.start()
    scene.wait_run()
    scene.lose_worker()
    finish_after_reconnect(scene)


def lost_while_waiting(_stage: Stage, scenes: list[Scene]) -> None:
    """The ids are stored: the next try reconnects to the active run."""
    (scene,) = scenes
    _wait_for_an_endless_run(scene)
    scene.lose_worker()
    finish_after_reconnect(scene)


def lost_for_good(_stage: Stage, scenes: list[Scene]) -> None:
    """There is no further try: the scheduler's listener cancels the run."""
    (scene,) = scenes
    _wait_for_an_endless_run(scene)
    scene.lose_worker()
    scene.settle()


def killed_for_good(_stage: Stage, scenes: list[Scene]) -> None:
    """The supervisor fails the task; the run is cancelled when the DAG run has failed."""
    (scene,) = scenes
    _wait_for_an_endless_run(scene)
    scene.signal_worker(signal.SIGKILL)
    scene.settle()


def killed_while_waiting(_stage: Stage, scenes: list[Scene]) -> None:
    """Only the task's process dies, so its supervisor reports the failure at once."""
    (scene,) = scenes
    _wait_for_an_endless_run(scene)
    scene.signal_worker(signal.SIGKILL)
    finish_after_reconnect(scene)


def lost_in_execute_complete(_stage: Stage, scenes: list[Scene]) -> None:
    """The worker dies while it collects the results: the next try judges the finished run and starts no other."""
    (scene,) = scenes
    hold_the_collection(scene)
    scene.lose_worker()
    scene.settle()


def terminated_in_execute_complete(_stage: Stage, scenes: list[Scene]) -> None:
    """SIGTERM while the worker collects the results: the next try judges the run."""
    (scene,) = scenes
    hold_the_collection(scene)
    scene.signal_worker(signal.SIGTERM)
    scene.settle()


def terminated_in_the_post(_stage: Stage, scenes: list[Scene]) -> None:
    """SIGTERM while the POST is in flight: the worker waits for the response and stores it for the next try."""
    (scene,) = scenes
    scene.fault("delay", scene.submission, seconds=3)
    scene.start()
    scene.wait_call(scene.submission)
    scene.signal_worker(signal.SIGTERM)
    scene.settle()


def terminated_while_waiting(_stage: Stage, scenes: list[Scene]) -> None:
    """An evicted worker does not cancel its run, because the next try reconnects to it."""
    (scene,) = scenes
    _wait_for_an_endless_run(scene)
    scene.signal_worker(signal.SIGTERM)
    finish_after_reconnect(scene)


def terminated_for_good(_stage: Stage, scenes: list[Scene]) -> None:
    """There is no further try, so the run is cancelled."""
    (scene,) = scenes
    _wait_for_an_endless_run(scene)
    scene.signal_worker(signal.SIGTERM)
    scene.settle()


def _wait_for_an_endless_run(scene: Scene) -> None:
    scene.script("endless")
    scene.start()
    scene.wait_polled()


def finish_after_reconnect(scene: Scene) -> None:
    """Wait until a second try waits for the same run, and then end the run."""
    scene.until(lambda: scene.tries() > 1, "a second try", 90)
    scene.wait_polled(scene.now(), 90)
    scene.finish_runs()
    scene.settle()


def hold_the_collection(scene: Scene) -> None:
    """Bring the task to the point where it has resumed and collects the results of its finished run."""
    scene.script("endless")
    scene.start()
    scene.wait_deferred()
    # Only the worker that collects the results reads the test's name; a trigger does not.
    held = scene.fault("delay", f"GET /tests/{scene.target}", seconds=HELD)
    scene.finish_runs()
    scene.until(lambda: held.hits, "the worker's request", 60)
