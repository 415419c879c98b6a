"""What happens to the task of each case after its start; the tests check the outcome."""

from __future__ import annotations

import time

from tests.conformance.scene import Scene

#: The delay of a request in seconds, during which the worker is killed.
HELD = 30
#: The `Retry-After` in seconds.
RETRY_AFTER = 3


def undisturbed(_scene: Scene) -> None:
    """Nothing happens except the run's script."""


def stopped_by_a_person(scene: Scene) -> None:
    """A person stops the run on the vendor's dashboard."""
    scene.wait_waiting()
    scene.stop()


def transient_faults(scene: Scene) -> None:
    """The service has every kind of transient fault while the run is polled."""
    fetch = scene.desk.fetch(scene.wait_waiting())
    faults = [
        scene.fault("status", fetch, status=500, times=2),
        scene.fault("reset_before", fetch),
        scene.fault("html", fetch),
        scene.fault("reset_after", fetch),
        scene.fault("garbage", fetch),
        scene.fault("status", fetch, status=429, retry_after=RETRY_AFTER),
    ]
    seen = scene.now()
    scene.until(lambda: faults[-1].hits, "all of the faults")
    scene.until(lambda: any(e.fault is None for e in scene.calls(fetch, seen)), "a poll after the faults")
    scene.finish()


def worker_lost(scene: Scene) -> None:
    """The worker is killed while it waits or, for a deferrable task, while it collects the results."""
    run_id = scene.wait_waiting()
    if scene.plan.mode == "sync":
        scene.lose_worker()
        scene.wait_try(2)
        scene.finish()
        return
    fetch, before = scene.desk.fetch(run_id), scene.now()
    scene.finish()
    ended = time.time()

    def seen() -> bool:
        # A poll before the end does not show it.
        return any(look.answered == 200 and look.at >= ended for look in scene.calls(fetch, before))

    # The next request comes from the trigger, the one after it from the worker that resumes.
    scene.until(seen, "the trigger's poll")
    held = scene.fault("delay", fetch, seconds=HELD)
    scene.until(lambda: held.hits, "the worker's request")
    scene.lose_worker()


def killed_by_the_user(scene: Scene) -> None:
    """The user marks the task as failed while it waits."""
    scene.wait_waiting()
    scene.mark_failed()
    scene.until(lambda: len(scene.active()) <= scene.vendor.left_running, "the end of its run")


def timed_out_once(scene: Scene) -> None:
    """The first try times out while the run is active; in the next try the run ends."""
    scene.wait_waiting()
    scene.wait_try(2)
    scene.finish()


def another_run_returned(scene: Scene) -> None:
    """Twice, the service responds with another run, which passed."""
    run_id = scene.wait_waiting()
    fetch = scene.desk.fetch(run_id)
    other = scene.desk.fetch(scene.desk.passed_elsewhere(scene.sandbox)).removeprefix("GET ")
    fault = scene.fault("misroute", fetch, path=other, times=2)
    scene.until(lambda: fault.hits == 2, "two wrong answers")
    seen = scene.now()
    scene.until(lambda: any(e.fault is None for e in scene.calls(fetch, seen)), "another poll")
    scene.finish()


def cleared_by_the_user(scene: Scene) -> None:
    """The user clears the waiting task, and the run of the new try passes."""
    scene.wait_waiting()
    scene.clear()
    scene.until(lambda: len(scene.runs()) > 1, "a second run")
    scene.wait_waiting()
    scene.desk.finish(scene.sandbox, scene.runs()[-1])
