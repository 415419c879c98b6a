from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.awaiting.listing import LIST_FROM
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.single import await_runs, look
from airflow_provider_testerarmy.runs.awaiting.watchlist import WaitEnd
from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunResult
from airflow_provider_testerarmy.runs.service import FaultKind
from tests.runs.scripted import START, Port, World, active, fault, finished, page, script, transient

PACE = Pace(poll_interval=10, max_outage=600)


def wait(answers, ids=("a",), pace=PACE, *, statuses=("queued", "running"), **world_options):
    """Wait for runs; return the end, and the world."""
    world = World(answers, **world_options)
    port = Port(active_statuses=statuses)
    return world.run(await_runs(port, ids, pace, world.clock, world.lines.append)), world


def after(seconds, run_id, world_of, outcome=Outcome.PASSED):
    """A run that is at its end after so many seconds."""
    return finished(run_id, outcome) if world_of().now - START >= seconds else active(run_id)


def test_a_wait_ends_when_everything_is_finished():
    """With the outcome of each."""
    answers = {"fetch": lambda run_id: script_of[run_id]()}
    script_of = {"a": script(active("a"), finished("a")), "b": script(finished("b", Outcome.FAILED))}
    end, world = wait(answers, "ab")
    assert (end.end, end.message) == (WaitEnd.FINISHED, "")
    assert {run_id: run.outcome for run_id, run in end.results.items()} == {
        "a": Outcome.PASSED,
        "b": Outcome.FAILED,
    }
    assert [question.args[0] for question in world.asked] == ["a", "b", "a"]


def test_nothing_to_wait_for_is_finished():
    """No question is put."""
    end, world = wait({}, ())
    assert (end.end, world.asked) == (WaitEnd.FINISHED, [])


def test_a_run_is_awaited_once():
    """However often its id is given."""
    assert wait({"fetch": finished("a")}, "aaa")[1].count("fetch") == 1


FAULTS = [
    transient(),
    transient(retry_after=30),
    fault(FaultKind.RATE_LIMITED, retry_after=5),
    fault(FaultKind.RATE_LIMITED),
    fault(FaultKind.CONFLICT),
    fault(FaultKind.REFUSED),
]


@pytest.mark.parametrize("hiccup", FAULTS, ids=lambda one: f"{one.kind} {one.retry_after}")
def test_no_transient_fault_ends_a_wait_before_max_outage(hiccup):
    """The run goes on meanwhile, and its end is seen."""
    world = None

    def fetch(run_id):
        return hiccup if world.now - START < 590 else finished(run_id)

    world = World({"fetch": fetch})
    end = world.run(await_runs(Port(), "a", PACE, world.clock, world.lines.append))
    assert end.end is WaitEnd.FINISHED
    assert any("Waiting continues" in line for line in world.lines)


@pytest.mark.parametrize("hiccup", FAULTS, ids=lambda one: f"{one.kind} {one.retry_after}")
def test_an_outage_ends_a_wait(hiccup):
    """After ``max_outage`` without a successful request, at most one poll interval later."""
    end, world = wait({"fetch": hiccup})
    assert end.end is WaitEnd.UNAVAILABLE
    assert 600 < world.now - START <= 600 + 31
    assert end.message == f"no successful request for 1 run (a) in 600 s: {hiccup.message}"


def test_one_good_answer_ends_an_outage():
    """A successful request resets the outage."""
    hiccups = [transient()] * 50
    answers = script(*hiccups, active("a"), *hiccups, active("a"), *hiccups, finished("a"))
    end, world = wait({"fetch": answers})
    assert end.end is WaitEnd.FINISHED
    assert world.now - START > 600


def test_a_run_that_stays_silent_ends_the_wait_though_others_answer():
    """It is named."""
    end, _ = wait({"fetch": lambda run_id: active("a") if run_id == "a" else transient()}, "ab")
    assert end.end is WaitEnd.UNAVAILABLE
    assert "1 run (b)" in end.message
    assert set(end.results) == {"a"}


def test_a_key_that_is_rejected_twice_ends_a_wait():
    """The second question comes after a pause, and is about another run."""
    end, world = wait({"fetch": fault(FaultKind.DENIED)}, "abc")
    assert (end.end, end.message) == (WaitEnd.DENIED, "it is denied")
    assert (len(world.asked), world.slept) == (2, [5])


def test_a_key_that_is_rejected_for_the_only_run_ends_a_wait():
    """There is no other request to confirm it."""
    end, world = wait({"fetch": fault(FaultKind.DENIED)}, "a")
    assert (end.end, end.message) == (WaitEnd.DENIED, "access to 1 run (a) is denied: it is denied")
    assert world.count("fetch") == 2
    assert 5 <= world.now - START <= 6


def test_a_key_that_is_rejected_for_lists_and_runs_ends_a_wait():
    """Also when runs are looked for in lists."""
    denied = fault(FaultKind.DENIED)
    end, world = wait({"list_by_status": denied, "fetch": denied}, "abcd")
    assert (end.end, [question.name for question in world.asked]) == (
        WaitEnd.DENIED,
        ["list_by_status", "fetch"],
    )


