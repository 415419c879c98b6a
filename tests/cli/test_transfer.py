"""Export and import: the memory that comes back judges as the one that went, and nothing else is believed."""

from __future__ import annotations

import io
import json
import stat
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.memory import transfer
from airflow_provider_testerarmy.runs.memory.folding import fold
from airflow_provider_testerarmy.runs.memory.judge import judge
from airflow_provider_testerarmy.runs.memory.model import Memory
from airflow_provider_testerarmy.runs.memory.ring import load, remember, restore
from airflow_provider_testerarmy.runs.memory.transfer import ExportInvalid, read_export, write_export
from tests.cli.conftest import scope
from tests.runs.memory.store import SCOPE, START, Texts, night
from tests.runs.memory.test_codec import MEMORY, largest
from tests.runs.memory.test_judge import RULE, ref, run

LETTERS = st.text("PKFVECSU.", min_size=1, max_size=25)


@given(a=LETTERS, b=LETTERS, tonight=st.tuples(st.sampled_from("PKFECSU"), st.sampled_from("PKFECSU")))
@settings(max_examples=200, deadline=None)
def test_a_memory_that_was_exported_and_imported_gives_the_same_verdicts(a, b, tonight):
    """Through another storage, with quarantines that the gate has made."""
    memory = Memory()
    for number, letters in enumerate(zip(a, b, strict=False)):
        found = dict(zip("ab", letters, strict=True))
        memory = fold(memory, night(number, {k: v for k, v in found.items() if v != "."} or {"a": "P"}))
    ((whose, read),) = read_export(write_export([(SCOPE, memory)], now=START))
    assert (whose, read) == (SCOPE, memory)
    storage = Texts()
    assert restore(storage, SCOPE, read, now=START, token="t") is None
    results = [run(test, letter) for test, letter in zip("ab", tonight, strict=True)]
    before = judge(RULE, results, memory, ref(30))
    assert judge(RULE, results, load(storage, SCOPE, now=START), ref(30)) == before


def test_the_largest_memory_is_exported():
    """Every value is as long as it may be, and 100 of them fit into a file."""
    text = write_export([(scope(), largest())], now=START)
    assert read_export(text) == [(scope(), largest())]
    assert len(text.encode()) * transfer.MEMORIES < transfer.LIMIT


def test_a_restored_memory_goes_on():
    """The next night is folded in."""
    storage = Texts()
    restore(storage, SCOPE, MEMORY, now=START + 26 * 86_400, token="t")
    remember(storage, SCOPE, night(26, {"a": "P"}), now=START + 26 * 86_400, token="u")
    assert load(storage, SCOPE, now=START + 26 * 86_400) == fold(MEMORY, night(26, {"a": "P"}))


# -- the commands


def test_memories_move_to_another_place(folder, tmp_path, place):
    """All that are selected, in one file that only its owner reads."""
    file = tmp_path / "export.json"
    file.write_text("old")
    file.chmod(0o644)
    folder.nights({"a": "PF", "b": "PP"})
    folder.nights({"a": "P"}, scope("test t1"))
    assert folder.run("export", "--file", str(file)) == f"Exported 2 memories to {file}.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []
    before = folder.load(), folder.load(scope("test t1"))
    assert place.run("import", str(file), "--yes") == "Imported 2 memories.\n"
    assert (place.load(), place.load(scope("test t1"))) == before
    assert [each["target"] for each in place.show()] == ["group g1", "test t1"]


def test_the_database_exports_too(database, tmp_path, monkeypatch):
    """To standard output, and back from standard input."""
    database.nights({"a": "PF"})
    before = database.load()
    text = database.run("export", "--group", "g1")
    database.run("forget", "--yes")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    database.run("import", "-")
    assert database.load() == before


