"""Quarantines by people: what a file may say, and which of several quarantines counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.memory.declared import (
    DeclarationInvalid,
    declare,
    end_of,
    read_entries,
)
from airflow_provider_testerarmy.runs.memory.folding import fold
from airflow_provider_testerarmy.runs.memory.judge import Standing, judge
from airflow_provider_testerarmy.runs.memory.model import Memory, Night, NightRef, Quarantine, Unreadable
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, VerdictKind
from tests.runs.memory.store import DAY, START
from tests.runs.memory.test_judge import NEW, RULE, nights, quarantined, ref, run, text
from tests.runs.verdict.test_gate_properties import GATES, RUNS

ENTRY = {"test": "A", "owner": "ada", "reason": "the shop's clock", "until": "2026-12-24"}
END = int(datetime(2026, 12, 25, tzinfo=UTC).timestamp())
ALL = QualityGate()


def noted(quarantine):
    """A note about test `a`, and no night."""
    return Night(NightRef.of(f"note {quarantine.since}", quarantine.since), {}, {"a": quarantine})


def held(days, owner="ada"):
    """A file's quarantine of test `a` that ends after so many days."""
    return {"a": Quarantine(owner, "the shop's clock", 0, START + days * DAY)}


def test_an_entry_is_read():
    """The day of its end is part of it, and ids match in upper and lower case."""
    assert read_entries([ENTRY]) == {"a": Quarantine("ada", "the shop's clock", 0, END)}
    assert read_entries([]) == {}


WRONG = {
    "no list": ({"a": ENTRY}, "list of entries"),
    "nothing": (None, "list of entries"),
    "an entry of text": (["a"], "fields test, owner, reason, until"),
    "an unknown field": ([ENTRY | {"unitl": "x"}], "Entry 1 .test A.: 'unitl' is no field"),
    "a second entry": ([ENTRY, ENTRY | {"test": " a "}], "Entry 2 .test a.: the test has an entry already"),
    "a number as id": ([ENTRY | {"test": 10}], "test must be text, not int"),
    "a list as id": ([ENTRY | {"test": ["a", "b"]}], "test must be text, not list"),
    "a date as number": ([ENTRY | {"until": 20261224}], "until must be text"),
    "a date that is none": ([ENTRY | {"until": "2026-02-30"}], "'2026-02-30' is no date"),
    "a date in words": ([ENTRY | {"until": "tomorrow"}], "is no date such as 2026-12-24"),
    "a duration, whose begin nobody knows": ([ENTRY | {"until": "14d"}], "is no date"),
    "a compact date": ([ENTRY | {"until": "20261224"}], "is no date"),
    "the gate as owner": ([ENTRY | {"owner": "Gate"}], "the gate's own name"),
    "a long reason": ([ENTRY | {"reason": "x" * 81}], "reason has 81 bytes; at most 80"),
    "a long owner": ([ENTRY | {"owner": "é" * 21}], "owner has 42 bytes; at most 40"),
    "too many": ([ENTRY | {"test": str(each)} for each in range(1_001)], "at most 1000"),
    **{
        f"no {name}": ([{k: v for k, v in ENTRY.items() if k != name}], f"{name} is missing")
        for name in ENTRY
    },
    **{f"an empty {name}": ([ENTRY | {name: " "}], f"{name} is missing") for name in ENTRY},
    **{f"null as {name}": ([ENTRY | {name: "null"}], f"{name} is missing") for name in ENTRY},
}


@pytest.mark.parametrize(("document", "why"), WRONG.values(), ids=WRONG)
def test_a_file_is_believed_as_a_whole_or_not_at_all(document, why):
    """One entry that is wrong must not leave the others in force, nor exclude a test that nobody meant."""
    with pytest.raises(DeclarationInvalid, match=why):
        read_entries(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ENTRY, "x"]), inner),
    max_leaves=12,
)


@given(document=JSON)
@settings(max_examples=300, deadline=None)
def test_any_document_is_read_or_refused(document):
    """With a sentence that names what is wrong, and never with another error."""
    try:
        found = read_entries(document)
    except DeclarationInvalid as error:
        found = str(error)
    assert found.endswith(".") if isinstance(found, str) else len(found) == len(document)


@pytest.mark.parametrize(
    ("until", "end"),
    [("2026-12-24", END), ("14d", START + 14 * DAY), ("36 h", START + 36 * 3600), ("2w", START + 14 * DAY)],
)
def test_an_end_is_a_date_or_a_time(until, end):
    assert end_of(until, START) == end


@pytest.mark.parametrize("until", ["2020-01-01", "0d", "", "soon", "-3d", "9999999d", None, "2026-1-1"])
def test_an_end_that_is_none_is_refused(until):
    with pytest.raises(DeclarationInvalid, match="until"):
        end_of(until, START)


@pytest.mark.parametrize("text", ["", "  ", None, "none", "\u200b\n"])
def test_a_quarantine_needs_an_owner_and_a_reason(text):
    with pytest.raises(DeclarationInvalid, match="owner is missing"):
        declare(text, "why", since=0, until=1)
    with pytest.raises(DeclarationInvalid, match="reason is missing"):
        declare("ada", text, since=0, until=1)


# -- judging with it


