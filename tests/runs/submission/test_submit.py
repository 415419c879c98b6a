from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.service import FaultKind, Match, RunRequest, Scope, Submission, Tests
from airflow_provider_testerarmy.runs.submission.lookup import BRIEF_LOOKS, LOOKS, find, reconcile
from airflow_provider_testerarmy.runs.submission.record import Intent
from airflow_provider_testerarmy.runs.submission.setting import Setting, SubmitEnd
from airflow_provider_testerarmy.runs.submission.submit import MAX_SENDS, submit
from tests.runs.scripted import (
    START,
    Claims,
    Notes,
    Port,
    World,
    active,
    ambiguous,
    fault,
    finished,
    page,
    script,
    submission,
    transient,
)

TEST = RunRequest("test", "t")


def at(world, seconds=0.0):
    """Return a moment by the service's clock, from the beginning on."""
    return World({}, START + world.service_ahead + seconds).server_time()


def start(answers, *, intent=None, known=(), max_outage=600.0, port=None, claims=None, **options):
    """Submit; return the end, the journal, and the world."""
    world = World({"prepare": Scope("p", "Title"), "list_newest": (), **answers}, **options)
    notes = Notes(world)
    setting = Setting(
        port or Port(), TEST, notes, max_outage, world.clock, world.lines.append, frozenset(known), claims
    )
    earlier = None if intent is None else Intent(at(world, intent), at(world, intent))
    return world.run(submit(setting, earlier)), notes, world


def new(run_id, seconds=0.0, status="queued", **fields):
    """Return a run created so many seconds after the beginning."""
    return active(run_id, status, created_at=World({}, START + seconds).server_time(), **fields)


# -- without faults


def test_an_intent_is_written_down_before_the_request_goes_out():
    """And its answer after it: a crash in between leaves a trace."""
    ended, notes, world = start({"submit": submission("a")})
    assert (ended.end, ended.submission, ended.message) == (SubmitEnd.SUBMITTED, Submission(("a",)), "")
    assert notes.order == ["intent after 0 sends", "submitted after 1 sends"]
    assert notes.entries[0][1] == Intent(world.server_time(), world.server_time())
    assert [question.name for question in world.asked] == ["prepare", "list_newest", "submit"]


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (FaultKind.DENIED, SubmitEnd.DENIED),
        (FaultKind.NOT_FOUND, SubmitEnd.REFUSED),
        (FaultKind.REFUSED, SubmitEnd.REFUSED),
        (FaultKind.CONFLICT, SubmitEnd.REFUSED),
        (FaultKind.TRANSIENT, SubmitEnd.UNAVAILABLE),
        (FaultKind.RATE_LIMITED, SubmitEnd.UNAVAILABLE),
    ],
)
def test_a_target_that_cannot_be_seen_is_not_submitted(kind, end):
    """A wrong id or key shows before anything is sent."""
    ended, notes, world = start({"prepare": fault(kind)})
    assert (ended.end, ended.message) == (end, f"it is {kind}")
    assert (notes.names, world.count("submit")) == ([], 0)


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (FaultKind.REFUSED, SubmitEnd.REFUSED),
        (FaultKind.CONFLICT, SubmitEnd.REFUSED),
    ],
)
def test_a_refused_submission_started_nothing(kind, end):
    """It is sent once, and no lookup is needed."""
    ended, notes, world = start({"submit": fault(kind)})
    assert (ended.end, notes.names) == (end, ["intent", "nothing_started"])
    assert (world.count("submit"), world.count("list_candidates")) == (1, 0)


def test_a_key_that_is_rejected_twice_ends_the_submission():
    """Nothing was started, and nothing is looked for."""
    denied = fault(FaultKind.DENIED)
    ended, notes, world = start({"submit": denied})
    assert (ended.end, notes.names) == (
        SubmitEnd.DENIED,
        ["intent", "not_sent", "intent", "not_sent", "nothing_started"],
    )
    assert (world.count("submit"), world.count("list_candidates")) == (2, 0)


@pytest.mark.parametrize(
    ("question", "answer"),
    [("prepare", Scope("p", "Title")), ("list_newest", ()), ("submit", submission("a"))],
)
def test_a_key_that_is_rejected_once_is_tried_again(question, answer):
    """It was revoked a moment before its successor was stored; a rejected request had no effect."""
    asked = {"submit": submission("a"), question: script(fault(FaultKind.DENIED), answer)}
    ended, _, world = start(asked)
    assert (ended.end, world.count(question)) == (SubmitEnd.SUBMITTED, 2)


