"""The search for the night on which a test broke: few runs, no guess, and an end in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.results import Deployment, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.runs.verdict.bisect import (
    EXTRA,
    Answer,
    End,
    Found,
    Probe,
    answer_of,
    describe,
    limit,
    next_step,
    so_far,
)
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate

COUNTS = st.integers(0, 60)


def search(count, oracle, *, control=True):
    """Search to the end, and return the answers and the end. The oracle gets a place and a number."""
    answers = []
    while isinstance(step := next_step(count, answers, control=control), Probe):
        assert 0 <= step.place <= count
        answers.append((step.place, oracle(step.place, len(answers))))
        assert len(answers) <= limit(count)
    return answers, step


def truthful(first_bad, silent=frozenset()):
    """An oracle of a product that broke at one place and stayed broken."""

    def answer(place, _number):
        return Answer.NONE if place in silent else Answer.FAILED if place >= first_bad else Answer.PASSED

    return answer


@given(COUNTS, st.booleans(), st.data())
def test_no_search_takes_more_runs_than_its_limit(count, control, data):
    """Whatever the answers are."""
    answers, _ = search(count, lambda *_: data.draw(st.sampled_from(Answer)), control=control)
    assert len(answers) <= limit(count)
    if count:
        assert limit(count) <= math.log2(count) + 1 + EXTRA


@given(st.integers(1, 200), st.booleans(), st.data())
def test_truthful_answers_lead_to_the_first_bad_night(count, control, data):
    """Its neighbour is the last good one."""
    first_bad = data.draw(st.integers(1, count + 1))
    answers, end = search(count, truthful(first_bad), control=control)
    assert end == Found(End.FOUND, first_bad - 1, first_bad)
    assert len(answers) <= count.bit_length() + control + 2


@given(st.integers(1, 60), st.booleans(), st.data())
def test_places_that_do_not_answer_widen_the_range(count, control, data):
    """It has the first bad night, and no place inside of it has answered."""
    first_bad = data.draw(st.integers(1, count + 1))
    silent = data.draw(st.frozensets(st.integers(0, count)))
    answers, end = search(count, truthful(first_bad, silent), control=control)
    assert end.good < first_bad <= end.bad
    assert not {place for place, answer in answers if answer is not Answer.NONE} & set(
        range(end.good + 1, end.bad)
    )
    if end.end is End.FOUND:
        assert (end.good, end.bad) == (first_bad - 1, first_bad)
    if end.end is End.NARROWED:
        assert set(range(end.good + 1, end.bad)) <= silent


@given(st.integers(1, 60), st.booleans(), st.data())
def test_a_place_that_answers_both_is_said(count, control, data):
    """Such a place is no end of a range, and it is tried no further."""
    answers, end = search(
        count, lambda *_: data.draw(st.sampled_from([Answer.PASSED, Answer.FAILED])), control=control
    )
    shown = {}
    for place, answer in answers:
        shown.setdefault(place, set()).add(answer)
    both = {place for place, answers in shown.items() if len(answers) == 2}
    assert (end.end is End.FLAKY) == bool(both)
    assert not both & {end.good, end.bad} - {0, count + 1}
    if both:
        assert {end.place} == both


@given(st.integers(1, 60), st.data())
def test_each_end_of_a_result_has_answered_twice(count, data):
    """Only the ends of the search itself were confirmed before."""
    answers, end = search(count, lambda *_: data.draw(st.sampled_from(Answer)))
    if end.end in (End.FOUND, End.NARROWED):
        for place, wanted in ((end.good, Answer.PASSED), (end.bad, Answer.FAILED)):
            if 0 < place <= count:
                assert [answer for one, answer in answers if one == place].count(wanted) == 2


@given(COUNTS)
def test_a_failure_at_the_last_good_night_ends_the_search(count):
    """It is the first that is tried, so one run shows that no commit explains the failure."""
    answers, end = search(count, truthful(0))
    assert (end.end, len(answers)) == ((End.UNRELATED, 1) if count else (End.NOTHING, 0))


@given(COUNTS, st.lists(st.tuples(st.integers(0, 61), st.sampled_from(Answer)), max_size=9))
def test_any_answers_make_a_range(count, answers):
    """Also those of an older version, or of an edited record."""
    found = so_far(count, [(min(place, count), answer) for place, answer in answers])
    assert 0 <= found.good < found.bad <= count + 1


PLACES = [
    Deployment(86_400 * number, f"{number}4f2d1c9aa", f"https://n{number}.shop.example/", usable=True)
    for number in range(1, 5)
]


@pytest.mark.parametrize(
    ("found", "untested", "said"),
    [
        (
            Found(End.FOUND, 1, 2),
            0,
            "Cart: commit 34f2d1c broke it. First bad 1970-01-04 on commit 34f2d1c at https://n3.shop.example/,",
        ),
        (Found(End.FOUND, 1, 2), 2, "Cart: bisected. It broke after 1970-01-03 on commit 24f2d1c"),
        (Found(End.NARROWED, 0, 2), 1, "1 night between could not be tested."),
        (Found(End.FLAKY, 0, 3, 2), 2, "It passes and fails at 1970-01-04 on commit 34f2d1c"),
        (Found(End.UNRELATED, 0, 3), 0, "It now fails at 1970-01-02 on commit 14f2d1c"),
        (Found(End.LIMIT, 0, 3), 2, "bisected up to the limit of 7 runs."),
        (
            Found(End.NOTHING, 0, 1),
            0,
            "nothing to bisect, because no night lies between. First bad 1970-01-03",
        ),
        (Found(End.NOTHING, 0, 1), 3, "none of the 3 nights between has an address of its own"),
        (Found(End.STOPPED, 0, 1), 0, "bisecting stopped, because the timeout has passed."),
    ],
)
def test_the_end_in_words(found, untested, said):
    """Only two neighbours name a commit."""
    text = describe("Cart", found, PLACES, untested, 7, "the timeout has passed")
    assert said in text
    assert ("broke it" in text) == (found.end is End.FOUND and not untested)


def run(outcome, step=None, code="", phase=Phase.FINISHED):
    steps = () if step is None else (Step("Open", passed=True), Step(step, passed=False, error_code=code))
    return RunResult("r", "ended", phase, outcome, test_id="t", steps=steps)


TONIGHT = run(Outcome.FAILED, "Pay  the bike!")


@pytest.mark.parametrize(
    ("there", "shows"),
    [
        (run(Outcome.PASSED), Answer.PASSED),
        (run(Outcome.FAILED, "pay the bike"), Answer.FAILED),
        (run(Outcome.FAILED, "Open the page"), Answer.NONE),
        (run(Outcome.FAILED, "Pay the bike", "AUTH_CREDENTIAL_INVALID"), Answer.NONE),
        (run(Outcome.FAILED), Answer.NONE),
        (run(Outcome.ERRORED), Answer.NONE),
        (run(Outcome.CANCELLED), Answer.NONE),
        (run(Outcome.SKIPPED), Answer.NONE),
        (run(Outcome.UNKNOWN), Answer.NONE),
        (run(None, phase=Phase.RUNNING), Answer.NONE),
    ],
)
def test_only_the_same_failure_is_one(there, shows):
    """An address that is gone fails a test as well, at another step."""
    assert answer_of(there, TONIGHT, QualityGate().blocks) is shows
