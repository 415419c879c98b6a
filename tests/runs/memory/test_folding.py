"""The memory as nights are added to it: what it says of a test, and what leaves it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.memory.folding import chosen, fold, fold_all, without_night
from airflow_provider_testerarmy.runs.memory.model import (
    NIGHTS,
    TESTS,
    Fingerprint,
    Mark,
    Memory,
    Night,
    NightRef,
    Quarantine,
    Seen,
    Streak,
    test_key,
)
from tests.runs.memory.store import DAY, START, keys, night


def after(letters):
    """The memory and the test after nights with these letters."""
    memory = fold_all(Memory(), [night(at, {"a": letter, "b": "P"}) for at, letter in enumerate(letters)])
    return memory, memory.test("a")


@pytest.mark.parametrize(
    ("letters", "streak", "last_pass"),
    [
        ("P", None, 0),
        ("F", (1, 0), None),
        ("PFF", (2, 1), 0),
        ("PFFP", None, 3),
        ("KFV", (2, 1), 0),
        # What says nothing neither ends a streak nor adds to it.
        ("PFESCU.F", (2, 1), 0),
        # What was not judged ends it: it is no known failure afterwards.
        ("PFf", None, 0),
        ("PFfF", (1, 3), 0),
        ("PFp", None, 2),
        ("F" * 25, (25, 0), None),
        ("P" + "F" * 25, (25, 1), 0),
        ("F" * 5 + "P" * 25, None, 29),
        ("FFP" + "F" * 22, (22, 3), 2),
        ("P" + "E" * 25, None, 0),
        ("PF" + "E" * 25, (1, 1), 0),
    ],
)
def test_streak_and_last_pass(letters, streak, last_pass):
    """Of the nights that are kept, and of those that have left."""
    memory, test = after(letters)
    found = memory.streak(test)
    count, first = streak or (0, 0)
    assert found == (Streak(count, Mark(START + first * DAY, f"{first:07x}")) if streak else None)
    good = memory.last_pass(test)
    assert (good.at if good else None) == (None if last_pass is None else START + last_pass * DAY)


def test_the_last_twenty_nights_are_kept():
    """Each with its run, time, commit and address, once."""
    memory, test = after("PF" * 15)
    assert keys(memory) == [f"run-{number}" for number in range(10, 30)]
    assert test.letters == "PF" * 10


def test_a_test_that_is_gone_leaves_with_its_last_night():
    """And is new when it comes back."""
    memory = fold(Memory(), night(0, {"gone": "P", "a": "P"}))
    memory = fold_all(memory, [night(number) for number in range(1, NIGHTS)])
    assert "gone" in memory.tests
    assert "gone" not in fold(memory, night(NIGHTS)).tests


OUTCOMES = st.dictionaries(st.sampled_from("abc"), st.sampled_from("PKFVECSUpf"), min_size=1)


@given(
    nights=st.lists(
        st.tuples(
            st.integers(0, 30),
            st.integers(0, 30),
            st.dictionaries(st.sampled_from("abc"), st.sampled_from("PKFVECSUpf"), min_size=1),
        ),
        max_size=NIGHTS,
        unique_by=lambda each: each[0],
    ),
    data=st.data(),
)
@settings(deadline=None)
def test_the_order_in_which_nights_arrive_does_not_matter(nights, data):
    """Nor how often each does, nor how late each was judged."""
    made = [
        night(number, letters, at=START + (number + late) * DAY, due=START + number * DAY)
        for number, late, letters in nights
    ]
    memory = Memory()
    for one in data.draw(st.permutations(made + made[:3])):
        memory = fold(memory, one)
    assert memory == fold_all(Memory(), made)


def test_a_run_that_is_judged_again_replaces_its_night_and_an_older_try_does_not():
    """One DAG run is one night."""
    memory = fold_all(Memory(), [night(0), night(1, {"a": "F"}), night(2)])
    memory = fold(memory, night(1, {"a": "P"}, at=START + 3 * DAY))
    assert keys(memory) == ["run-0", "run-2", "run-1"]
    assert memory.tests["a"].letters == "PPP"
    assert fold(memory, night(1, {"a": "F"}, at=START + DAY)) == memory
    assert keys(without_night(memory, "run-2")) == ["run-0", "run-1"]
    assert without_night(memory, "other") is memory


def test_a_night_that_is_judged_late_stays_where_it_belongs():
    """A clear, or a backfill in any order: the nights are in the order in which they were due."""
    due = [START + at * DAY for at in range(4)]
    made = [night(at, {"a": letter}, at=START + late * DAY, due=due[at])
            for at, letter, late in ((0, "P", 9), (1, "F", 8), (2, "F", 7), (3, "P", 6))]  # fmt: skip
    memory = fold_all(Memory(), made)
    assert (keys(memory), memory.tests["a"].letters) == (["run-0", "run-1", "run-2", "run-3"], "PFFP")
    for one in made:
        memory = fold(memory, one)
    again = night(1, {"a": "P"}, at=START + 10 * DAY, due=due[1])
    assert fold(memory, again).tests["a"].letters == "PPFP"
    assert fold(fold(memory, again), made[1]) == fold(memory, again)
    assert fold(memory, night(9, {"a": "F"}, at=START, due=START + 99 * DAY)).nights[0].at == START


def test_a_night_before_all_that_are_kept_is_not_remembered():
    """It would push out a later one. A quarantine that it found is."""
    memory, _ = after("P" * NIGHTS + "F")
    note = Quarantine.of("gate", "flaky", START + 50 * DAY, START + 60 * DAY)
    early = night(99, {"a": "F"}, at=START + 50 * DAY, due=START, quarantines={"a": note})
    found = fold(memory, early)
    assert (found.nights, found.tests["a"].letters) == (memory.nights, memory.tests["a"].letters)
    assert found.tests["a"].quarantine == note


def test_of_two_notes_about_a_quarantine_the_later_one_holds():
    """In whatever order they are read."""
    early = Quarantine.of("ada", "flaky", START, START + 9 * DAY)
    late = Quarantine.of("bob", "mended", START + DAY, START + DAY, lifted=True)
    notes = [Night(NightRef.of(key, START + DAY), {}, {"a": one}) for key, one in (("x", early), ("y", late))]
    for order in (notes, notes[::-1]):
        memory = Memory()
        for note in order:
            memory = fold(memory, note)
        assert memory.tests["a"].quarantine == late
        assert memory.empty


def test_of_too_many_tests_the_same_ones_are_kept_every_night():
    """A test is remembered whole, or not at all."""
    names = [f"t{number}" for number in range(TESTS + 200)]
    memory = fold_all(Memory(), [night(at, dict.fromkeys(names[at:], "P")) for at in range(3)])
    assert len(memory.tests) == TESTS
    assert set(memory.tests) == chosen(names)
    assert {test.letters for test in memory.tests.values()} <= {"PPP", "P..", "PP."}


def test_the_fingerprint_is_that_of_the_last_failure():
    """Though its night arrives late."""
    early, late = Fingerprint(1, "a" * 8), Fingerprint(2, "b" * 8)
    nights = [
        Night(NightRef.of(f"{at}", START + at * DAY), {"a": Seen("F", one)})
        for at, one in ((1, early), (2, late))
    ]
    for order in (nights, nights[::-1]):
        memory = Memory()
        for one in order:
            memory = fold(memory, one)
        assert memory.tests["a"].fingerprint == late


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://pr-7.shop.example:8443/a/b", "https://pr-7.shop.example:8443/a/b"),
        ("https://ada:secret@shop.example/?token=secret#secret", "https://shop.example/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("javascript:alert(1)", ""),
        ("https://shop.example:notaport/", ""),
        ("https://shop.example/" + "x" * 300, ""),
        ("shop.example", ""),
        ("", ""),
    ],
)
def test_no_secret_of_an_address_is_kept(address, kept):
    """User, password, query and fragment."""
    assert NightRef.of("k", START, "", address).address == kept


@pytest.mark.parametrize("text", ["", "x" * 101, 'a"b', "a\\b", "a\nb", "a\ud800", "\u202ea", "é" * 60])
def test_a_key_that_a_document_cannot_hold_is_kept_as_a_digest(text):
    """Different ones stay different."""
    kept = NightRef.of(text, START).key
    assert len(kept) == 33
    assert kept != NightRef.of(text + "x", START).key


def test_ids_match_in_any_case():
    """As in the gate."""
    assert test_key(" ABC ") == test_key("abc") == "abc"


@pytest.mark.parametrize("at", [-5.0, 1e300])
def test_a_time_that_no_calendar_shows_is_bounded(at):
    """A broken clock breaks no document."""
    assert 0 <= NightRef.of("k", at).at < 2**40
