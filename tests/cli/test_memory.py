"""The commands below `memory`, in a folder and in Airflow's database."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import asset_database
from airflow_provider_testerarmy.lifecycle.memory import FolderStorage
from airflow_provider_testerarmy.runs.memory.judge import judge
from airflow_provider_testerarmy.runs.memory.model import Night, NightRef, Quarantine, Unreadable
from airflow_provider_testerarmy.runs.memory.ring import remember
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from tests.cli.conftest import Place, scope
from tests.runs.memory.store import DAY, seen
from tests.runs.memory.test_judge import RULE, run

HELD = ("--owner", "ada", "--reason", "the shop's clock", "--until")


def verdict(place, letters, gate=RULE, now=0.0):
    """The verdict of a night that comes next."""
    results = [run(test, letter) for test, letter in letters.items()]
    return judge(gate, results, place.load(), NightRef.of("dag/next", time.time() + now)).verdict


def overdue(place, owner="gate"):
    """A memory with a quarantine of test `a` that is past its end."""
    now = time.time()
    note = Quarantine.of(owner, "4 changes", now - 5 * DAY, now - DAY)
    place.nights({"a": "PFPF", "b": "PPPP"}, quarantines={"a": note})


# -- show


def test_show_lists_memories_by_name(place):
    """Whose they are, and how many tests fail or are in quarantine."""
    place.nights({"a": "PF", "b": "PP"})
    place.nights({"a": "P"}, scope("test t1", "production"))
    head, *rows = place.run("show").splitlines()
    assert head.split() == ["ID", "NIGHTS", "TESTS", "FAILING", "QUARANTINED", "LAST", "NIGHT", "MEMORY"]
    assert "TesterArmy ta: group g1 (environment staging)" in rows[0]
    assert rows[0].split()[1:5] == ["2", "2", "1", "0"]
    assert "TesterArmy ta: test t1 (environment production)" in rows[1]


@pytest.mark.parametrize(
    "words",
    [
        ("--target", "g1"),
        ("--group", "G1"),
        ("--target", "group g1"),
        ("--environment", "staging"),
        ("--conn-id", "ta", "--test", "B"),
    ],
)
def test_show_selects(folder, words):
    """One memory is shown with its tests; those that fail come first."""
    folder.nights({"a": "PF", "b": "PP"})
    folder.nights({"a": "P"}, scope("test t1", "production"))
    (value,) = folder.show(*words)
    assert value["target"] == "group g1"
    assert folder.show("--memory", value["id"][:6]) == [folder.show("--group", "g1")[0]]


def test_show_prints_each_test(place):
    """Its outcomes, since when it fails, its last pass, and its quarantine."""
    place.nights({"a": "PP", "b": "PF"})
    place.run("quarantine", "--test", "a", *HELD, "14d")
    text = place.run("show")
    first, head, b, a, legend = text.splitlines()
    assert first.startswith("TesterArmy ta: group g1 (environment staging)")
    assert head.split("  ")[0] == "TEST"
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 60))
    assert b.split() == ["b", "PF", today, "on", "0000001,", "1", "night", *b.split()[7:]]
    assert "by ada: the shop's clock" in a
    assert legend.startswith("One letter for each night")
    (value,) = place.show("--test", "b")
    (test,) = value["tests"]
    assert (test["failing"]["nights"], test["failing"]["commit"]) == (1, "0000001aa")
    assert (test["last_pass"]["commit"], test["quarantine"]) == ("0000000aa", None)


def test_show_names_what_it_cannot_read(folder):
    """The list shows the reason; a single memory is an error."""
    folder.nights({"a": "P"})
    folder.nights({"a": "P"}, scope("test t1"))
    for pointer in (p for p in folder.storage.keys() if p.endswith("pointer")):  # noqa: SIM118
        folder.storage.set(pointer, "{")
    assert folder.run("show").count("unreadable: it is no JSON") == 2
    assert {each["fault"][:13] for each in folder.show()} == {"it is no JSON"}
    assert "cannot be read" in folder.refuse("show", "--target", "t1")


def test_a_memory_without_a_name_is_listed(folder):
    """It stays as it is until a night names it; so does one with another memory's name."""
    folder.nights({"a": "P"})
    prefix = scope().prefix
    for text in (
        None,
        "{",
        '{"version":1,"target":"x","environment":""}',
        '{"version":1,"target":1,"environment":2}',
    ):
        folder.storage.delete(f"{prefix}-name") if text is None else folder.storage.set(
            f"{prefix}-name", text
        )
        assert "no name yet" in folder.run("show")
        assert "has no name yet" in folder.refuse("export")
        assert "has no name yet" in folder.refuse("quarantine", "--test", "a", *HELD, "14d")


def test_there_may_be_nothing(place, tmp_path):
    """Each time the message says so."""
    assert "There is no memory yet" in place.refuse("show")
    place.nights({"a": "P"})
    assert "No matching memories among 1" in place.refuse("show", "--conn-id", "other")
    assert "No matching memory has the test zz" in place.refuse("show", "--test", "zz")


