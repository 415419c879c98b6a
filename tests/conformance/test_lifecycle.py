"""The lifecycle that both vendors share, in a worker and in the triggerer, checked in the sandbox's request log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance import drills
from tests.conformance.scene import Mode, Plan, Scene
from tests.conformance.vendors import VENDORS

MODES: tuple[Mode, ...] = ("sync", "deferrable")
#: Seconds until a task's ``timeout``: enough for a task to be deferred on a busy machine.
TIMEOUT = 15

pytestmark = pytest.mark.integration


def everywhere(drill: Callable[[Scene], None], **options: Any) -> pytest.MarkDecorator:
    """The case with each vendor in each mode."""
    plans = [Plan(vendor, mode, drill, **options) for vendor in VENDORS for mode in MODES]
    return pytest.mark.parametrize("scene", plans, ids=str, indirect=True)


def seen(scene: Scene) -> dict[str, Any]:
    """The task's outcome, and its effects at the service."""
    return {
        "state": scene.state(),
        "tries": scene.tries(),
        "verdict": scene.verdict(),
        "submissions": len(scene.submissions()),
        "cancellations": len(scene.cancellations()),
        "left running": len(scene.active()),
    }


def expected(
    state: str,
    verdict: str | None,
    *,
    tries: int = 1,
    submissions: int = 1,
    cancellations: int = 0,
    left_running: int = 0,
) -> dict[str, Any]:
    """The expected result of :func:`seen`."""
    return {
        "state": state,
        "tries": tries,
        "verdict": verdict,
        "submissions": submissions,
        "cancellations": cancellations,
        "left running": left_running,
    }


@everywhere(drills.undisturbed, script="passes")
def test_a_pass_is_a_success(scene: Scene) -> None:
    assert seen(scene) == expected("success", "passed")


@everywhere(drills.undisturbed, script="fails")
def test_a_failed_test_is_not_retried(scene: Scene) -> None:
    assert seen(scene) == expected("failed", "failed")


@everywhere(drills.stopped_by_a_person)
def test_a_run_that_somebody_stopped_has_not_passed(scene: Scene) -> None:
    assert seen(scene) == expected("failed", "cancelled")


@everywhere(drills.undisturbed, script="unknown_status", timeout=TIMEOUT, retries=0)
def test_an_unknown_status_is_waited_for_until_the_time_out(scene: Scene) -> None:
    vendor = scene.vendor
    assert seen(scene) == expected(
        "failed", vendor.at_the_end, cancellations=vendor.cancelled, left_running=vendor.left_running
    )
    (submission,) = scene.submissions()
    assert scene.looks()[-1].at - submission.at > TIMEOUT - 1, "the wait ended early"
    scene.wait_log("Timed out: 1 run ({run_id}) did not finish in time")
    scene.wait_log(vendor.at_a_time_out)
    scene.wait_log(vendor.excuse)


@everywhere(drills.transient_faults)
def test_transient_faults_do_not_end_the_wait(scene: Scene) -> None:
    assert seen(scene) == expected("success", "passed")
    looks = scene.looks()
    (limited,) = [number for number, look in enumerate(looks) if look.answered == 429]
    assert looks[limited + 1].at - looks[limited].at >= drills.RETRY_AFTER, "Retry-After was not obeyed"
    assert sum(look.fault is not None for look in looks) == 7


@everywhere(drills.worker_lost)
def test_a_lost_worker_starts_nothing_twice(scene: Scene) -> None:
    assert seen(scene) == expected("success", "passed", tries=2)
    scene.wait_log("Reconnecting to 1 run ({run_id}), started by an earlier try.", try_number=2)


@everywhere(drills.killed_by_the_user)
def test_a_kill_stops_the_run_or_says_that_it_goes_on(scene: Scene) -> None:
    vendor, found = scene.vendor, seen(scene)
    assert found == expected(
        "failed", found["verdict"], cancellations=vendor.cancelled, left_running=vendor.left_running
    )
    # A deferred task that is killed has no verdict; a worker may be killed before it has one.
    assert found["verdict"] in (None, vendor.at_the_end)
    scene.wait_log(vendor.at_a_kill)


@everywhere(drills.timed_out_once, timeout=TIMEOUT)
def test_after_a_time_out_only_what_was_stopped_is_started_again(scene: Scene) -> None:
    vendor = scene.vendor
    assert seen(scene) == expected(
        "success",
        "passed",
        tries=2,
        submissions=vendor.over_a_time_out,
        cancellations=vendor.cancelled,
    )
    scene.wait_log(vendor.at_a_time_out)
    scene.wait_log(vendor.excuse)


@everywhere(drills.another_run_returned)
def test_an_answer_about_another_run_is_no_answer(scene: Scene) -> None:
    assert seen(scene) == expected("success", "passed")


@everywhere(drills.cleared_by_the_user)
def test_a_clear_starts_anew(scene: Scene) -> None:
    vendor = scene.vendor
    assert seen(scene) == expected(
        "success",
        "passed",
        tries=2,
        submissions=2,
        cancellations=vendor.cancelled,
        left_running=vendor.left_running,
    )
