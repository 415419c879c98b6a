"""Looking up what a lost request has started, without taking another task's runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_testerarmy.runs.service import FaultKind, Match, RunRequest, Scope, Submission, Tests
from airflow_provider_testerarmy.runs.submission.lookup import BRIEF_LOOKS, LOOKS, look_up
from airflow_provider_testerarmy.runs.submission.record import Intent
from airflow_provider_testerarmy.runs.submission.setting import Setting, SubmitEnd
from tests.runs.scripted import Claims, Port, World, active, fault, page, script

NOW = World({}).server_time()


def run(run_id, seconds=0.0, **fields):
    """A run that was created so many seconds after the intent."""
    created = NOW + timedelta(seconds=seconds)
    return active(run_id, "queued", **{"created_at": created} | fields)


def look(listed, *, known=(), claims=None, until=0.0, port=None, tests=None):
    """Look for what an intent of this moment has started; the end, and the world."""
    world = World({"list_candidates": listed, "list_tests": tests})
    setting = Setting(
        port or Port(), RunRequest("test", "t"), None, 60.0, world.clock, world.lines.append, claims=claims
    )
    intent = Intent(NOW, NOW + timedelta(seconds=until), tuple(known))
    return world.run(look_up(setting, Scope("p"), intent, LOOKS)), world


def adopted(*run_ids):
    return Submission(run_ids, adopted=True)


# -- ours is found


@pytest.mark.parametrize("seconds", [-60, -59, -4, 0, 4, 60, 600])
def test_clocks_of_the_service_may_differ_by_a_minute(seconds):
    """Its `Date` header and the time of creation come from two machines."""
    assert look(page(run("a", seconds)))[0].submission == adopted("a")


@pytest.mark.parametrize("seconds", [-61, -3600, -172800])
def test_an_old_run_is_not_ours(seconds):
    assert look(page(run("a", seconds)))[0] is None


def test_times_without_a_zone_are_utc():
    naive = run("a", created_at=NOW.replace(tzinfo=None) + timedelta(seconds=3))
    assert look(page(naive))[0].submission == adopted("a")
    old = run("a", created_at=NOW.replace(tzinfo=None) - timedelta(hours=1))
    assert look(page(old))[0] is None


def test_what_was_listed_before_the_request_is_not_new():
    """Even if their times are close: the ids decide, not the clocks."""
    listed = page(run("new", 1), run("seen", 0), run("older", -1))
    assert look(listed, known=["seen"])[0].submission == adopted("new")
    assert look(page(run("seen", 30), run("older", 29)), known=["seen"])[0] is None


def test_two_runs_of_one_second_may_stand_in_either_order():
    """A new run may be listed behind one that was there before."""
    listed = page(run("seen", 0), run("new", 0.5))
    assert look(listed, known=["seen"])[0].submission == adopted("new")


def test_without_times_the_place_in_the_list_tells():
    listed = page(run("new", created_at=None), run("seen", created_at=None), run("older", created_at=None))
    assert look(listed, known=["seen"])[0].submission == adopted("new")


def test_a_list_is_read_until_it_gets_old():
    listed = script(page(run("x", 1, test_id="t"), cursor="2", match=Match.NO), page(run("seen"), cursor="3"))
    found, world = look(listed, known=["seen"])
    assert found is None
    assert world.count("list_candidates") == 2 + (len(LOOKS) - 1)


# -- another's is not taken


def test_a_run_that_does_not_quite_match_makes_the_end_unclear():
    """It is new and has the same target, so nothing is sent, and it is not adopted."""
    found, world = look(page(run("a", 1), match=Match.MAYBE))
    assert (found.end, found.candidates) == (SubmitEnd.UNCLEAR, ("a",))
    assert "a new run of the same target" in found.message
    assert world.slept == list(LOOKS)


def test_one_that_matches_is_taken_beside_one_that_does_not_quite():
    """Another client runs the same test on another device."""
    both = page(run("a", 1), run("b", 1))
    both = type(both)((both.listed_runs[0], type(both.listed_runs[1])(both.listed_runs[1].run, Match.MAYBE)))
    assert look(both)[0].submission == adopted("a")


@pytest.mark.parametrize("seconds", [661, 3600, 172800])
def test_an_intent_starts_nothing_for_ever(seconds):
    """Another DAG runs the same test two days after a request that had started nothing."""
    assert look(page(run("a", seconds)))[0] is None


def test_the_newest_request_of_an_intent_counts():
    """It was sent again after a long rate limit."""
    assert look(page(run("a", 900)), until=600.0)[0].submission == adopted("a")


def test_a_run_that_another_task_has_recorded_is_never_taken():
    """The twin of a mapped task, another DAG run, or another DAG with the same test."""
    claims = Claims({"twin": 0})
    assert look(page(run("twin", 1)), claims=claims)[0] is None
    assert claims.claimed == []
    found, _ = look(page(run("twin", 1), run("ours", 1)), claims=Claims({"twin": 0}))
    assert found.submission == adopted("ours")


def test_another_task_has_time_to_record_its_run():
    """It claims its runs once it has their ids, which may be a moment after they are listed."""
    assert look(page(run("twin", 1)), claims=Claims({"twin": 2}))[0] is None
    found, world = look(page(run("ours", 1)), claims=Claims())
    assert found.submission == adopted("ours")
    assert sum(world.slept) >= 4


def test_of_two_tasks_that_claim_one_run_one_gives_way():
    """Both lost their answers, and one of the requests had no effect."""
    claims = Claims({"a": 5})
    found, _ = look(page(run("a", 1)), claims=claims)
    assert claims.claimed == [("a",)]
    assert found is None


def test_when_airflow_does_not_say_nothing_is_guessed():
    found, _ = look(page(run("a", 1)), claims=Claims(answers=False))
    assert (found.end, found.look_again, found.candidates) == (SubmitEnd.UNCLEAR, True, ("a",))


def test_a_run_is_not_adopted_while_airflow_refuses_claims():
    """It may have refused the claim of the task that started the run."""
    found, _ = look(page(run("a", 1)), claims=Claims(refused=99))
    assert (found.end, found.look_again, found.candidates) == (SubmitEnd.UNCLEAR, True, ("a",))
    assert look(page(run("a", 1)), claims=Claims(refused=1))[0].submission == adopted("a")


def test_without_candidates_airflow_is_not_asked():
    claims = Claims(answers=False)
    assert look(page(), claims=claims)[0] is None
    assert claims.asked == 0


def test_a_group_of_another_task_is_left_out_whole():
    """Two DAG runs of one group, in the same minute."""
    tests = Tests({}, frozenset({"t1", "t2"}))
    runs = [run("a1", 1, test_id="t1"), run("a2", 1, test_id="t2")]
    theirs = [run("b1", 1, test_id="t1"), run("b2", 1, test_id="t2")]
    port = Port(group=True)
    found, _ = look(page(*runs, *theirs), claims=Claims({"b1": 0, "b2": 0}), port=port, tests=tests)
    assert set(found.submission.run_ids) == {"a1", "a2"}
    assert look(page(*theirs), claims=Claims({"b1": 0, "b2": 0}), port=port, tests=tests)[0] is None
    found, _ = look(page(*runs, *theirs), port=port, tests=tests)
    assert found.end is SubmitEnd.UNCLEAR


def test_a_whole_group_that_may_be_anothers_is_not_called_a_part():
    """No time has passed in which another task could have claimed it."""
    listed = page(run("a1", 1, test_id="t1"), run("a2", 1, test_id="t2"))
    world = World({"list_candidates": listed, "list_tests": Tests({}, frozenset({"t1", "t2"}))})
    request, lines = RunRequest("test", "t"), world.lines.append
    setting = Setting(Port(group=True), request, None, 60.0, lambda: 0.0, lines, claims=Claims())
    found = world.run(look_up(setting, Scope("p"), Intent(NOW, NOW), LOOKS))
    assert found.message.startswith(
        "a new run of the same target was found, but it may belong to another task"
    )
    assert set(found.candidates) == {"a1", "a2"}


def test_after_a_day_a_run_can_be_anybodys():
    """The claims of that time are gone, so what is found makes the end unclear."""
    world = World({"list_candidates": page(run("a", 1))})
    claims = Claims()
    setting = Setting(
        Port(), RunRequest("test", "t"), None, 60.0, world.clock, world.lines.append, claims=claims
    )
    later = NOW + timedelta(hours=24)
    found = world.run(look_up(setting, Scope("p"), Intent(NOW, NOW), LOOKS, now=later))
    assert (found.end, found.candidates, claims.claimed) == (SubmitEnd.UNCLEAR, ("a",), [])


# -- a test alone and in a group


class GroupClaims(Claims):
    """The claims of a group, which are found only with its smallest run id."""

    def __init__(self, *group):
        super().__init__()
        self._group = frozenset(group)

    def of_others(self, run_ids, *, most=50):
        self.asked += 1
        return self._group & set(run_ids) if min(self._group) in run_ids else frozenset()


def beside(*listed, claims, candidates=None):
    """Look for a single test's run while the project's list shows these runs."""
    candidates = candidates or page(run("b", 1))
    answers = {"list_candidates": candidates, "list_neighbours": script(*listed)}
    world = World(answers)
    setting = Setting(
        Port(neighbours=True),
        RunRequest("test", "t"),
        None,
        60.0,
        world.clock,
        world.lines.append,
        claims=claims,
    )
    return world.run(look_up(setting, Scope("p"), Intent(NOW, NOW), LOOKS))


def test_a_run_of_anothers_group_is_never_taken_for_a_single_test():
    group = page(run("b", 1), run("a", 1))
    assert beside(group, claims=GroupClaims("a", "b")) is None
    both = page(run("ours", 2), run("b", 1))
    assert beside(group, claims=GroupClaims("a", "b"), candidates=both).submission == adopted("ours")
    assert beside(group, claims=GroupClaims("x", "y")).submission == adopted("b")


def test_a_run_without_a_time_has_no_neighbours():
    timeless = page(active("b", "queued"))
    found = beside(timeless, candidates=timeless, claims=GroupClaims("a", "b"))
    assert (found.end, found.candidates) == (SubmitEnd.UNCLEAR, ("b",))


def test_the_group_is_found_on_a_later_page_of_the_list():
    busy = [
        page(*(run(f"c{number}-{row}", 20) for row in range(3)), cursor=f"p{number}") for number in range(3)
    ]
    assert beside(*busy, page(run("b", 1), run("a", 1)), claims=GroupClaims("a", "b")) is None


def test_runs_of_another_minute_are_not_of_the_group():
    """They end the search, though the list has more pages."""
    older = page(run("b", 1), run("a", -30), cursor="more")
    assert beside(older, claims=GroupClaims("a", "b")).submission == adopted("b")


@pytest.mark.parametrize(
    "listed",
    [
        [fault(FaultKind.REFUSED)],
        [page(*(run(f"c{number}", 1) for number in range(301)))],
        [page(run("b", 1), cursor="again"), page(run("b", 1), cursor="again")],
    ],
    ids=["refused", "busy", "endless"],
)
def test_a_project_that_cannot_be_listed_proves_nothing(listed):
    found = beside(*listed, claims=GroupClaims("x", "y"))
    assert (found.end, found.candidates) == (SubmitEnd.UNCLEAR, ("b",))


# -- the last read


def test_a_run_that_is_first_listed_at_the_last_read_is_adopted():
    """Another task has time to claim it, so the list is read once more."""
    late = script(*[page()] * (len(LOOKS) - 1), page(run("late", 1)))
    found, world = look(late, claims=Claims())
    assert found.submission == adopted("late")
    assert world.slept == [*LOOKS, 4.0, 2.0]
    late = script(*[page()] * (len(LOOKS) - 1), page(run("twin", 1)))
    assert look(late, claims=Claims({"twin": 2}))[0] is None


def test_a_run_that_another_task_claims_during_the_last_read_is_not_adopted():
    """Both claim it, and the other one's claim is the later one."""
    late = script(*[page()] * (len(LOOKS) - 2), page(run("a", 1)))
    claims = Claims({"a": 3})
    assert look(late, claims=claims)[0] is None
    assert claims.claimed == [("a",)]