def test_a_folder_that_is_not_there(folder, tmp_path):
    folder.arguments = ["--memory-path", str(tmp_path / "nowhere")]
    assert "cannot be listed" in folder.refuse("show")


def test_an_object_store_has_no_folders(folder):
    """Nothing is there before the first night, and nothing after the last memory is forgotten."""
    folder.storage = FolderStorage("memory://store@nights/gate")
    folder.arguments = ["--memory-path", "memory://store@nights/gate"]
    attach_to_memory()
    assert "There is no memory yet" in folder.refuse("show")
    folder.nights({"a": "PF"})
    assert [test["outcomes"] for test in folder.show()[0]["tests"]] == ["PF"]
    folder.run("forget", "--yes")
    assert "There is no memory yet" in folder.refuse("show")


def attach_to_memory():
    """An empty object store in memory."""
    try:
        from airflow.sdk.io import attach
    except ImportError:
        from airflow.io.store import attach  # Airflow 2

    class Store(MemoryFileSystem):
        cachable = False
        store: ClassVar[dict] = {}
        pseudo_dirs: ClassVar[list] = [""]

    attach(protocol="memory", conn_id="store", fs=Store())


# -- quarantine


def test_a_person_quarantines_a_test(place):
    """It is not judged until its end."""
    place.nights({"a": "PP", "b": "PP"})
    assert verdict(place, {"a": "F", "b": "P"}).kind == "failed"
    said = place.run("quarantine", "--test", "A", *HELD, "14d")
    assert said.startswith("a is in quarantine until ")
    assert verdict(place, {"a": "F", "b": "P"}).kind == "passed"
    assert verdict(place, {"a": "F", "b": "F"}).kind == "failed"
    assert "Warning: A: in quarantine by ada" in verdict(place, {"a": "F", "b": "P"}, now=12 * DAY).reasons[0]
    assert verdict(place, {"a": "P", "b": "P"}, now=15 * DAY).kind == "failed"


@pytest.mark.parametrize("owner", ["gate", "bob"])
def test_a_person_extends_a_quarantine_that_is_past_its_end(place, owner):
    """Every night fails until then."""
    overdue(place, owner)
    assert verdict(place, {"a": "P", "b": "P"}).kind == "failed"
    place.run("quarantine", "--test", "a", *HELD, "14d")
    assert verdict(place, {"a": "F", "b": "P"}).kind == "passed"
    assert "by ada: the shop's clock" in " ".join(verdict(place, {"a": "F", "b": "P"}).reasons)


@pytest.mark.parametrize("owner", ["gate", "bob"])
def test_a_person_lifts_a_quarantine_that_is_past_its_end(place, owner):
    """The test is judged again, and the gate does not quarantine it at once for what came before."""
    overdue(place, owner)
    assert place.run("quarantine", "--test", "a", "--lift") == "a is judged again.\n"
    assert verdict(place, {"a": "P", "b": "P"}).kind == "passed"
    assert verdict(place, {"a": "F", "b": "P"}, QualityGate(quarantine={})).kind == "failed"
    assert place.show()[0]["tests"][0]["quarantine"] is None
    assert "no quarantine of the test a" in place.refuse("quarantine", "--test", "a", "--lift")


def test_the_later_of_two_notes_counts(folder):
    """Also in one second, and if a worker's clock is ahead."""
    ahead = time.time() + 3600
    note = Quarantine.of("gate", "4 changes", ahead, ahead + 9 * DAY)
    folder.nights({"a": "PF", "b": "PP"}, quarantines={"a": note})
    for until in ("20d", "3d", "90d"):
        folder.run("quarantine", "--test", "a", *HELD, until)
        assert folder.load().tests["a"].quarantine.owner == "ada"
    folder.run("quarantine", "--test", "a", "--lift")
    assert folder.load().tests["a"].quarantine.lifted
    folder.run("quarantine", "--test", "a", *HELD, "20d")
    assert not folder.load().tests["a"].quarantine.lifted


def test_a_gate_that_judges_at_the_same_moment_does_not_replace_a_persons_note(place):
    """It has read the memory before, and stores its own decision after."""
    place.nights({"a": "PFP", "b": "PPP"})
    place.run("quarantine", "--test", "a", *HELD, "14d")
    now = time.time() + 2
    own = Quarantine.of("gate", "4 changes", now, now + 99 * DAY)
    night = Night(NightRef.of("dag/run-9", now), {"a": seen("F"), "b": seen("P")}, {"a": own})
    assert remember(place.storage, scope(), night, now=now, token="t") is None
    assert place.load().tests["a"].quarantine.owner == "ada"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((*HELD, "2020-01-01"), "has passed"),
        ((*HELD, "soon"), "no date"),
        (HELD[:4], "until 'None' is no date"),
        (("--reason", "r", "--until", "14d"), "owner is missing"),
        (("--owner", "ada", "--until", "14d"), "reason is missing"),
        (("--owner", "gate", "--reason", "r", "--until", "14d"), "the gate's own name"),
        (("--owner", "ada", "--reason", "r" * 99, "--until", "14d"), "reason has 99 bytes"),
        ((*HELD, "14d", "--lift"), "exclude each other"),
    ],
)
def test_a_quarantine_that_lacks_something_is_refused(folder, words, why):
    """Nothing is written."""
    folder.nights({"a": "PF"})
    before = folder.load()
    assert why in folder.refuse("quarantine", "--test", "a", *words)
    assert folder.load() == before