@pytest.mark.parametrize("ids", ["a", "abc", "abcdef"])
def test_one_rejection_is_a_hiccup(ids):
    """Whatever it was about: a proxy answers 401 and 403 for a moment, too."""
    hiccups = [fault(FaultKind.DENIED)]

    def answer(value):
        return lambda *args: hiccups.pop() if hiccups else value(*args)

    end, world = wait({"fetch": answer(finished), "list_by_status": answer(lambda *_: page())}, ids)
    assert (end.end, set(end.results)) == (WaitEnd.FINISHED, set(ids))
    assert world.now - START < 10


def test_a_run_that_the_key_may_not_see_ends_the_wait_for_it():
    """Though the others are answered."""
    end, world = wait({"fetch": lambda one: fault(FaultKind.DENIED) if one == "b" else active(one)}, "abc")
    assert (end.end, end.message) == (WaitEnd.DENIED, "access to 1 run (b) is denied: it is denied")
    assert world.now - START < 20


@pytest.mark.parametrize("interval", [1, 10, 600])
def test_a_run_that_the_service_does_not_know_ends_the_wait_soon(interval):
    """And not after ``max_outage``, however rarely it is polled."""
    missing = fault(FaultKind.NOT_FOUND)
    end, world = wait({"fetch": missing}, pace=Pace(interval, 3600))
    assert (end.end, end.message) == (
        WaitEnd.NOT_FOUND,
        "the service does not know 1 run (a): it is not found",
    )
    assert 60 <= world.now - START <= 80


def test_a_run_that_is_shown_late_is_waited_for():
    """A replica may not have it for a minute."""
    world = None

    def fetch(run_id):
        return fault(FaultKind.NOT_FOUND) if world.now - START < 59 else finished(run_id)

    world = World({"fetch": fetch})
    end = world.run(await_runs(Port(), "a", PACE, world.clock, world.lines.append))
    assert end.end is WaitEnd.FINISHED


def test_an_answer_in_between_shows_that_the_run_is_known():
    """Only an unbroken series of answers says that it is not."""
    missing = fault(FaultKind.NOT_FOUND)
    answers = script(*[missing] * 5, active("a"), *[missing] * 5, active("a"), finished("a"))
    assert wait({"fetch": answers}, pace=Pace(20, 600))[0].end is WaitEnd.FINISHED


def test_a_fault_of_another_kind_in_between_shows_nothing():
    """It says neither that the run exists nor that it does not."""
    answers = script(fault(FaultKind.NOT_FOUND), transient(), fault(FaultKind.NOT_FOUND), transient())
    end, _ = wait({"fetch": answers}, pace=Pace(20, 90))
    assert end.end is WaitEnd.UNAVAILABLE


def test_the_deadline_ends_a_wait():
    """At the deadline, with the latest results."""
    end, world = wait({"fetch": active("a")}, pace=Pace(10, 600, START + 100))
    assert end.end is WaitEnd.DEADLINE
    assert world.now == START + 100
    assert end.results["a"].status == "running"
    assert "1 run (a) did not finish in time" in end.message


def test_a_run_that_ends_by_the_deadline_is_finished():
    """The runs are polled a last time at the deadline."""
    world = World({"fetch": lambda run_id: after(100, run_id, lambda: world)})
    end = world.run(await_runs(Port(), "a", Pace(10, 600, START + 100), world.clock, print))
    assert end.end is WaitEnd.FINISHED


def test_a_deadline_in_the_past_allows_one_look():
    """A task that resumes late still gets the outcomes of its runs."""
    assert wait({"fetch": finished("a")}, pace=Pace(10, 600, START - 5))[0].end is WaitEnd.FINISHED
    assert wait({"fetch": active("a")}, pace=Pace(10, 600, START - 5))[0].end is WaitEnd.DEADLINE


def test_retry_after_is_obeyed():
    """It is a minimum, whatever the pace."""
    limits = fault(FaultKind.RATE_LIMITED, retry_after=45)
    _, world = wait({"fetch": script(limits, finished("a"))})
    assert world.slept == [45]


def test_a_rate_limit_ends_a_round():
    """Requesting the next run immediately would only make it worse."""
    limits = fault(FaultKind.RATE_LIMITED)
    answers = script(limits, finished("a"), finished("b"), finished("c"))
    asked_at = []

    def fetch(_run_id):
        asked_at.append(world.now)
        return answers()

    world = World({"fetch": fetch})
    world.run(await_runs(Port(), "abc", PACE, world.clock, print))
    assert len(asked_at) == 4
    assert asked_at[1] - asked_at[0] >= 1


def test_a_service_that_is_down_is_not_asked_for_every_run():
    """After three faults in a row a round is over."""
    end, world = wait({"fetch": transient()}, range(100), Pace(10, 60, START + 5), statuses=())
    assert end.end is WaitEnd.DEADLINE
    assert len(world.asked) == 3 * (len(world.slept) + 1)


def test_absurd_requests_to_wait_are_bounded():
    """A Retry-After of years costs an outage, and not the task."""
    limits = fault(FaultKind.RATE_LIMITED, retry_after=float("inf"))
    end, world = wait({"fetch": script(limits, finished("a"))})
    assert (end.end, world.slept) == (WaitEnd.FINISHED, [600])


