"""Drills on tries: clears, edits of the DAG, lost responses, rejected requests, and late worker slots."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tests.chaos.cases import ANY, BOTH, Case, Drill, Mode
from tests.chaos.catalog import other_test
from tests.chaos.scene import FINAL, Scene
from tests.chaos.stage import TASK, Stage
from tests.chaos.worker_drills import hold_the_collection

AREA: Final = "Attempt"
DEADLINE: Final = 45
EXECUTION: Final = 20

Play = Callable[[Stage, list[Scene]], None]

#: By the time of the clear: the script of the first run, that of the second, and the final state.
CLEARED: Final = {
    "passed": ("passes", "fails", "failed"),
    "failed": ("fails", "passes", "success"),
    "active": ("endless", "passes", "success"),
}


def drills() -> list[Drill]:
    """Return the drills of this area."""
    found = [
        _drill(
            f"cleared when {when}, after retries went from 2 to 1", mode, cleared, posts=2, tries=2, state=end
        )
        for when, (_, _, end) in CLEARED.items()
        for mode in BOTH
    ]
    again: dict[str, Any] = {"posts": 2, "tries": 2}
    found += [
        _drill("worker lost, then cleared", mode, lost_then_cleared, kind="test", **again) for mode in BOTH
    ]
    found += [_drill("target edited before a retry", mode, target_edited, **again) for mode in BOTH]
    found += [
        _drill(f"twins, one POST reset {when} effect", mode, twins, state=ANY, posts=None)
        for when in ("before", "after")
        for mode in BOTH
    ]
    return [
        *found,
        *(
            _drill(f"one {answer} on a look", mode, one_refusal, kind="test", own_service=True)
            for answer in ("403 page", "401")
            for mode in BOTH
        ),
        _drill("the worker slot comes after the deadline", "deferrable", late_slot),
        *(_drill("execution_timeout in the POST", mode, cut_off_in_the_post, tries=2) for mode in BOTH),
    ]


def _drill(what: str, mode: Mode, play: Play, *, kind: Any = "own", **expected: Any) -> Drill:
    return Drill((Case(AREA, what, mode, kind=kind, **expected),), play)


# clears and edits


def cleared(stage: Stage, scenes: list[Scene]) -> None:
    """After the edit and the clear, `max_tries` is unchanged, so only the record tells a clear from a retry."""
    (scene,) = scenes
    when = scene.case.what.split(",")[0].removeprefix("cleared when ")
    first, second, _ = CLEARED[when]
    scene.script(first)
    scene.write_dag()
    scene.start()
    if when == "active":
        _wait_until_active(scene)
    else:
        scene.wait_state(FINAL, 120)
        # Airflow loses a clear that comes while the scheduler ends the DAG run; the task then never starts again.
        stage.airflow.wait_dag_run(scene.dag_id, scene.run_id)
    before = scene.max_tries()
    scene.write_dag(retries=1)
    scene.clear(second)
    if when != "active":
        assert scene.max_tries() == before, "max_tries has changed, so this case proves nothing"
    scene.until(lambda: scene.tries() > 1, "a second try", 90)
    scene.settle()


def lost_then_cleared(_stage: Stage, scenes: list[Scene]) -> None:
    """The user clears the task before Airflow has noticed the lost worker; the clear must start a new run."""
    (scene,) = scenes
    if scene.case.mode == "deferrable":
        hold_the_collection(scene)
    else:
        scene.script("endless")
        scene.start()
        scene.wait_polled()
    scene.lose_worker()
    scene.act("clear")
    scene.settle()


def target_edited(stage: Stage, scenes: list[Scene]) -> None:
    """The old target's run is cancelled, even if its id was lost, and the verdict is about the new target."""
    (scene,) = scenes
    other = other_test(scene.number)
    scene.targets.add(other)
    scene.script("endless")
    scene.write_dag()
    if scene.case.mode == "deferrable":
        scene.fault("timeout_after", scene.submission)
    scene.start()
    first = scene.wait_run()
    if scene.case.mode == "sync":
        scene.wait_polled()
    scene.write_dag(test_id=other)
    scene.lose_worker()
    scene.settle()
    awaited = stage.airflow.xcom(scene.dag_id, scene.run_id, TASK, "run_ids")
    newer = [run.id for run in scene.runs() if run is not first]
    assert awaited == newer, f"the verdict is about {awaited}, the new target's runs are {newer}"
    assert first.cancelled is not None, "the old target's run was not stopped"


# answers