def test_a_typo_in_a_test_is_refused(folder):
    folder.nights({"a": "PF"})
    assert "has no test b" in folder.refuse("quarantine", "--test", "b", *HELD, "14d")


def test_of_several_memories_the_one_with_the_test_is_meant(folder):
    """If several have it, none is."""
    folder.nights({"a": "P", "b": "P"})
    folder.nights({"a": "P"}, scope("test t1"))
    folder.run("quarantine", "--test", "b", *HELD, "14d")
    said = folder.refuse("quarantine", "--test", "a", *HELD, "14d")
    assert "2 memories match" in said
    assert "group g1" in said
    folder.run("quarantine", "--test", "a", "--group", "g1", *HELD, "14d")
    assert folder.load().tests["a"].quarantine
    assert folder.load(scope("test t1")).tests["a"].quarantine is None


# -- forget


def test_forget_a_memory(place):
    """Nothing is left of it, not even its name, and the other one stays."""
    place.nights({"a": "PF"})
    place.nights({"a": "P"}, scope("test t1"))
    assert "2 memories match" in place.refuse("forget", "--yes")
    place.run("forget", "--group", "g1", "--yes")
    assert place.load().empty
    (left,) = place.show()
    assert left["target"] == "test t1"
    place.run("forget", "--yes")
    assert "There is no memory yet" in place.refuse("show")


def test_forget_a_memory_that_cannot_be_read(folder):
    """It has no other way to go."""
    folder.nights({"a": "PF"})
    folder.storage.set(f"{scope().prefix}-pointer", "{")
    assert isinstance(folder.load(), Unreadable)
    folder.run("forget", "--yes")
    assert folder.load().empty


def test_forget_a_test(place):
    """Its failures are new again, its quarantine does not come back, and other tests stay."""
    place.nights({"a": "PF", "b": "PF"})
    place.run("quarantine", "--test", "a", *HELD, "14d")
    place.run("forget", "--test", "a", "--yes")
    assert [test["test_id"] for test in place.show()[0]["tests"]] == ["b"]
    assert place.load().tests["b"].letters == "PF"
    new = QualityGate(fail_on="new")
    assert verdict(place, {"b": "F"}, new).kind == "not_judged"
    assert verdict(place, {"a": "F", "b": "F"}, new).kind == "failed"
    place.nights({"a": "P", "b": "P"})
    assert place.load().tests["a"].letters.strip(".") == "P"
    assert "has no test zz" in place.refuse("forget", "--test", "zz", "--yes")


@pytest.mark.parametrize(("answer", "done"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
@pytest.mark.parametrize("words", [(), ("--test", "a")])
def test_forget_asks(folder, monkeypatch, answer, done, words):
    """No answer is a no."""
    folder.nights({"a": "PF", "b": "PP"})
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    before = folder.load()
    if done:
        folder.run("forget", *words)
    else:
        with pytest.raises(SystemExit, match="Nothing is changed"):
            folder.run("forget", *words)
    assert (folder.load() == before) is not done


# -- places


def test_airflow_before_its_store_needs_a_folder(monkeypatch, capsys):
    monkeypatch.setattr(type(airflow_compat.ASSET_STATE_STORE), "available", False)
    assert "Set --memory-path" in Place(None, [], capsys).refuse("show")


def test_a_database_without_the_asset(metadata, capsys):
    assert "Airflow knows no DAG with a gate that remembers" in Place(None, [], capsys).refuse("show")


def test_a_database_that_does_not_answer(metadata, capsys):
    """One line, and no traceback."""
    with metadata.begin() as connection:
        connection.exec_driver_sql("DROP TABLE asset")
    assert "Airflow's database cannot be read" in Place(None, [], capsys).refuse("show")


def test_a_custom_backend_is_not_read(database, monkeypatch):
    """What it has stored elsewhere would look like a damaged memory."""
    monkeypatch.setattr(asset_database, "has_own_state_backend", lambda: True)
    assert "custom state backend" in database.refuse("show")


def test_the_database_holds_what_the_execution_api_stores(database):
    """Values are JSON, and another asset's keys are not touched."""
    from airflow.models.asset_state_store import AssetStateStoreModel as Stored
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        session.add(Stored(asset_id=1, key=f"{scope().prefix}-pointer", value='"x"'))
    database.nights({"a": "P"})
    with create_session() as session:
        rows = session.execute(select(Stored.asset_id, Stored.value, Stored.last_updated_by_kind)).all()
    assert {(row[0], row[2]) for row in rows} == {(1, None), (2, "api")}
    assert all(isinstance(json.loads(row[1]), str) for row in rows)