@pytest.mark.parametrize("kind", [FaultKind.NOT_FOUND, FaultKind.REFUSED])
def test_a_refusal_that_may_have_had_an_effect_is_looked_into(kind):
    """The target was there a moment ago: a 404 or a redirect may come from something in between."""
    refused = fault(kind, may_have_effect=kind is FaultKind.REFUSED)
    ended, notes, world = start({"submit": refused, "list_candidates": page(new("a"))})
    assert (ended.submission, notes.names) == (Submission(("a",), adopted=True), ["intent", "submitted"])
    ended, notes, world = start({"submit": refused, "list_candidates": page()})
    assert (ended.end, notes.names) == (SubmitEnd.REFUSED, ["intent", "nothing_started"])
    assert world.count("submit") == 1


def test_what_was_not_sent_is_sent_again():
    """It is retried for ``max_outage``; no lookup is needed."""
    ended, notes, world = start({"submit": script(transient(), transient(), submission("a"))})
    assert (ended.end, notes.names) == (
        SubmitEnd.SUBMITTED,
        ["intent", "not_sent", "intent", "not_sent", "intent", "submitted"],
    )
    ended, notes, world = start({"submit": transient()})
    assert (ended.end, notes.names[-1]) == (SubmitEnd.UNAVAILABLE, "nothing_started")
    assert set(notes.names[:-1]) == {"intent", "not_sent"}
    assert 600 <= sum(world.slept) < 660
    assert world.count("list_candidates") == 0


def test_retry_after_is_obeyed_within_reason():
    """``Retry-After`` is obeyed, but not for years."""
    limits = [fault(FaultKind.RATE_LIMITED, retry_after=after) for after in (45.0, float("inf"))]
    assert start({"submit": script(limits[0], submission("a"))})[2].slept == [45.0]
    assert start({"submit": script(limits[1], submission("a"))})[2].slept == [600.0]


class TakenOver(Notes):
    """A journal of a try that another one has replaced by its second request."""

    def intent(self, intent):
        if "intent" in self.names:
            raise RuntimeError("another try has taken over")
        super().intent(intent)


def test_a_worker_that_was_away_does_not_send():
    """It paused for the service's rate limit, was taken for lost, and goes on after the next try began."""
    limit = fault(FaultKind.RATE_LIMITED, retry_after=75.0)
    world = World({"prepare": Scope("p"), "list_newest": (), "submit": script(limit, submission("a"))})
    setting = Setting(Port(), TEST, TakenOver(world), 600.0, world.clock, world.lines.append)
    with pytest.raises(RuntimeError, match="taken over"):
        world.run(submit(setting))
    assert (world.count("submit"), world.slept) == (1, [75.0])


# -- after an ambiguous answer


LISTS = {
    "at once": (script(page(new("a"))), "adopted", 1),
    "late": (script(page(), page(), page(), page(new("a"))), "adopted", 4),
    "at the last look": (script(*[page()] * 5, page(new("a"))), "adopted", 6),
    "a second early": (script(page(new("a", -1))), "adopted", 1),
    "never": (script(page()), "again", 6),
    "two": (script(page(new("a"), new("b"))), "unclear", 1),
    "an old one": (script(page(new("a", -3600))), "again", 6),
    "another request's": (script(page(new("a"), match=Match.NO)), "again", 6),
    "a known one": (script(page(new("known"))), "again", 6),
    "a known one and ours": (script(page(new("a"), new("known"))), "adopted", 1),
    "on the second page": (script(page(new("x"), cursor="2", match=Match.NO), page(new("a"))), "adopted", 2),
    "behind a hiccup": (script(transient(), transient(), page(new("a"))), "adopted", 3),
    "without a time": (script(page(active("a"))), "adopted", 1),
}


@pytest.mark.parametrize("shown", LISTS)
def test_an_ambiguous_answer_is_settled_against_the_list(shown):
    """One match is adopted, none is sent again, several are unclear."""
    listed, fate, looks = LISTS[shown]
    answers = {"submit": script(ambiguous(), submission("z")), "list_candidates": listed}
    ended, notes, world = start(answers, known=["known"])
    assert world.count("list_candidates") == looks
    if fate == "adopted":
        assert (ended.submission, world.count("submit")) == (Submission(("a",), adopted=True), 1)
        assert notes.names == ["intent", "submitted"]
    elif fate == "again":
        assert (ended.submission, world.count("submit")) == (Submission(("z",)), 2)
        assert world.slept == list(LOOKS)
        assert notes.names == ["intent", "intent", "submitted"]
    else:
        assert (ended.end, ended.candidates) == (SubmitEnd.UNCLEAR, ("a", "b"))
        assert "more new runs were found than one submission starts: 2 runs (a, b)" in ended.message
        assert (notes.names, world.count("submit")) == (["intent", "unclear"], 1)