def twins(stage: Stage, scenes: list[Scene]) -> None:
    """Two mapped tasks run the same test and one POST is lost; neither adopts or cancels the other's run."""
    (scene,) = scenes
    scene.script("endless")
    scene.write_dag(twins=True)
    kind: Any = "reset_before" if "before" in scene.case.what else "reset_after"
    fault = scene.fault(kind, scene.submission)
    scene.start()
    scene.until(lambda: fault.hits, "a lost POST")
    scene.until(lambda: len(scene.runs()) == 2 or "failed" in scene.state(), "two runs, or a failure", 90)
    scene.until(lambda: _settled_twins(stage, scene), "what each twin knows", 90)
    before = [run.id for run in scene.runs() if run.cancelled is not None]
    assert not before, f"a twin stopped {before}"
    scene.finish_runs()
    scene.until(lambda: set(scene.state().split("/")) <= FINAL, "the end of both", 120)
    rows = stage.rows(scene.dag_id, scene.run_id)
    taken = [_run_ids(stage, scene, row["map_index"]) for row in rows if row["state"] == "success"]
    flat = [run_id for ids in taken for run_id in ids]
    assert len(flat) == len(set(flat)), f"both twins took one run: {taken}"
    assert len(scene.posts()) <= 2, "a test was started a third time"
    for row in rows:
        if row["state"] != "success":
            assert "unclear" in scene.log_of(row).lower(), f"twin {row['map_index']} failed without a reason"
    scene.outcome.seconds = time.monotonic() - scene.since


def _settled_twins(stage: Stage, scene: Scene) -> bool:
    rows = stage.rows(scene.dag_id, scene.run_id)
    return len(rows) == 2 and all(
        row["state"] == "failed" or _run_ids(stage, scene, row["map_index"]) for row in rows
    )


def _run_ids(stage: Stage, scene: Scene, map_index: int) -> list[str]:
    return stage.xcom(scene.dag_id, scene.run_id, "run_ids", map_index) or []


def one_refusal(_stage: Stage, scenes: list[Scene]) -> None:
    """A single 401 or 403 is a transient fault of a proxy, so the wait continues in the same try."""
    (scene,) = scenes
    scene.script("endless")
    scene.start()
    _wait_until_active(scene)
    look = "GET /runs*" if scene.case.mode == "deferrable" else f"GET /runs/{scene.wait_run().id}"
    scene.moment()
    if "page" in scene.case.what:
        fault = scene.fault("html", look, status=403)
    else:
        fault = scene.fault("status", look, status=401)
    scene.until(lambda: fault.hits, "the refusal")
    after = scene.now()
    scene.until(lambda: len(scene.looks(after)) >= 2, "two further looks")
    scene.finish_runs()
    scene.settle()
    assert scene.tries() == 1, "the hiccup cost a try"


def late_slot(stage: Stage, scenes: list[Scene]) -> None:
    """The run ends in time, but no worker slot is free until after the deadline, and then one response is a 503."""
    (scene,) = scenes
    pool = scene.dag_id
    stage.set_pool(pool, 1)
    scene.script("endless")
    scene.write_dag(pool=pool, timeout=DEADLINE)
    scene.start()
    _wait_until_active(scene)
    (post,) = scene.posts()
    stage.set_pool(pool, 0)
    scene.finish_runs()
    scene.wait_state("scheduled", 30)
    assert time.time() < post.at + DEADLINE, "the run did not end before the deadline"
    scene.until(lambda: time.time() > post.at + DEADLINE + 3, "the deadline", DEADLINE + 30)
    scene.fault("status", f"GET /runs/{scene.wait_run().id}", status=503)
    scene.moment()
    stage.set_pool(pool, 1)
    scene.settle()
    assert scene.tries() == 1, "the late slot cost a try"


def cut_off_in_the_post(_stage: Stage, scenes: list[Scene]) -> None:
    """The POST takes effect, but its response is late and the lists are stale; the next try finds the run."""
    (scene,) = scenes
    scene.script("endless")
    scene.fault("delay_after", scene.submission, seconds=60)
    # Longer than the first try's short look-up, and short enough for the second try to find the run.
    scene.fault("list_lag", scene.submission, seconds=EXECUTION + 6)
    scene.write_dag(execution_seconds=EXECUTION)
    scene.start()
    scene.wait_run()
    scene.moment()
    scene.finish_runs()
    scene.settle()


def _wait_until_active(scene: Scene) -> None:
    if scene.case.mode == "sync":
        scene.wait_polled()
    else:
        scene.wait_deferred()
