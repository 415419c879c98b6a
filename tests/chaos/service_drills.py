"""Drills on the service: faults of the POST, an outage, a revoked key, and thirty groups at once."""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_testerarmy.sandbox.core.faults import Kind as FaultKind
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.chaos.cases import BOTH, Case, Drill
from tests.chaos.cases import Kind as TaskKind
from tests.chaos.catalog import MAPPED
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage

AREA: Final = "POST"
OUTAGE_SECONDS: Final = 60
RETRY_AFTER_SECONDS: Final = 4

#: The responses to the POST: the text in the table, the fault and its options.
ANSWERS: Final[dict[str, tuple[FaultKind, dict[str, Any]]]] = {
    "reset, without effect": ("reset_before", {}),
    "reset, after effect": ("reset_after", {}),
    "time-out, without effect": ("timeout", {}),
    "time-out, after effect": ("timeout_after", {}),
    "504, without effect": ("status", {"status": 504}),
    "504, after effect": ("status_after", {"status": 504}),
    "429 with Retry-After": ("status", {"status": 429, "retry_after": RETRY_AFTER_SECONDS}),
    "500, without effect": ("status", {"status": 500}),
}


def drills() -> list[Drill]:
    """Return the drills of this area."""
    outage = f"down for {OUTAGE_SECONDS} s while waiting"
    found = [Drill((Case("Service", outage, mode, own_service=True),), outage_outlived) for mode in BOTH]
    # With a revoked key nothing can cancel the run, so it stays active.
    revoked: dict[str, Any] = {"state": "failed", "active": 1, "own_service": True}
    found += [Drill((Case("Service", "key revoked while waiting", m, **revoked),), key_revoked) for m in BOTH]
    for what in ANSWERS:
        found += [_answered(what, "test", "deferrable"), _answered(what, "test", "sync")]
        found += [_answered(what, "group", "deferrable"), _answered(what, "prompt", "sync")]
    mapped = Case("Load", f"{MAPPED} groups at once", "deferrable", kind="mapped", posts=MAPPED)
    return [*found, Drill((mapped,), many_groups, alone=True)]


def _answered(what: str, kind: TaskKind, mode: str) -> Drill:
    case = Case(AREA, what, mode, kind=kind, own_service=kind == "prompt")  # type: ignore[arg-type]
    return Drill((case,), strange_answer)


def strange_answer(_stage: Stage, scenes: list[Scene]) -> None:
    """Whatever the response to the POST, one submission takes effect and the task uses its result."""
    (scene,) = scenes
    kind, options = ANSWERS[scene.case.what]
    fault = scene.fault(kind, scene.submission, **options)
    extra = {"read_timeout": 3} if kind.startswith("timeout") else {}
    scene.start(extra=extra)
    scene.settle()
    assert fault.hits == 1, "the fault was not applied"
    if "retry_after" in options:
        first, second = scene.calls(scene.submission)
        assert second.at - first.at >= RETRY_AFTER_SECONDS, "Retry-After was not obeyed"


def outage_outlived(_stage: Stage, scenes: list[Scene]) -> None:
    """The service is down for a while; the task keeps waiting and ends when the service is back."""
    (scene,) = scenes
    scene.script("endless")
    scene.start()
    scene.wait_polled()
    if scene.case.mode == "deferrable":
        scene.wait_deferred()
    scene.moment()
    scene.service.stop()
    scene.stays({"deferred", "running"}, OUTAGE_SECONDS)
    scene.service.start()
    scene.finish_runs()
    scene.settle()


def key_revoked(_stage: Stage, scenes: list[Scene]) -> None:
    """With a revoked key the task fails although it has retries left, and its log says what to check."""
    (scene,) = scenes
    scene.script("endless")
    scene.start()
    scene.wait_polled()
    if scene.case.mode == "deferrable":
        scene.wait_deferred()
    scene.moment()
    scene.sandbox.keys.revoke(DEFAULT_API_KEY)
    scene.settle()
    # Airflow itself may consume a try, so there may be a second one, but not all of them.
    assert scene.tries() <= scene.case.retries, "a revoked key was retried"
    assert "Check the password of the connection" in scene.log(scene.tries())


def many_groups(_stage: Stage, scenes: list[Scene]) -> None:
    """A task mapped over thirty groups: all pass, and each is started once."""
    (scene,) = scenes
    scene.start()
    scene.settle(300)