def test_a_claim_that_cannot_be_read_back_proves_nothing():
    """Another task may have claimed the run meanwhile."""

    class Forgetful(Claims):
        def of_others(self, run_ids, *, most=50):
            return None if self.claimed else super().of_others(run_ids)

    late = script(*[page()] * (len(LOOKS) - 2), page(run("a", 1)))
    found, _ = look(late, claims=Forgetful())
    assert (found.end, found.candidates, found.look_again) == (SubmitEnd.UNCLEAR, ("a",), True)


# -- a slow Airflow


class SlowClaims(Claims):
    """Claims of an Airflow whose every call takes some seconds."""

    def __init__(self, world, seconds, others=()):
        super().__init__(others)
        self._world, self._seconds = world, seconds
        self.slowest = seconds

    def of_others(self, run_ids, *, most=50):
        self._world.now += self._seconds
        return super().of_others(run_ids)

    def claim(self, run_ids):
        self._world.now += self._seconds
        return super().claim(run_ids)


def look_slowly(seconds, looks=LOOKS, others=()):
    """Look for a run that is there from the first read on."""
    world = World({"list_candidates": page(run("a", 1)), "list_tests": None})
    claims = SlowClaims(world, seconds, others)
    setting = Setting(
        Port(), RunRequest("test", "t"), None, 60.0, world.clock, world.lines.append, claims=claims
    )
    return world.run(look_up(setting, Scope("p"), Intent(NOW, NOW), looks)), world, claims


def test_a_run_is_left_to_a_task_that_is_slow_to_claim_it():
    """Where each call takes nine seconds, its record and its claim take eighteen."""
    found, world, claims = look_slowly(9.0, others={"a": 3})
    assert (found, claims.claimed) == (None, [])
    found, world, claims = look_slowly(9.0)
    assert found.submission == adopted("a")
    # After its last claim, it waits for one that another task may be writing.
    assert claims.asked >= 4
    assert world.slept[-1] == 2.0 + 3 * 9.0


def test_a_search_that_is_too_short_for_a_slow_airflow_leaves_the_run_to_a_later_one():
    found, _, claims = look_slowly(3.0, looks=BRIEF_LOOKS)
    assert (found.end, found.candidates, found.look_again) == (SubmitEnd.UNCLEAR, ("a",), True)
    assert claims.claimed == []