@pytest.mark.parametrize("kind", FaultKind)
def test_what_cannot_be_looked_up_is_unclear(kind):
    """Nothing is guessed, and the intent stays written down."""
    ended, notes, world = start({"submit": ambiguous(), "list_candidates": fault(kind)})
    later = kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.DENIED)
    assert (ended.end, ended.look_again, world.count("submit")) == (SubmitEnd.UNCLEAR, later, 1)
    assert notes.names == (["intent"] if later else ["intent", "unclear"])


def test_a_service_without_lists_leaves_it_unclear():
    """The effect cannot be determined, so it is not sent again."""
    ended, notes, world = start({"submit": ambiguous()}, port=Port(active_statuses=()))
    assert (ended.end, notes.names, world.count("submit")) == (SubmitEnd.UNCLEAR, ["intent", "unclear"], 1)
    assert "cannot look up what was started" in ended.message
    assert not ended.look_again


def test_a_list_that_never_ends_is_no_proof():
    """A cursor that repeats could hide the run, so nothing is sent again."""
    answers = {"submit": ambiguous(), "list_candidates": page(new("x"), cursor="again", match=Match.NO)}
    ended, _, world = start(answers, max_outage=30.0)
    assert (ended.end, ended.look_again, world.count("submit")) == (SubmitEnd.UNCLEAR, True, 1)


def test_sends_are_bounded():
    """For any number of lost responses."""
    ended, notes, world = start({"submit": ambiguous(), "list_candidates": page()})
    assert (ended.end, world.count("submit")) == (SubmitEnd.UNAVAILABLE, MAX_SENDS)
    assert notes.names == ["intent"] * MAX_SENDS + ["nothing_started"]


@pytest.mark.parametrize("hours", [-26, -1, 1, 26])
def test_clocks_may_differ(hours):
    """The service's clock decides which runs are new; the worker's clock does not matter."""
    ahead = hours * 3600.0
    old, ours = new("old", ahead - 61), new("a", ahead + 1)
    answers = {"submit": ambiguous(), "list_candidates": page(ours, old)}
    ended, notes, _ = start(answers, service_ahead=ahead)
    assert ended.submission == Submission(("a",), adopted=True)
    assert notes.entries[0][1].since == at(World({}, service_ahead=ahead))


# -- after a crash


def test_a_lost_intent_is_looked_for_before_anything_is_sent():
    """What it started is adopted."""
    ended, notes, world = start({"list_candidates": page(new("a", -30))}, intent=-31)
    assert ended.submission == Submission(("a",), adopted=True)
    assert (notes.names, world.count("submit")) == (["submitted"], 0)


@pytest.mark.parametrize("age", [1, 59, 61, 3600])
def test_a_lost_intent_that_started_nothing_is_submitted(age):
    """After every look, however old it is: an outage may lie between an intent and its request."""
    ended, notes, world = start({"list_candidates": page(), "submit": submission("z")}, intent=-age)
    assert ended.submission == Submission(("z",))
    assert notes.names == ["intent", "submitted"]
    assert world.slept == list(LOOKS)
    assert notes.entries[0][1].since > World({}, START - age).server_time()


def test_a_lost_intent_of_which_two_were_found_is_unclear():
    """And stays written down as it was."""
    ended, notes, world = start({"list_candidates": page(new("a"), new("b"))}, intent=-9)
    assert (ended.end, notes.names, world.count("submit")) == (SubmitEnd.UNCLEAR, ["unclear"], 0)


def test_a_lost_intent_that_cannot_be_looked_for_may_be_looked_for_later():
    """The next try may succeed."""
    ended, notes, _ = start({"list_candidates": transient()}, intent=-9)
    assert (ended.end, ended.look_again, notes.names) == (SubmitEnd.UNCLEAR, True, [])


@pytest.mark.parametrize("kind", FaultKind)
def test_a_lost_intent_whose_target_cannot_be_seen_is_not_called_nothing(kind):
    """It was started, perhaps, before the target or the service went away."""
    ended, notes, _ = start({"prepare": fault(kind)}, intent=-9, max_outage=5.0)
    later = kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED)
    end = SubmitEnd.DENIED if kind is FaultKind.DENIED else SubmitEnd.UNCLEAR
    assert (ended.end, ended.look_again, notes.names) == (end, later, [])