def test_an_unknown_status_is_waited_for():
    """An unknown status does not count as an end, and never as a pass."""
    paused = RunResult("a", "paused", Phase.UNKNOWN)
    end, world = wait({"fetch": paused}, pace=Pace(10, 600, START + 3600))
    assert end.end is WaitEnd.DEADLINE
    assert end.results["a"].outcome is None
    assert "0/1 finished; 1 paused" in world.lines


def test_a_progress_line_is_shown_once_per_change():
    """Not once per poll."""
    steps = [active("a", "queued")] * 5 + [active("a")] * 20 + [finished("a")]
    _, world = wait({"fetch": script(*steps)})
    assert world.lines == ["0/1 finished; 1 queued", "0/1 finished; 1 running", "1/1 finished: 1 passed"]


# -- lists


def lists(running, cursors=None):
    """Answer lists: nothing is queued, and these runs are running."""
    return lambda status, cursor: page() if status == "queued" else page(*running)


def test_few_runs_are_asked_for_one_by_one():
    """Listing would not be cheaper."""
    ids = "abcd"[: LIST_FROM - 1]
    _, world = wait({"fetch": finished}, ids)
    assert world.count("list_by_status") == 0


def test_many_runs_are_looked_for_in_lists():
    """Two requests show them all, and one that left the lists is asked for itself."""
    world = None

    def list_by_status(status, _cursor):
        late = world.now - START > 60
        return page() if status == "queued" else page(*[active(n) for n in range(5 if late else 100)])

    world = World({"list_by_status": list_by_status, "fetch": finished})
    flow = await_runs(Port(), range(100), Pace(10, 600, START + 100), world.clock, world.lines.append)
    end = world.run(flow)
    assert end.end is WaitEnd.DEADLINE
    assert len([run for run in end.results.values() if run.finished]) == 95
    fetched = [question.args[0] for question in world.asked if question.name == "fetch"]
    assert fetched == list(range(5, 100))


def test_other_peoples_runs_are_ignored():
    """A list shows the whole account's."""
    others = [active(f"other {n}") for n in range(50)]
    answers = {"list_by_status": lists([*others, active("a")]), "fetch": finished}
    end, _ = wait(answers, "abcd", Pace(10, 600, START + 5))
    assert set(end.results) == set("abcd")


def test_a_list_is_a_hint():
    """That a list shows a run as finished, or not at all, is not believed: the run itself is asked."""
    answers = {
        "list_by_status": lambda *_: page(*[finished(n) for n in range(6)]),
        "fetch": lambda run_id: finished(run_id, Outcome.FAILED),
    }
    end, _ = wait(answers, range(6))
    assert {run.outcome for run in end.results.values()} == {Outcome.FAILED}


def test_lists_cost_no_more_requests_than_there_are_runs():
    """An account with a thousand pages of other people's runs does not slow a wait down."""
    pages = lambda *_: page(active("other"), cursor="more")  # noqa: E731
    for count in range(LIST_FROM, 30):
        _, world = wait({"list_by_status": pages, "fetch": finished}, range(count))
        assert world.count("list_by_status") <= count - 1
        assert world.count("fetch") == count


def test_lists_that_fail_are_done_without():
    """The runs are asked for themselves."""
    end, world = wait({"list_by_status": transient(), "fetch": finished}, range(9))
    assert end.end is WaitEnd.FINISHED
    assert world.count("list_by_status") == 1


def test_a_vendor_without_lists_is_asked_for_each_run():
    """However many there are."""
    _, world = wait({"fetch": finished}, range(50), statuses=())
    assert world.count("fetch") == 50


# -- a single look


def one_look(answers, ids="ab", pace=PACE):
    """Look once; return the end, and the world."""
    world = World(answers)
    return world.run(look(Port(), ids, pace, world.clock, world.lines.append)), world


def test_a_look_says_whether_there_is_something_to_wait_for():
    """None while one of the runs is active."""
    assert one_look({"fetch": finished})[0].end is WaitEnd.FINISHED
    end, world = one_look({"fetch": lambda run_id: finished(run_id) if run_id == "a" else active("b")})
    assert end is None
    assert (world.slept, world.lines) == ([], ["1/2 finished: 1 passed; 1 running"])


def test_a_fault_does_not_end_a_look_and_a_denied_key_does():
    """A later poll may succeed, unless the key was rejected twice."""
    end, world = one_look({"fetch": transient()})
    assert end is None
    assert "A request to Vendor failed (503 from a proxy)." in world.lines
    denied, world = one_look({"fetch": fault(FaultKind.DENIED)})
    assert (denied.end, world.slept) == (WaitEnd.DENIED, [5])
    assert one_look({"fetch": script(fault(FaultKind.DENIED), finished("b"), finished("a"))})[0].end is (
        WaitEnd.FINISHED
    )


def test_a_look_after_the_deadline():
    """The fault is reported."""
    late = Pace(10, 600, START - 1)
    assert one_look({"fetch": active}, pace=late)[0].end is WaitEnd.DEADLINE