def test_an_import_asks_before_it_replaces(folder, tmp_path, monkeypatch):
    """A memory that cannot be read counts as one that is there."""
    folder.nights({"a": "PF"})
    path = str(tmp_path / "export.json")
    folder.run("export", "--file", path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    folder.nights({"a": "F"})
    before = folder.load()
    with pytest.raises(SystemExit, match="Nothing is changed"):
        folder.run("import", path)
    assert folder.load() == before
    folder.storage.set(f"{scope().prefix}-pointer", "{")
    with pytest.raises(SystemExit, match="Nothing is changed"):
        folder.run("import", path)
    folder.run("import", path, "--yes")
    assert folder.load().tests["a"].letters == "PF"


def test_a_file_that_cannot_be_written_or_read(folder, tmp_path):
    folder.nights({"a": "P"})
    assert "cannot be written" in folder.refuse("export", "--file", str(tmp_path / "no" / "file"))
    assert "cannot be written" in folder.refuse("export", "--file", str(tmp_path))
    assert "cannot be read" in folder.refuse("import", str(tmp_path / "no"))
    assert "cannot be read" in folder.refuse("import", str(tmp_path))


# -- what others write


def changed(change):
    document = json.loads(write_export([(scope(), MEMORY)], now=START))
    change(document)
    return json.dumps(document)


def part(change):
    return changed(lambda document: change(document["memories"][0]["parts"][0]))


def twice(document):
    document["memories"] *= 2


HOSTILE = {
    "nothing": ("", "It is no JSON"),
    "no JSON": ("{", "It is no JSON"),
    "a number that is none": ("NaN", "no number"),
    "a list": ("[]", "was not written by"),
    "a name that is repeated": ('{"kind":1,"kind":2}', "repeated"),
    "another kind": ('{"kind":"x","version":1}', "was not written by"),
    "a depth": ("[" * 99_999, "nested too deeply"),
    "the next version": (changed(lambda it: it.update(version=2)), "It has version 2; this package reads 1"),
    "a version that is true": (changed(lambda it: it.update(version=True)), "It has version"),
    "no memories": (changed(lambda it: it.update(memories=[])), "1 to 100 memories"),
    "too many memories": (changed(lambda it: it.update(memories=[1] * 101)), "1 to 100 memories"),
    "memories of text": (changed(lambda it: it.update(memories="x")), "1 to 100 memories"),
    "a memory twice": (changed(twice), "a memory twice"),
    "a memory of text": (changed(lambda it: it.update(memories=["x"])), "Memory 1 has unknown or missing"),
    "a further field": (changed(lambda it: it["memories"][0].update(x=1)), "Memory 1 has unknown or missing"),
    "no target": (changed(lambda it: it["memories"][0].update(target="")), "Memory 1 has no name"),
    "a target that is long": (changed(lambda it: it["memories"][0].update(target="x" * 9999)), "has no name"),
    "an environment that is none": (changed(lambda it: it["memories"][0].update(environment={})), "no name"),
    "parts of text": (changed(lambda it: it["memories"][0].update(parts="x")), "no content"),
    "no parts": (changed(lambda it: it["memories"][0].update(parts=[])), "Memory 1 is not valid: 0 parts"),
    "too many parts": (changed(lambda it: it["memories"][0].update(parts=[1] * 9)), "not valid: 9 parts"),
    "a part of the next version": (part(lambda it: it.update(version=2)), "it has version 2"),
    "a part that is large": (part(lambda it: it["rows"].append(["x" * 50_000])), "more than 49152 bytes"),
    "letters that are none": (part(lambda it: it["rows"][0].__setitem__(1, "X" * 20)), "outcomes"),
    "control characters": (part(lambda it: it["rows"][0].__setitem__(0, "a\x1b[31m")), "control characters"),
}


@pytest.mark.parametrize(("text", "why"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_no_export_wrote_is_refused(folder, tmp_path, text, why):
    """In one line, and nothing is written."""
    folder.nights({"a": "PF"})
    before = folder.load()
    file = tmp_path / "hostile.json"
    file.write_text(text)
    assert why in folder.refuse("import", str(file), "--yes")
    assert folder.load() == before


def test_a_file_that_is_too_large_is_not_parsed(folder, tmp_path, monkeypatch):
    file = tmp_path / "large.json"
    file.write_text("[" + "0," * 600 + "0]")
    monkeypatch.setattr("airflow_provider_testerarmy.cli.memory.LIMIT", 1_000)
    assert "more than 1000 bytes" in folder.refuse("import", str(file), "--yes")
    file.write_bytes(b"\xff" * 10)
    assert "not UTF-8" in folder.refuse("import", str(file), "--yes")


TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["target", "environment", "parts", "memories", "x"]), inner)
    ),
    max_leaves=10,
)


@given(memories=TEXTS, version=st.sampled_from([1, 1, 2, None]))
@settings(max_examples=300, deadline=None)
def test_any_document_is_read_or_refused(memories, version):
    document = {"kind": transfer.KIND, "version": version, "memories": memories}
    with pytest.raises(ExportInvalid):
        read_export(json.dumps(document))


def test_a_night_from_the_export_is_known(folder, tmp_path):
    """What the promise is about: a known failure stays known in the other place."""
    folder.nights({"a": "PF", "b": "PP"})
    ((_, memory),) = read_export(folder.run("export"))
    assert memory.streak(memory.test("a")).nights == 1
    assert time.time() - memory.streak(memory.test("a")).first.at < 3_600
