"""Runs the drills: those that affect only their own task in parallel, those that break shared processes alone."""

from __future__ import annotations

import itertools
import logging
import os
import traceback
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.chaos import (
    attempt_drills,
    celery_drills,
    deferral_drills,
    service_drills,
    signal_drills,
    triggerer_drills,
    user_drills,
    worker_drills,
)
from tests.chaos.cases import Case, Drill, Outcome
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage

log = logging.getLogger(__name__)

LOCAL: list[Drill] = [
    *worker_drills.drills(),
    *user_drills.drills(),
    *triggerer_drills.drills(),
    *service_drills.drills(),
    *attempt_drills.drills(),
    *deferral_drills.drills(),
    *signal_drills.drills(),
]
CELERY: list[Drill] = celery_drills.drills()


def cases(drills: Iterable[Drill]) -> list[Case]:
    """Return the cases of all these drills."""
    return [case for drill in drills for case in drill.cases]


NUMBERS: dict[Case, int] = {case: number for number, case in enumerate(cases([*LOCAL, *CELERY]), 1)}

#: The number of parallel cases. More would only delay each other: starting a task uses a core for seconds.
AT_ONCE = int(os.environ.get("TESTERARMY_CHAOS_AT_ONCE", "12"))


def play(stage: Stage, repertoire: Iterable[Drill], wanted: Iterable[Case]) -> dict[Case, Outcome]:
    """Run every drill that has a selected case, and judge all cases at the end."""
    chosen = set(wanted)
    drills = [drill for drill in repertoire if chosen & set(drill.cases)]
    together = [drill for drill in drills if not drill.alone]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="drill") as pool:
        scenes = list(
            itertools.chain.from_iterable(pool.map(lambda drill: _play(stage, drill), _long_first(together)))
        )
    for drill in drills:
        if drill.alone:
            scenes += _play(stage, drill)
    return {scene.case: scene.judge() for scene in scenes}


def _long_first(drills: list[Drill]) -> list[Drill]:
    return sorted(
        drills,
        key=lambda drill: "without effect" not in drill.cases[0].what and "down" not in drill.cases[0].what,
    )


def _play(stage: Stage, drill: Drill) -> list[Scene]:
    scenes = [Scene(stage, case, NUMBERS[case]) for case in drill.cases]
    try:
        drill.play(stage, scenes)
    except Exception as error:
        trace = traceback.format_exc(limit=-3)
        for scene in scenes:
            scene.outcome.error = f"{error}\n{trace}"
    for scene in scenes:
        log.info("%s: %.1f s %s", scene.case.name, scene.outcome.seconds, scene.outcome.error)
    return scenes
