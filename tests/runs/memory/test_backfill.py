"""Nights of the past that are judged late, as a backfill or a clear does: judged by the nights before them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.memory.folding import fold
from airflow_provider_testerarmy.runs.memory.judge import Standing, judge
from airflow_provider_testerarmy.runs.memory.model import NIGHTS, Memory, NightRef, Quarantine
from airflow_provider_testerarmy.runs.memory.ring import load, remember, remember_steps
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, VerdictKind
from tests.runs.memory.store import DAY, SCOPE, START, Texts, Writer, keys, night
from tests.runs.memory.test_judge import ACCEPTING, NEW, RULE, nights, ref, run, text


def backfilled(number, letter, memory, gate=NEW, judged=30):
    """Judge a night of the past long after it was due."""
    late = NightRef.of(f"late{number}", START + judged * DAY, due=START + number * DAY)
    return judge(gate, [run("a", letter)], memory, late)


def test_a_night_of_the_past_is_judged_by_the_nights_before_it():
    """What came after it does not matter: neither a later failure nor a later pass."""
    _, memory = nights({"a": "PPFFPP"})
    assert backfilled(1.5, "F", memory).findings[0].standing is Standing.NEW
    known = backfilled(3.5, "F", memory)
    assert (known.findings[0].standing, known.findings[0].nights) == (Standing.KNOWN, 3)
    assert "since 3 nights, first on commit 0000002" in text(known)
    assert backfilled(5.5, "F", memory).findings[0].standing is Standing.NEW


@pytest.mark.parametrize("number", [0.5, 1.5, 2.5])
def test_a_failure_of_the_past_does_not_hide_one_of_tonight(number):
    """The product of that night was broken, and has been repaired since then."""
    _, memory = nights({"a": "PPPP"})
    memory = fold(memory, backfilled(number, "F", memory).night)
    tonight = judge(NEW, [run("a", "F")], memory, ref(4))
    assert (tonight.findings[0].standing, tonight.verdict.kind) == (Standing.NEW, VerdictKind.FAILED)
    assert "last good 2024-10-07 on commit 0000003" in text(tonight)


def test_a_backfill_shows_the_night_on_which_a_test_broke():
    """Played backwards: each night finds its place."""
    _, memory = nights({"a": "PEEEE"})
    for number in (4, 3, 2, 1):
        late = NightRef.of(f"n{number}", START + 9 * DAY - number, f"{number:07x}", "", START + number * DAY)
        memory = fold(memory, judge(NEW, [run("a", "F" if number > 2 else "P")], memory, late).night)
    assert memory.tests["a"].letters == "PPPFF"
    found = judge(NEW, [run("a", "F")], memory, ref(5))
    assert (found.findings[0].standing, found.findings[0].nights) == (Standing.KNOWN, 3)
    assert "first on commit 0000003" in text(found)


def test_a_night_before_all_others_is_no_first_night():
    """`baseline` accepts nothing on it: the gate does have a memory."""
    _, memory = nights({"a": "PP"}, begin=5)
    accepting = backfilled(1, "F", memory, ACCEPTING)
    assert (accepting.findings[0].standing, accepting.verdict.kind) == (Standing.UNKNOWN, VerdictKind.FAILED)
    assert "No earlier night is remembered" in text(accepting)


def test_a_quarantine_counts_from_the_day_on_which_a_night_was_judged():
    """Not from the day for which it was due."""
    _, memory = nights({"a": "PFPFP"})
    found = backfilled(4.5, "F", memory, RULE)
    (change,) = found.night.quarantines.values()
    assert (change.since, change.until) == (START + 30 * DAY, START + 44 * DAY)


def at(number, name="", due=None):
    """A night, judged on this day, at an address of its own."""
    address = f"https://{name or f'n{number}'}.shop.example"
    return NightRef.of(
        f"at{number}", START + number * DAY, "", address, None if due is None else START + due * DAY
    )


def judged_as(letter, where, memory):
    """Judge a night, and remember it."""
    found = judge(NEW, [run("a", letter)], memory, where)
    return found.findings[0].between if found.findings else (), fold(memory, found.night)


def test_an_address_that_a_backfill_has_used_again_is_not_tried():
    """It shows the product of the backfilled night now, though that night was due earlier."""
    memory = Memory()
    for number, letter in enumerate("PEE"):
        _, memory = judged_as(letter, at(number), memory)
    between, _ = judged_as("F", at(3), memory)
    assert [one.usable for one in between] == [True, True, True, True]
    _, memory = judged_as("E", at(2.5, "n1", due=0.5), memory)
    between, _ = judged_as("F", at(3), memory)
    assert [one.usable for one in between] == [True, True, False, True, True]


def test_a_backfill_does_not_try_the_address_of_a_later_night():
    """The later night has deployed another product there."""
    memory = Memory()
    for number, letter in enumerate("PE"):
        _, memory = judged_as(letter, at(number), memory)
    _, memory = judged_as("P", at(9, "n1"), memory)
    between, _ = judged_as("F", at(9.5, "n2", due=2), memory)
    assert [one.usable for one in between] == [True, False, True]


def test_the_quarantine_of_a_night_before_all_that_are_kept_is_not_lost():
    """Another run has read the memory before, and stores its own night last."""
    storage = Texts()
    for number in range(NIGHTS):
        assert remember(storage, SCOPE, night(number), now=START + number * DAY, token=f"{number}") is None
    now = START + NIGHTS * DAY
    note = Quarantine.of("gate", "flaky", now, now + 9 * DAY)
    early = night(99, {"a": "F"}, at=now, due=START - DAY, quarantines={"a": note})
    other = Writer("other", remember_steps(SCOPE, night(NIGHTS), now, "other"))
    doors = len([key for key in storage.texts if key.endswith("door")])
    while len([key for key in storage.texts if key.endswith("door")]) == doors:
        other.step(storage)
    assert remember(storage, SCOPE, early, now=now, token="early") is None
    while not other.over:
        other.step(storage)
    memory = load(storage, SCOPE, now=now)
    assert (keys(memory)[-1], memory.tests["a"].quarantine) == (f"run-{NIGHTS}", note)


LATE = st.lists(st.tuples(st.floats(0, 9, exclude_max=True), st.sampled_from("PKFECSU")), max_size=12)


@given(regular=st.text("PKF", min_size=9, max_size=9), late=LATE)
@settings(deadline=None)
def test_no_backfill_hides_the_first_failure_after_a_pass(regular, late):
    """Whatever it finds on the nights before that pass, and in whatever order."""
    _, memory = nights({"a": regular + "P"})
    for place, (due, letter) in enumerate(late):
        where = NightRef.of(f"late{place}", START + (10 + place / 100) * DAY, due=START + due * DAY)
        memory = fold(memory, judge(NEW, [run("a", letter)], memory, where).night)
    tonight = judge(NEW, [run("a", "F")], memory, ref(11))
    assert (tonight.findings[0].standing, tonight.verdict.kind) == (Standing.NEW, VerdictKind.FAILED)


@given(letters=st.text("PKFECSU", min_size=2, max_size=2), later=st.text("PKFECSU", min_size=1, max_size=6))
@settings(deadline=None)
def test_without_an_earlier_night_no_verdict_is_milder_than_under_all(letters, later):
    """Later ones say nothing of it, and are no reason to accept a baseline."""
    _, memory = nights({"a": later, "b": later}, begin=3)
    results = [run(test, letter) for test, letter in zip("ab", letters, strict=True)]
    one = judge(ACCEPTING, results, memory, NightRef.of("b", START + 30 * DAY, due=START))
    assert one.verdict.kind is QualityGate().judge(results).kind
