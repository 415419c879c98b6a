"""What happens to the task of each case after it was started; the tests say what must come of it."""

from __future__ import annotations

import time

from tests.conformance.scene import Scene

#: Seconds for which a request is held up, so that the worker can be killed in it.
HELD = 30
#: Seconds that the service asks to be left alone for.
RETRY_AFTER = 3


def left_alone(_scene: Scene) -> None:
    """Nothing happens but what the run's script says."""


def stopped_by_a_person(scene: Scene) -> None:
    """Somebody stops the run on the vendor's dashboard."""
    scene.wait_waiting()
    scene.stop()


def struck_by_faults(scene: Scene) -> None:
    """The service fails in every transient way while it is asked for the run."""
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
    scene.until(lambda: any(e.fault is None for e in scene.calls(fetch, seen)), "a look after the faults")
    scene.finish()


def worker_lost(scene: Scene) -> None:
    """The worker is gone without a word: while it waits, or, deferrable, while it collects the results."""
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
        # A look that came before the end does not show it.
        return any(look.answered == 200 and look.at >= ended for look in scene.calls(fetch, before))

    # The next look is the trigger's; the one after it is made by the worker that resumes.
    scene.until(seen, "the trigger's look")
    held = scene.fault("delay", fetch, seconds=HELD)
    scene.until(lambda: held.hits, "the worker's look")
    scene.lose_worker()


def killed_by_the_user(scene: Scene) -> None:
    """The user marks the task as failed while it waits."""
    scene.wait_waiting()
    scene.mark_failed()
    scene.until(lambda: len(scene.active()) <= scene.vendor.left_running, "the end of its run")


def timed_out_once(scene: Scene) -> None:
    """The deadline is over while the run is not; in the try after that, it comes to its end."""
    scene.wait_waiting()
    scene.wait_try(2)
    scene.finish()


def told_of_another_run(scene: Scene) -> None:
    """Asked for the run, the service answers twice with another one that has passed."""
    run_id = scene.wait_waiting()
    fetch = scene.desk.fetch(run_id)
    other = scene.desk.fetch(scene.desk.passed_elsewhere(scene.sandbox)).removeprefix("GET ")
    fault = scene.fault("misroute", fetch, path=other, times=2)
    scene.until(lambda: fault.hits == 2, "two wrong answers")
    seen = scene.now()
    scene.until(lambda: any(e.fault is None for e in scene.calls(fetch, seen)), "a further look")
    scene.finish()


def cleared_by_the_user(scene: Scene) -> None:
    """The user clears the task while it waits, and the run of the new try passes."""
    scene.wait_waiting()
    scene.clear()
    scene.until(lambda: len(scene.runs()) > 1, "a second run")
    scene.wait_waiting()
    scene.desk.finish(scene.sandbox, scene.runs()[-1])
