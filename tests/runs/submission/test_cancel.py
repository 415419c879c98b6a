from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.service import FaultKind, Submission
from airflow_provider_testerarmy.runs.submission.cancel import PAUSES, StopResult, cancel
from tests.runs.scripted import Port, World, active, fault, finished, script, transient

THREE = Submission(("a", "b", "c"))
BATCH = Submission(("a", "b", "c"), batch_id="B")


def stop(answers, submission=THREE, **port):
    """Cancel a submission; return whether all is stopped, and the world."""
    world = World(answers)
    return world.run(cancel(Port(**port), submission, world.lines.append)), world


def asked(world):
    """Return what was asked, in short."""
    return [(question.name, question.args[0]) for question in world.asked]


def test_a_batch_is_cancelled_in_one_call():
    """However many runs it has."""
    done, world = stop({"cancel_batch": "ok"}, BATCH)
    assert done is StopResult.STOPPED
    assert asked(world) == [("cancel_batch", "B")]
    assert world.lines == ["Cancelled batch B (3 runs). Runs that had finished keep their results."]


def test_without_a_batch_each_run_is_cancelled():
    """Adopted runs have none."""
    done, world = stop({"cancel_run": "ok"})
    assert done is StopResult.STOPPED
    assert asked(world) == [("cancel_run", run_id) for run_id in "abc"]


def test_rejected_runs_are_not_cancelled():
    """They never ran."""
    assert asked(stop({"cancel_run": "ok"}, Submission(("a", "b"), ("a",)))[1]) == [("cancel_run", "b")]
    done, world = stop({}, Submission(("a",), ("a",), "B"))
    assert (done, world.asked) == (StopResult.STOPPED, [])


def test_what_has_finished_is_fine():
    """409 of a run that is at its end says that there is nothing to cancel."""
    done, world = stop({"cancel_run": fault(FaultKind.CONFLICT), "fetch": finished})
    assert done is StopResult.STOPPED
    assert [name for name, _ in asked(world)] == ["cancel_run", "fetch"] * 3
    assert world.slept == []


def test_a_run_that_refuses_to_be_cancelled_is_named():
    """409 of a run that goes on is not taken for its end."""
    done, world = stop({"cancel_run": fault(FaultKind.CONFLICT), "fetch": active})
    assert done is not StopResult.STOPPED
    assert "Could not cancel 3 runs (a, b, c)" in world.lines[-1]


def test_a_dead_service_is_not_asked_about_every_run():
    """The process may be about to be killed, so it gives up after a few failures and names all runs."""
    done, world = stop({"cancel_run": transient()}, Submission(tuple(f"run {n}" for n in range(40))))
    assert done is not StopResult.STOPPED
    assert len(world.asked) == len(PAUSES) + 3
    assert "40 runs" in world.lines[-1]


def test_a_batch_that_refuses_is_cancelled_run_by_run():
    """409 of a batch says that some of its runs go on."""
    answers = {"cancel_batch": fault(FaultKind.CONFLICT), "cancel_run": "ok"}
    done, world = stop(answers, BATCH)
    assert done is StopResult.STOPPED
    assert [name for name, _ in asked(world)] == ["cancel_batch", *["cancel_run"] * 3]


@pytest.mark.parametrize("kind", [FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.NOT_FOUND])
def test_a_hiccup_is_tried_again(kind):
    """A run may not be visible yet, right after its submission."""
    done, world = stop({"cancel_run": script(fault(kind), fault(kind), "ok")}, Submission(("a",)))
    assert done is StopResult.STOPPED
    assert world.slept == list(PAUSES[:2])


def test_who_cancels_has_little_time():
    """A service that is down is given up after seconds, whatever it asks to wait."""
    done, world = stop({"cancel_run": transient(retry_after=3600)}, Submission(("a",)))
    assert done is not StopResult.STOPPED
    assert (len(world.asked), max(world.slept)) == (1 + len(PAUSES), 2.0)
    assert "Could not cancel 1 run (a): 503 from a proxy. They may still be running" in world.lines[0]


def test_one_run_that_cannot_be_cancelled_does_not_save_the_others():
    """Each is tried, and those that go on are named."""
    answers = {"cancel_run": lambda run_id: fault(FaultKind.REFUSED) if run_id == "a" else "ok"}
    done, world = stop(answers)
    assert done is not StopResult.STOPPED
    assert [question.args[0] for question in world.asked] == ["a", "b", "c"]
    assert "Could not cancel 1 run (a): it is refused" in world.lines[0]


def test_a_denied_key_is_not_tried_on_every_run():
    """All that are left are named."""
    done, world = stop({"cancel_run": script("ok", fault(FaultKind.DENIED))})
    assert done is not StopResult.STOPPED
    assert len(world.asked) == 2
    assert "2 runs (b, c): it is denied" in world.lines[0]


def test_a_vendor_that_cannot_cancel_is_not_asked():
    """The user is told that the runs go on."""
    done, world = stop({}, can_cancel=False)
    assert (done, world.asked) == (StopResult.RUNNING, [])
    assert "Vendor cannot cancel runs. 3 runs (a, b, c) may continue" in world.lines[0]


def test_a_look_that_gets_no_answer_does_not_call_a_run_stopped():
    """The service would not cancel it, and does not say whether it has ended."""
    done, world = stop({"cancel_run": fault(FaultKind.CONFLICT), "fetch": transient()}, Submission(("a",)))
    assert done is StopResult.UNKNOWN
    assert "Could not cancel 1 run (a)" in world.lines[-1]


def test_a_look_after_a_refusal_is_repeated():
    """A single fault says nothing about the run."""
    answers = {"cancel_run": fault(FaultKind.CONFLICT), "fetch": script(transient(), finished("a"))}
    assert stop(answers, Submission(("a",)))[0] is StopResult.STOPPED
    answers["fetch"] = script(transient(), active("a"))
    assert stop(answers, Submission(("a",)))[0] is StopResult.RUNNING


@pytest.mark.parametrize(
    "kind", [FaultKind.DENIED, FaultKind.REFUSED, FaultKind.NOT_FOUND, FaultKind.TRANSIENT]
)
def test_what_was_not_cancelled_for_another_reason_may_be_running(kind):
    assert stop({"cancel_run": fault(kind)}, Submission(("a",)))[0] is StopResult.UNKNOWN


def test_runs_that_have_ended_are_not_counted_among_those_that_go_on():
    """A vendor that cannot cancel leaves one of three running."""
    world = World({})
    done = world.run(cancel(Port(can_cancel=False), THREE, world.lines.append, ended={"a", "b"}))
    assert (done, world.asked) == (StopResult.RUNNING, [])
    assert world.lines == ["Vendor cannot cancel runs. 1 run (c) may continue to the end."]
    assert (
        world.run(cancel(Port(can_cancel=False), THREE, world.lines.append, ended={*"abc"}))
        is StopResult.STOPPED
    )


@pytest.mark.parametrize(
    ("fates", "worst"),
    [
        (set(), StopResult.STOPPED),
        ({StopResult.STOPPED}, StopResult.STOPPED),
        ({StopResult.STOPPED, StopResult.UNKNOWN}, StopResult.UNKNOWN),
        ({StopResult.RUNNING, StopResult.UNKNOWN}, StopResult.RUNNING),
    ],
)
def test_the_fate_of_several_is_the_worst(fates, worst):
    assert StopResult.worst(fates) is worst
