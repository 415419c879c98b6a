"""Deferrals that end without an event of the trigger, or must not start at all."""

from __future__ import annotations

from typing import Any, Final

from tests.chaos.attempt_drills import Play
from tests.chaos.cases import Case, Drill
from tests.chaos.catalog import other_test
from tests.chaos.scene import FINAL, Scene
from tests.chaos.stage import Stage

AREA: Final = "Deferral"
#: A connection that workers have and triggerers have not.
WORKER_ONLY: Final = "worker_only"

#: A hook that is defined in the DAG file, as a user might write it.
LOCAL_HOOK: Final = """
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from tests.chaos.own import RunTest

class LocalHook(TesterArmyHook):
    pass

class LocalRunTest(RunTest):
    @property
    def hook(self):
        return LocalHook(self.testerarmy_conn_id)
"""


def drills() -> list[Drill]:
    """Return the drills of this area."""
    failed: dict[str, Any] = {"state": "failed", "retries": 0}
    found = [
        _drill(what, trigger_breaks, **failed)
        for what in ("trigger raises", "trigger cannot be imported", "connection unknown to the triggerer")
    ]
    return [
        *found,
        _drill("trigger raises on every try", trigger_breaks, state="failed", tries=3),
        _drill("hook that only the DAG file knows", hook_in_the_dag_file, posts=0, **failed),
    ]


def _drill(what: str, play: Play, **expected: Any) -> Drill:
    return Drill((Case(AREA, what, "deferrable", kind="own", **expected),), play)


def trigger_breaks(stage: Stage, scenes: list[Scene]) -> None:
    """The deferral ends without an event, while another task keeps the DAG run active."""
    (scene,) = scenes
    keeper = other_test(scene.number)
    scene.script("endless")
    scene.sandbox.store.override_script(keeper, "endless")
    options: dict[str, Any] = {"testerarmy_conn_id": WORKER_ONLY}
    if scene.case.what.startswith("trigger"):
        options = {"trigger": "missing" if "imported" in scene.case.what else "raises"}
    scene.write_dag(keeper=keeper, **options)
    scene.start()
    try:
        scene.settle()
        (row,) = stage.rows(scene.dag_id, scene.run_id, "keeper")
        assert row["state"] not in FINAL, f"the DAG run had ended: {row}"
    finally:
        for run in list(scene.sandbox.store.runs.values()):
            if run.test is not None and run.test.id == keeper:
                scene.sandbox.store.force(run.id, script="passes")


def hook_in_the_dag_file(_stage: Stage, scenes: list[Scene]) -> None:
    """No triggerer can import such a hook; the task fails before it starts a run."""
    (scene,) = scenes
    scene.script("endless")
    scene.write_dag(head=LOCAL_HOOK, operator="LocalRunTest")
    scene.start()
    scene.settle()
    assert "Nothing was started" in scene.log()