def test_who_is_being_stopped_looks_briefly():
    """For what it had started; None when it started nothing."""
    world = World({"prepare": Scope(), "list_candidates": page()})
    setting = Setting(Port(), TEST, Notes(world), 0.0, world.clock, world.lines.append)
    assert world.run(find(setting, Intent(at(world), at(world)))) is None
    assert world.slept == list(BRIEF_LOOKS)
    world.answers["list_candidates"] = page(new("a"))
    assert world.run(find(setting, Intent(at(world), at(world)))).submission == Submission(
        ("a",), adopted=True
    )
    world.answers["prepare"] = transient()
    assert world.run(find(setting, Intent(at(world), at(world)))).end is SubmitEnd.UNCLEAR


# -- groups


GROUP_TESTS = Tests({"t1": "One", "t2": "Two", "off": "Off"}, frozenset({"t1", "t2"}))
ONE, TWO = new("a", test_id="t1"), new("b", test_id="t2")


@pytest.mark.parametrize(
    ("listed", "fate"),
    [
        (page(TWO, ONE), "adopted"),
        (script(page(), page(ONE), page(TWO, ONE)), "adopted"),
        (page(TWO, ONE, new("x", test_id="other")), "adopted"),
        (page(), "again"),
        (page(new("x", test_id="other")), "again"),
        (page(ONE), "only some of its runs were found: 1 run (a)"),
        (page(TWO, ONE, new("c", test_id="t1")), "more new runs were found than one submission starts"),
        (page(ONE, new("c", test_id="t1")), "more new runs were found than one submission starts"),
    ],
)
def test_a_group_is_adopted_whole_or_not_at_all(listed, fate):
    """The rest of a part would count as tested."""
    answers = {
        "submit": script(ambiguous(), submission("z")),
        "list_tests": GROUP_TESTS,
        "list_candidates": listed,
    }
    ended, _, world = start(answers, port=Port(group=True))
    if fate == "adopted":
        assert set(ended.submission.run_ids) == {"a", "b"}
    elif fate == "again":
        assert ended.submission == Submission(("z",))
    else:
        assert ended.end is SubmitEnd.UNCLEAR
        assert fate in ended.message
        assert world.count("submit") == 1


def test_the_tests_of_a_group_come_from_all_pages():
    """And what cannot be listed leaves it unclear."""
    pages = script(Tests({}, frozenset({"t1"}), "2"), Tests({}, frozenset({"t2"})))
    answers = {"submit": ambiguous(), "list_tests": pages, "list_candidates": page(TWO, ONE)}
    assert start(answers, port=Port(group=True))[0].end is SubmitEnd.SUBMITTED
    for tests in (fault(FaultKind.NOT_FOUND), transient(), Tests({}, frozenset({"t1"}), "again")):
        answers["list_tests"] = tests
        ended, _, world = start(answers, port=Port(group=True))
        assert (ended.end, world.count("submit")) == (SubmitEnd.UNCLEAR, 1)


def test_rejected_runs_of_an_adopted_group_are_known():
    """The service cancelled them at once."""
    found = [ONE, finished("b", status="cancelled", test_id="t2")]
    ended = reconcile(found, frozenset({"t1", "t2"}))
    assert ended.submission == Submission(("a", "b"), ("b",), adopted=True)


# -- a late answer


def test_runs_that_another_task_has_taken_meanwhile_are_left_to_it():
    """It lost the answer to an equal request, and nobody had claimed the run. Both would wait for it otherwise."""
    answers = {"submit": script(submission("a"), submission("b")), "list_candidates": page(new("a"))}
    ended, notes, world = start(answers, claims=Claims({"a": 0}), seconds_per_answer=3.0)
    assert (ended.submission, notes.names) == (Submission(("b",)), ["intent", "intent", "submitted"])
    assert "another task with the same request has taken 1 run (a)" in world.lines[0]


def test_the_run_of_the_other_task_is_taken_in_exchange():
    """Its request has started one, too."""
    both = page(new("a"), new("theirs"))
    claims = Claims({"a": 0})
    ended, _, world = start(
        {"submit": submission("a"), "list_candidates": both}, claims=claims, seconds_per_answer=3.0
    )
    assert (ended.submission, world.count("submit")) == (Submission(("theirs",), adopted=True), 1)
    assert claims.claimed == [("theirs",)]


@pytest.mark.parametrize(
    ("seconds", "claims", "asked"),
    [(0.5, Claims({"a": 0}), 0), (3.0, Claims(), 1), (3.0, Claims(answers=False), 1)],
    ids=["prompt", "nobody else's", "Airflow does not answer"],
)
def test_other_answers_are_taken_at_their_word(seconds, claims, asked):
    """After a prompt answer, Airflow is not even asked."""
    ended, _, _ = start({"submit": submission("a")}, claims=claims, seconds_per_answer=seconds)
    assert (ended.submission, claims.asked) == (Submission(("a",)), asked)
