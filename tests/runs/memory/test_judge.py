"""Judging with a memory: what is new, what is known, and what neither may hide."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.memory.folding import fold
from airflow_provider_testerarmy.runs.memory.judge import Standing, judge
from airflow_provider_testerarmy.runs.memory.model import (
    PASSING,
    Memory,
    NightRef,
    Quarantine,
    Unreadable,
)
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, VerdictKind
from tests.runs.memory.store import DAY, START, night
from tests.runs.verdict.test_gate_properties import GATES, RUNS

NEW = QualityGate(fail_on="new")
RULE = QualityGate(fail_on="new", quarantine={"after_transitions": 4, "of": 10, "for": "14d"})
ACCEPTING = QualityGate(fail_on="new", baseline="accept", known_for="30d")
LETTERS = {
    "P": Outcome.PASSED,
    "K": Outcome.PASSED,
    "F": Outcome.FAILED,
    "E": Outcome.ERRORED,
    "C": Outcome.CANCELLED,
    "S": Outcome.SKIPPED,
    "U": Outcome.UNKNOWN,
}


def run(test_id, letter, run_id=None, **fields):
    return RunResult(
        run_id or f"r-{test_id}",
        "ended",
        Phase.FINISHED,
        LETTERS[letter],
        test_id=test_id,
        title=test_id.title(),
        flaky=letter == "K",
        **fields,
    )


def ref(number, key=None, hours=0):
    commit, address = f"{number:07x}", f"https://n{number}.shop"
    return NightRef.of(key or f"n{number}", START + number * DAY + hours * 3600, commit, address)


def nights(outcomes, gate=NEW, memory=Memory(), begin=0, **fields):  # noqa: B008
    """Judge night after night; ``outcomes`` has a string of letters for each test."""
    judged = []
    for number in range(max(map(len, outcomes.values()))):
        results = [
            run(test, letters[number], **fields)
            for test, letters in outcomes.items()
            if number < len(letters)
        ]
        one = judge(gate, results, memory, ref(begin + number))
        memory = fold(memory, one.night)
        judged.append(one)
    return judged, memory


def kinds(judged):
    return "".join(
        {"passed": ".", "failed": "F", "not_judged": "-"}.get(one.verdict.kind, "?") for one in judged
    )


def text(judged):
    return "\n".join(judged.verdict.reasons)


def test_a_failure_fails_the_night_it_is_new_and_is_known_afterwards():
    """The other nights pass, and list it first: since when, and since which commit."""
    judged, _ = nights({"checkout": "PPFFFPF", "login": "PPPPPPP"})
    assert kinds(judged) == "..F...F"
    assert (
        judged[4].verdict.reasons[0] == "1 known failure: Checkout (since 3 nights, first on commit 0000002)."
    )
    assert "1 of 1 judged run passed" in judged[4].verdict.reasons[1]
    assert [one.standing for one in judged[3].findings] == [Standing.KNOWN]


def test_under_all_every_failure_fails_and_the_reason_says_since_when():
    """A memory changes the words alone."""
    judged, _ = nights({"a": "PFFF", "b": "PPPP"}, QualityGate())
    assert kinds(judged) == ".FFF"
    assert "A: failed (since 3 nights, first on commit 0000001)" in text(judged[3])


def test_a_new_failure_says_where_it_broke():
    """The last good and the first bad night, with commits and addresses."""
    judged, _ = nights({"a": "PPF"})
    assert (
        "A: failed (new: last good 2024-10-05 on commit 0000001 at https://n1.shop, "
        "first bad 2024-10-06 on commit 0000002 at https://n2.shop)" in text(judged[2])
    )


def test_a_test_that_is_new_counts():
    """It has not passed before."""
    _, memory = nights({"a": "PP"})
    one = judge(NEW, [run("a", "P"), run("b", "F")], memory, ref(2))
    assert one.verdict.kind is VerdictKind.FAILED
    assert "no pass of it is remembered" in text(one)


def test_a_known_failure_counts_again_when_it_is_known_for_too_long():
    """By default after seven days, every night from then on."""
    judged, _ = nights({"a": "P" + "F" * 11, "b": "P" * 12})
    assert kinds(judged) == ".F.......FFF"
    assert "longer than the gate allows (7 days, 0:00:00)" in text(judged[-1])
    assert kinds(nights({"a": "PFFF", "b": "PPPP"}, QualityGate(fail_on="new", known_for="1d"))[0]) == ".F.F"


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (2, 4, "its issue is graver: severity 2 before, severity 4 now"),
        (5, None, "its issue is graver: severity 5 before, no severity given now"),
        ("Open", "Pay", "another step failed"),
        (4, 2, ""),
        (4, 4, ""),
        ("Pay now!", "pay now", ""),
        ("Pay", "", ""),
    ],
)
def test_a_known_failure_counts_when_its_issue_is_another_one(before, now, said):
    """Graver, or at another step."""

    def failed(what):
        if isinstance(what, str):
            return run("a", "F", steps=(Step("Start", True), Step(what, False)) if what else ())
        return run("a", "F", issues=(Issue("Broken", True, what),))

    memory = fold(Memory(), night(0, {"a": "P", "b": "P"}))
    memory = fold(memory, judge(NEW, [failed(before), run("b", "P")], memory, ref(1)).night)
    one = judge(NEW, [failed(now), run("b", "P")], memory, ref(2))
    assert (one.verdict.kind is VerdictKind.FAILED) is bool(said)
    assert said in text(one)


def test_the_first_night_counts_unless_the_baseline_is_accepted():
    """Accepted failures are known from then on, for as long as others."""
    outcomes = {"a": "F" * 10, "b": "P" * 10}
    assert kinds(nights(outcomes)[0]) == "F.......FF"
    accepted, _ = nights(outcomes, QualityGate(fail_on="new", baseline="accept"))
    assert kinds(accepted) == "........FF"
    assert "accepted: no night before this one" in text(accepted[0])
    assert kinds(nights(outcomes, QualityGate(baseline="accept"))[0]) == "F" * 10


def test_a_memory_that_cannot_be_read_is_said_and_accepts_nothing():
    """Not even where the first night would be."""
    gate = QualityGate(fail_on="new", baseline="accept")
    one = judge(gate, [run("a", "F")], Unreadable("it has version 9"), ref(0))
    assert one.verdict.kind is VerdictKind.FAILED
    assert one.verdict.reasons[0] == (
        "The memory of earlier nights cannot be read (it has version 9), so every failure counts."
    )


def test_a_try_that_runs_again_is_judged_by_the_nights_before_it():
    """Its own failure does not make it a known one."""
    _, memory = nights({"a": "PF", "b": "PP"})
    again = judge(NEW, [run("a", "F"), run("b", "P")], memory, ref(1, hours=2))
    assert again.verdict.kind is VerdictKind.FAILED
    assert fold(memory, again.night).tests["a"].letters == "PF"


def test_nights_that_say_nothing_do_not_make_a_known_failure_new_or_old():
    """What the service broke, or cancelled, is neither passed nor failed; it counts as it always did."""
    judged, memory = nights({"a": "PFEF", "b": "PPPP"})
    assert [one.verdict.kind for one in judged] == ["passed", "failed", "errored", "passed"]
    assert memory.streak(memory.tests["a"]).nights == 2


def test_when_nothing_but_known_failures_is_left_nothing_was_judged():
    """Which is no pass."""
    judged, _ = nights({"a": "PFF"})
    assert kinds(judged) == ".F-"
    assert "every failed test is known, quarantined or non-blocking" in text(judged[2])


def test_of_several_runs_of_a_test_the_worst_counts_and_only_failures_are_left_out():
    """One of them may be broken by the service."""
    _, memory = nights({"a": "PF", "b": "PP"})
    one = judge(NEW, [run("a", "F", "1"), run("a", "E", "2"), run("b", "P")], memory, ref(2))
    assert one.night.tests["a"].letter == "F"
    assert one.verdict.kind is VerdictKind.ERRORED


def test_a_run_without_a_tests_id_is_never_known():
    """Nothing tells which one it was."""
    judged = [judge(NEW, [run("", "F", "x")], Memory(), ref(0))]
    memory = fold(fold(Memory(), night(0)), judged[0].night)
    assert judge(NEW, [run("", "F", "x")], memory, ref(1)).verdict.kind is VerdictKind.FAILED


def test_a_violation_is_a_failure_and_known_all_the_same():
    """A pass that the gate objects to is no pass of the test."""
    gate = QualityGate(fail_on="new", max_severity=2)
    clean, grave = run("a", "P"), run("a", "P", issues=(Issue("Wrong", True, 4),))
    memory = fold(Memory(), judge(gate, [clean, run("b", "P")], Memory(), ref(0)).night)
    first = judge(gate, [grave, run("b", "P")], memory, ref(1))
    second = judge(gate, [grave], fold(memory, first.night), ref(2))
    assert (first.verdict.kind, second.verdict.kind) == ("failed", "not_judged")
    assert "passed with issue" in text(second)


# -- flaky tests


def test_flaky_tests_pass_or_fail_as_the_gate_says():
    """With and without a memory."""
    assert QualityGate().judge([run("a", "K")]).kind is VerdictKind.PASSED
    failed = QualityGate(on_flaky="fail").judge([run("a", "K")])
    assert failed.kind is VerdictKind.FAILED
    assert "passed only after it had failed" in failed.reasons[1]


def test_a_test_that_changes_often_is_quarantined():
    """It runs and is reported, and no longer fails the night."""
    judged, memory = nights({"a": "PFPFPFPPF", "b": "P" * 9}, RULE)
    assert kinds(judged) == ".F.F....."
    assert "quarantined now: 5 changes between passed and failed in 6 nights" in text(judged[5])
    assert "in quarantine by gate" in text(judged[8])
    assert memory.tests["a"].letters == "PFPFPfppf"


@pytest.mark.parametrize("letters", ["PPPP" + "F" * 12, "F" * 16, "PF" * 2 + "F" * 12, "PPFFF" + "P" * 5])
def test_a_test_that_is_simply_broken_is_never_quarantined(letters):
    """However often it failed."""
    _, memory = nights({"a": letters}, RULE)
    assert memory.tests["a"].quarantine is None


def test_a_rule_that_comes_later_does_not_quarantine_what_is_broken_by_now():
    """However often the test changed before; it may when it changes again."""
    _, memory = nights({"a": "PFPFPFF"})
    assert not judge(RULE, [run("a", "F")], memory, ref(7)).night.quarantines
    _, memory = nights({"a": "P"}, NEW, memory, begin=7)
    assert judge(RULE, [run("a", "F")], memory, ref(8)).night.quarantines


def test_a_test_leaves_quarantine_after_five_passes_in_a_row():
    """What it changed before no longer counts against it."""
    judged, memory = nights({"a": "PFPFPF" + "P" * 5 + "F", "b": "P" * 12}, RULE)
    assert memory.tests["a"].quarantine.lifted
    assert "passed 5 nights in a row" in memory.tests["a"].quarantine.reason
    assert kinds(judged) == ".F.F" + "." * 7 + "F"


def test_a_test_that_breaks_in_quarantine_fails_the_night_after_five_failures():
    """It is broken then, and not flaky; quarantine hides it no longer."""
    judged, memory = nights({"a": "PFPFPF" + "F" * 6, "b": "P" * 12}, RULE)
    assert kinds(judged) == ".F.F" + "." * 5 + "F.."
    assert "so it is broken and not flaky" in text(judged[9])
    assert memory.tests["a"].quarantine.lifted


def quarantined(days, owner="ada"):
    note = Quarantine.of(owner, "the shop's clock", START, START + days * DAY)
    return fold(Memory(), night(0, {"a": "P", "b": "P"}, quarantines={"a": note}))


def test_a_quarantine_by_a_person_lasts_until_its_end_whatever_the_test_does():
    """The gate says who and why; three days before, it reminds of the end."""
    judged, _ = nights({"a": "F" * 9, "b": "P" * 9}, NEW, quarantined(10), begin=1)
    assert kinds(judged) == "." * 9
    assert "in quarantine by ada: the shop's clock" in text(judged[5])
    assert "Warning" not in text(judged[5])
    assert (
        judged[7].verdict.reasons[0] == "Warning: A: in quarantine by ada: the shop's clock; ends in 2 days."
    )


@pytest.mark.parametrize("letters", ["F" * 4, "PPKP"])
def test_past_its_end_the_gate_fails_and_names_it(letters):
    """A quarantine is never forgotten, though the test passes."""
    judged, memory = nights({"a": letters, "b": "P" * 4}, NEW, quarantined(2), begin=1)
    assert kinds(judged) == ".FFF"
    assert "A: the quarantine is past its end (in quarantine by ada: the shop's clock)" in text(judged[3])
    lifted = Quarantine.of("bob", "mended", START + 5 * DAY, START + 5 * DAY, lifted=True)
    memory = fold(memory, night(5, key="note", at=START + 5 * DAY, quarantines={"a": lifted}))
    assert judge(NEW, [run("a", "P"), run("b", "P")], memory, ref(6)).verdict.kind is VerdictKind.PASSED


# -- whatever comes

MEMORIES = st.sampled_from([Memory(), Unreadable("x")])


@given(
    results=st.lists(RUNS, max_size=6), gate=GATES, memory=MEMORIES, fail_on=st.sampled_from(["all", "new"])
)
def test_without_a_memory_no_verdict_is_milder_than_under_all(results, gate, memory, fail_on):
    """Unless the gate accepts a baseline."""
    remembering = QualityGate.of(gate.model_dump() | {"fail_on": fail_on, "quarantine": {}})
    one = judge(remembering, results, memory, ref(0))
    assert one.verdict.kind is gate.judge(results).kind
    assert one.verdict.counts == gate.judge(results).counts


@given(results=st.lists(RUNS, max_size=6), gate=GATES)
def test_a_baseline_is_not_accepted_from_a_memory_that_cannot_be_read(results, gate):
    """Whoever breaks it gains nothing."""
    accepting = QualityGate.of(gate.model_dump() | {"fail_on": "new", "baseline": "accept"})
    assert judge(accepting, results, Unreadable("x"), ref(0)).verdict.kind is gate.judge(results).kind


@given(
    letters=st.lists(st.sampled_from("FECSU"), min_size=1, max_size=30),
    gaps=st.lists(st.integers(0, 4), min_size=30, max_size=30),
    gate=st.sampled_from(
        [NEW, RULE, QualityGate(), QualityGate(fail_on="new", baseline="accept", known_for="30d")]
    ),
)
@settings(deadline=None)
def test_no_sequence_of_outcomes_makes_a_test_that_never_passed_count_as_passed(letters, gaps, gate):
    """Neither in the verdict, nor in the memory."""
    memory, number = Memory(), 0
    for letter, gap in zip(letters, gaps, strict=False):
        number += gap
        one = judge(gate, [run("a", letter)], memory, ref(number, key=f"{number}-{letter}"))
        memory = fold(memory, one.night)
        assert one.verdict.kind is not VerdictKind.PASSED
        assert not PASSING & set(memory.test("a").letters)
        assert memory.last_pass(memory.test("a")) is None


@given(outcomes=st.lists(st.sampled_from("PKF"), min_size=2, max_size=40))
@settings(deadline=None)
def test_the_first_failure_after_a_judged_pass_is_always_reported_as_new(outcomes):
    """However long the memory is."""
    judged, _ = nights({"a": "".join(outcomes), "b": "P" * len(outcomes)})
    for before, after, one in zip(outcomes, outcomes[1:], judged[1:], strict=False):
        if before != "F" and after == "F":
            assert one.verdict.kind is VerdictKind.FAILED


@given(outcomes=st.lists(st.text("PKFECSU", min_size=2, max_size=2), min_size=1, max_size=12), gate=GATES)
@settings(deadline=None)
def test_under_all_a_memory_changes_no_verdict(outcomes, gate):
    """Only its words."""
    memory = Memory()
    for number, letters in enumerate(outcomes):
        results = [run(test, letter) for test, letter in zip("ab", letters, strict=True)]
        one = judge(gate, results, memory, ref(number))
        memory = fold(memory, one.night)
        assert one.verdict.kind is gate.judge(results).kind