@pytest.mark.parametrize("memory", [Memory(), Unreadable("away")], ids=["none", "unreadable"])
@pytest.mark.parametrize("gate", [ALL, NEW, RULE], ids=["all", "new", "rule"])
def test_a_file_needs_no_memory(gate, memory):
    """The test runs and is reported, and only it is excluded."""
    judged = judge(gate, [run("a", "F"), run("b", "P")], memory, ref(0), held(9))
    assert judged.verdict.kind is VerdictKind.PASSED
    assert "A: failed (reported only: in quarantine by ada: the shop's clock)" in text(judged)
    (finding,) = judged.findings
    assert (finding.standing, finding.judged) == (Standing.QUARANTINED, False)
    both = judge(gate, [run("a", "F"), run("b", "F")], memory, ref(0), held(9))
    assert both.verdict.kind is VerdictKind.FAILED


def test_the_gate_reminds_of_a_files_end_and_fails_past_it():
    """Whether the test passes or fails; and a memory does not end it after five passes."""
    kinds, said, memory = [], [], Memory()
    for number in range(8):
        judged = judge(RULE, [run("a", "P"), run("b", "P")], memory, ref(number), held(6))
        memory = fold(memory, judged.night)
        kinds.append(judged.verdict.kind)
        said.append(judged.verdict.reasons[0])
    assert kinds == [VerdictKind.PASSED] * 6 + [VerdictKind.FAILED] * 2
    assert "Warning" not in said[2]
    assert said[3] == "Warning: A: in quarantine by ada: the shop's clock; ends in 3 days."
    assert "past its end" in said[6]
    assert "extend or remove its entry in the quarantine file" in said[6]


def test_a_typo_in_a_file_is_reported():
    judged = judge(ALL, [run("a", "F")], Memory(), ref(0), held(9) | {"aa": held(9)["a"]})
    assert "Warning: the quarantine file has tests that match no run: aa. Check them." in text(judged)


def test_a_non_blocking_test_is_not_judged_though_its_entry_is_past_its_end():
    gate = QualityGate(non_blocking_tests=["a"])
    assert judge(gate, [run("a", "F"), run("b", "P")], Memory(), ref(9), held(1)).verdict.kind == "passed"


def test_a_file_comes_before_the_memory():
    """The file's end counts, be it earlier or later, and a person's own note stays as it is."""
    memory = quarantined(2, owner="bob")
    later = judge(NEW, [run("a", "F"), run("b", "P")], memory, ref(4), held(9))
    assert later.verdict.kind is VerdictKind.PASSED
    assert "by ada" in text(later)
    assert "a" not in later.night.quarantines
    earlier = judge(NEW, [run("a", "F"), run("b", "P")], quarantined(20, owner="bob"), ref(4), held(2))
    assert earlier.verdict.kind is VerdictKind.FAILED


def test_a_file_ends_what_the_gate_decided_by_itself():
    """Else the gate's own quarantine would be past its end on the day the entry is removed."""
    memory = quarantined(2, owner="gate")
    judged = judge(NEW, [run("a", "P"), run("b", "P")], memory, ref(1), held(9))
    assert judged.night.quarantines["a"].lifted
    memory = fold(memory, judged.night)
    assert judge(NEW, [run("a", "P"), run("b", "P")], memory, ref(5)).verdict.kind is VerdictKind.PASSED


def test_a_persons_note_beats_the_gates():
    """Neither five passes nor five failures end it, which would end the gate's."""
    own = Quarantine.of("ada", "why", START + DAY, START + 30 * DAY)
    memory = fold(quarantined(2, owner="gate"), noted(own))
    assert memory.tests["a"].quarantine == own
    for letters in ("F" * 7, "P" * 7):
        judged, after = nights({"a": letters, "b": "P" * 7}, RULE, memory, begin=2)
        assert {one.verdict.kind for one in judged} == {VerdictKind.PASSED}
        assert after.tests["a"].quarantine == own


@pytest.mark.parametrize("owner", ["gate", "ada"])
def test_a_person_extends_or_lifts_a_quarantine_that_is_past_its_end(owner):
    """Until then every night fails, though the outcomes alternate and five in a row never come."""
    letters = {"a": "FPFP", "b": "PPPP"}
    judged, memory = nights(letters, RULE, quarantined(1, owner), begin=2)
    assert {one.verdict.kind for one in judged} == {VerdictKind.FAILED}
    note = START + 6 * DAY - 60
    extended = fold(memory, noted(Quarantine.of("bob", "w", note, note + 5 * DAY)))
    assert judge(RULE, [run("a", "F"), run("b", "P")], extended, ref(6)).verdict.kind is VerdictKind.PASSED
    lifted = Quarantine.of("bob", "w", note, note, lifted=True)
    memory = fold(memory, noted(lifted))
    assert judge(RULE, [run("a", "P"), run("b", "P")], memory, ref(6)).verdict.kind is VerdictKind.PASSED
    failing = judge(RULE, [run("a", "F"), run("b", "P")], memory, ref(6))
    assert failing.verdict.kind is VerdictKind.FAILED
    assert not failing.night.quarantines


@given(
    gate=GATES, results=st.lists(RUNS, max_size=5, unique_by=lambda run: run.run_id), days=st.integers(1, 9)
)
@settings(max_examples=200, deadline=None)
def test_a_file_without_a_matching_test_changes_no_verdict(gate, results, days):
    """An entry excludes its own test and nothing else."""
    alone = gate.judge(results)
    judged = judge(gate, results, Memory(), ref(0), {"no such test": held(days)["a"]})
    assert judged.verdict.kind is alone.kind
    assert judged.verdict.reasons[1:] == alone.reasons
