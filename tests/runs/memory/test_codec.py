"""The memory as JSON: small enough for every storage, and read whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.memory.codec import (
    PART,
    PARTS,
    decode,
    decode_night,
    encode,
    encode_night,
)
from airflow_provider_testerarmy.runs.memory.folding import fold, fold_all
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
    TestMemory,
    Unreadable,
)
from tests.runs.memory.store import DAY, START, night

MEMORY = fold_all(
    Memory(),
    [night(at, {"a": "PF"[at % 2], "b": "PKVEC"[at % 5]}, address="https://s.example/") for at in range(25)],
)
MEMORY = fold(
    MEMORY, night(25, {"a": "F"}, quarantines={"q": Quarantine.of("ada", "why", START, START + DAY)})
)


def largest():
    """A memory in which every value is as long as it may be."""
    nights = tuple(
        NightRef(START + at, f"{at:0100}", "c" * 40, "https://" + "h" * 192) for at in range(NIGHTS)
    )
    quarantine = Quarantine("é" * 20, "日" * 26 + "xx", 10**11, 2 * 10**11, lifted=True)
    test = TestMemory(
        "F" * NIGHTS,
        Fingerprint(6, "0" * 8),
        quarantine,
        Mark(10**11, "é" * 6),
        Streak(999_999, Mark(10**11, "c" * 12)),
    )
    return Memory(nights, {f"{number:064}": test for number in range(TESTS)})


def test_a_thousand_tests_fit_into_eight_parts_of_48_kib():
    """With every value as long as it may be; usual ones take half of that."""
    parts = encode(largest())
    assert max(len(part.encode()) for part in parts) <= PART == 48 * 1024
    assert len(parts) <= PARTS == 8
    assert decode(parts) == largest()
    plain = TestMemory("P" * NIGHTS, None, None, Mark(START, "c" * 12))
    usual = replace(largest(), tests={f"{number:036}": plain for number in range(TESTS)})
    assert len(encode(usual)) <= 3


def test_a_night_of_a_thousand_tests_fits_too():
    """With as many changes of quarantines."""
    tests = {f"{number:064}": Seen("F", Fingerprint(6, "0" * 8)) for number in range(TESTS)}
    note = Quarantine("o" * 40, "r" * 80, 10**11, 2 * 10**11, lifted=True)
    one = Night(largest().nights[0], tests, dict.fromkeys(tests, note))
    parts = encode_night(one)
    assert len(parts) <= PARTS
    assert max(len(part.encode()) for part in parts) <= PART
    assert decode_night(parts) == one
    assert len(encode_night(Night(one.ref, dict.fromkeys(tests, Seen("P"))))) <= 2


def test_what_is_written_is_read():
    """Memory and night."""
    assert decode(encode(MEMORY)) == MEMORY
    assert decode(encode(Memory())) == Memory()
    one = night(3, {"a": "F", "b": "P"}, quarantines={"c": Quarantine.of("o", "r", 1, 2)})
    assert decode_night(encode_night(one)) == one


def changed(change):
    document = json.loads(encode(MEMORY)[0])
    change(document)
    return [json.dumps(document)]


WRONG = {
    "no text": [None],
    "nothing": [],
    "too many parts": encode(MEMORY) * 9,
    "the same part twice": encode(MEMORY) * 2,
    "no object": ["[]"],
    "nested": ["[" * 40_000],
    "nested objects": ['{"a":' * 8_000],
    "huge": ["x" * (PART + 1)],
    "cut": [encode(MEMORY)[0][:-5]],
    "a night": encode_night(night(1)),
    "not a number": [encode(MEMORY)[0].replace(f"[{START + 25 * DAY},", "[NaN,", 1)],
    "infinity": [encode(MEMORY)[0].replace(f"[{START + 25 * DAY},", "[1e999,", 1)],
    "digits": [encode(MEMORY)[0].replace(f"[{START + 25 * DAY},", "[" + "9" * 5_000 + ",", 1)],
    "a name twice": [encode(MEMORY)[0].replace('{"version":1', '{"version":1,"version":1', 1)],
    "another version": changed(lambda it: it.update(version=2)),
    "a version that is true": changed(lambda it: it.update(version=True)),
    "a version of 1.0": changed(lambda it: it.update(version=1.0)),
    "another field": changed(lambda it: it.update(more=1)),
    "a missing field": changed(lambda it: it.pop("rows")),
    "nights that are no list": changed(lambda it: it.update(head=[{}])),
    "nights out of order": changed(lambda it: it["head"][0].reverse()),
    "a night twice": changed(
        lambda it: it["head"][0].__setitem__(1, [*it["head"][0][1][:1], "run-6", "", ""])
    ),
    "a time before all": changed(lambda it: it["head"][0][0].__setitem__(0, -1)),
    "a time that is true": changed(lambda it: it["head"][0][0].__setitem__(0, True)),
    "a time that is a fraction": changed(lambda it: it["head"][0][0].__setitem__(0, 1.5)),
    "a time after all": changed(lambda it: it["head"][0][-1].__setitem__(0, 10**18)),
    "half a character": changed(lambda it: it["head"][0][0].__setitem__(2, "\ud800")),
    "a line break": changed(lambda it: it["head"][0][0].__setitem__(2, "a\nb")),
    "a long text": changed(lambda it: it["head"][0][0].__setitem__(3, "x" * 201)),
    "rows that are no list": changed(lambda it: it.update(rows="x")),
    "a row that is short": changed(lambda it: it["rows"][0].pop()),
    "a row that is null": changed(lambda it: it["rows"].append(None)),
    "a test twice": changed(lambda it: it["rows"].append(it["rows"][0])),
    "a test without an id": changed(lambda it: it["rows"][0].__setitem__(0, "")),
    "too few letters": changed(lambda it: it["rows"][0].__setitem__(1, "P")),
    "unknown letters": changed(lambda it: it["rows"][0].__setitem__(1, "X" * 20)),
    "letters that are a list": changed(lambda it: it["rows"][0].__setitem__(1, ["P"] * 20)),
    "a severity above all": changed(lambda it: it["rows"][0].__setitem__(2, [7, ""])),
    "a step that is no digest": changed(lambda it: it["rows"][0].__setitem__(2, [1, "Pay"])),
    "a quarantine that is short": changed(lambda it: it["rows"][0].__setitem__(3, ["o", "r", 1, 2])),
    "a quarantine that ends first": changed(lambda it: it["rows"][0].__setitem__(3, ["o", "r", 2, 1, False])),
    "a quarantine that is lifted 0": changed(lambda it: it["rows"][0].__setitem__(3, ["o", "r", 1, 2, 0])),
    "a streak of none": changed(lambda it: it["rows"][0].__setitem__(5, [0, 1, ""])),
    "too many tests": [json.dumps({**json.loads(encode(Memory())[0]), "rows": [["a"]] * 2001})],
}


@pytest.mark.parametrize("parts", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_the_schema_is_not_read_at_all(parts):
    """It says why, in words that can be shown, and raises nothing."""
    found = decode(parts)
    assert isinstance(found, Unreadable)
    assert found.reason.isprintable()
    assert len(found.reason) <= 200
    assert str(found).startswith("The memory of earlier nights cannot be read (")


@pytest.mark.parametrize(
    "row",
    [
        ["t", "a", "X", None],
        ["t", "a", "P", [1, ""]],
        ["z"],
        ["q", "a", None],
        ["t", "a", ["P"], None],
        7,
        ["t", 7, "P", None],
    ],
)
def test_a_night_that_does_not_fit_the_schema_is_not_read(row):
    """As a memory is not."""
    document = json.loads(encode_night(night(0))[0])
    document["rows"].append(row)
    assert isinstance(decode_night([json.dumps(document)]), Unreadable)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(path=st.lists(st.integers(0, 30), max_size=4), value=JSON)
@settings(max_examples=400, deadline=None)
def test_whatever_stands_in_a_place_the_memory_is_read_whole_or_not_at_all(path, value):
    """No exception, and nothing that could not be written again."""
    document = json.loads(encode(MEMORY)[0])
    place, names = document, ["version", "kind", "part", "of", "head", "rows"]
    for step in path[:-1]:
        place = place[names[step % 6]] if isinstance(place, dict) else place
        if isinstance(place, list) and place and isinstance(place[step % len(place)], list):
            place = place[step % len(place)]
    if isinstance(place, list) and place and path:
        place[path[-1] % len(place)] = value
    elif isinstance(place, dict):
        place[names[(path or [0])[-1] % 6]] = value
    found = decode([json.dumps(document)])
    assert isinstance(found, Unreadable) or decode(encode(found)) == found


@given(text=st.text(max_size=200) | JSON.map(json.dumps))
def test_no_text_raises(text):
    """Whatever is found in the storage."""
    assert isinstance(decode([text]), Unreadable)
    assert isinstance(decode_night([text]), Unreadable)
