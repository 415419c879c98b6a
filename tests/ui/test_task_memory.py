"""Which memory a task has for the tab, and what people may change in it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from uuid import uuid4

import pytest

from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.lifecycle.memory import FolderStorage, scope_of
from airflow_provider_testerarmy.lifecycle.memory_list import MemoryRefused
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.runs.memory.declared import DeclarationInvalid
from airflow_provider_testerarmy.runs.memory.model import Night, NightRef
from airflow_provider_testerarmy.runs.memory.port import StorageFault
from airflow_provider_testerarmy.runs.memory.ring import load, remember
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.ui.task_memory import (
    Change,
    ChangedMeanwhile,
    change_quarantine,
    command,
    owner_name,
    scope_of_task,
    standings,
)
from tests.cli.conftest import database, metadata
from tests.runs.memory.store import DAY, seen
from tests.ui.test_payloads import stored

__all__ = ["database", "metadata"]

GROUP, TEST, WELL = catalog.GROUP_FAILING, catalog.TEST_FAILS, catalog.TEST_PASSES
ENVIRONMENT = catalog.ENVIRONMENT_STAGING.upper()

OPERATORS = [
    (TesterArmyRunGroupOperator, TesterArmyHook, {"group_id": GROUP.upper()}),
    (
        TesterArmyRunGroupOperator,
        TesterArmyHook,
        {
            "group_id": GROUP,
            "environment": "staging",
            "target_url": "https://shop.example",
            "platform": "web",
        },
    ),
    (
        TesterArmyRunGroupOperator,
        TesterArmyHook,
        {"group_id": f" {GROUP}", "project_environment_id": ENVIRONMENT},
    ),
    (
        TesterArmyRunGroupOperator,
        TesterArmyHook,
        {"group_id": GROUP, "platform": "ios", "device_model": "ipad"},
    ),
    (TesterArmyRunTestOperator, TesterArmyHook, {"test_id": TEST, "platform": "None"}),
    (TesterArmyRunTestOperator, TesterArmyHook, {"test_id": TEST, "project_environment_id": ENVIRONMENT}),
    (DocketRunTestsOperator, DocketHook, {"test_blueprint_ids": [201, "202"]}),
    (DocketRunTestsOperator, DocketHook, {"test_blueprint_ids": "[1, 2, 3, 4, 5, 6]"}),
    (DocketRunTestsOperator, DocketHook, {"test_blueprint_ids": 201}),
    (DocketRunTestsOperator, DocketHook, {"test_blueprint_category_id": "11"}),
]


@pytest.mark.parametrize(("operator", "hook", "fields"), OPERATORS)
def test_the_memory_is_the_one_that_the_task_uses(operator, hook, fields):
    """The rendered fields lead to the same memory as the request that the operator sends."""
    task = operator(task_id="t", **fields)
    rendered = {hook.conn_name_attr: "c", **fields}
    found = scope_of_task(replace(stored({}), rendered=rendered))
    assert found == scope_of(f"{hook(**{hook.conn_name_attr: 'c'}).path} c", task.build_request())


@pytest.mark.parametrize(
    "rendered",
    [
        {},
        {"group_id": GROUP},
        {"testerarmy_conn_id": "c"},
        {"testerarmy_conn_id": "c", "group_id": "../x"},
        {"testerarmy_conn_id": "c", "group_id": GROUP, "platform": ["web"]},
        {"testerarmy_conn_id": "c", "prompt": "buy a hat"},
        {"docket_conn_id": "c", "test_blueprint_ids": [True]},
        {"docket_conn_id": "c", "test_blueprint_ids": []},
    ],
)
def test_a_task_without_a_known_memory(rendered):
    """Where the fields do not say which memory it is, nothing is read or changed."""
    task = replace(stored({}), rendered=rendered)
    assert standings(task)["why"]
    with pytest.raises(MemoryRefused):
        change_quarantine(task, change())


def test_an_xcom_does_not_choose_the_memory(place):
    """A user who can edit XComs cannot lead the tab to another task's memory."""
    task, _, _ = place
    forged = replace(
        task,
        xcoms={"test_runs": {"version": 1, "label": "group other", "group_id": "x", "memory_path": "/x"}},
    )
    assert scope_of_task(forged) == scope_of_task(task)


def change(test_id=TEST, **fields):
    return Change(
        **{"test_id": test_id, "owner": "ada", "reason": "new form", "until": "14d", "seen": None} | fields
    )


@pytest.fixture
def place(tmp_path):
    """A task with a memory of three nights in a folder, its storage and its scope."""
    rendered = {"testerarmy_conn_id": "c", "group_id": GROUP, "memory_path": str(tmp_path)}
    task = replace(stored({}), rendered=rendered)
    storage, scope = FolderStorage(str(tmp_path)), scope_of_task(task)
    for number, letter in enumerate("PFF"):
        night(storage, scope, {TEST: letter, WELL: "P"}, time.time() - (2 - number) * DAY - 60)
    return task, storage, scope


def night(storage, scope, letters, at=None):
    at = at or time.time()
    ref = NightRef.of(f"dag/{uuid4().hex}", at, "4f2d1c9aa", "https://shop.example")
    outcomes = {test: seen(letter) for test, letter in letters.items()}
    assert remember(storage, scope, Night(ref, outcomes), now=time.time(), token=uuid4().hex) is None


def held(storage, scope, test_id=TEST):
    return load(storage, scope, now=time.time()).test(test_id).quarantine


def test_a_failing_test_and_one_that_passes(place):
    """The tab says since when a test fails, and of what commit."""
    found = standings(place[0])
    assert found["why"] == ""
    assert (found["tests"][TEST]["failing"]["nights"], found["tests"][TEST]["failing"]["commit"]) == (
        2,
        "4f2d1c9aa",
    )
    failing, where = (
        found["tests"][TEST]["failing"],
        {"commit": "4f2d1c9aa", "commit_url": "", "address": "https://shop.example"},
    )
    assert failing["first_bad"] == {"at": failing["since"], **where}
    assert failing["last_good"] == {"at": failing["since"] - DAY, **where}
    assert found["tests"][WELL] == {"failing": None, "quarantine": None}


def test_quarantine_change_and_lift(place):
    """A person quarantines a test, extends that, and lifts it; the memory has each of them."""
    task, storage, scope = place
    first = change_quarantine(task, change())["quarantine"]
    assert (first["owner"], first["reason"], first["past"]) == ("ada", "new form", False)
    second = change_quarantine(task, change(owner="bo", until="28d", seen=first["since"]))["quarantine"]
    assert held(storage, scope).owner == "bo"
    assert second["until"] > first["until"]
    lifted = change_quarantine(task, change(owner="", reason="", lift=True, seen=second["since"]))
    assert lifted["quarantine"] is None
    assert held(storage, scope).lifted
    assert standings(task)["tests"][TEST]["quarantine"] is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"owner": ""}, "owner is missing"),
        ({"owner": "\u202e\u200b"}, "owner is missing"),
        ({"owner": "Gate"}, "own name"),
        ({"owner": "x" * 41}, "41 bytes"),
        ({"owner": "é" * 21}, "42 bytes"),
        ({"reason": " \n\t"}, "reason is missing"),
        ({"reason": "x" * 10_000}, "bytes; at most 80"),
        ({"until": ""}, "no date"),
        ({"until": "2020-01-01"}, "has passed"),
        ({"until": "14d<script>"}, "no date"),
        ({"until": "0d"}, "has passed"),
    ],
)
def test_hostile_and_missing_texts_are_refused(place, fields, said):
    """The rules are those of the command line, and nothing is written."""
    task, storage, scope = place
    with pytest.raises(DeclarationInvalid, match=said):
        change_quarantine(task, change(**fields))
    assert held(storage, scope) is None


def test_hostile_texts_are_cleaned(place):
    """Line breaks and characters that turn the direction of a text do not reach the memory or another page."""
    found = change_quarantine(place[0], change(owner="a\u202eda\n", reason='<img src=x>"\r\nLIFTED\u2066'))[
        "quarantine"
    ]
    assert (found["owner"], found["reason"]) == ("ada", "<img src=x>' LIFTED")


@pytest.mark.parametrize("test_id", ["", "x", catalog.TEST_FLAKY, "../pointer", "a" * 10_000])
def test_a_test_that_the_memory_lacks(place, test_id):
    """A typo, or another task's test, is an error."""
    with pytest.raises(MemoryRefused, match="has no test"):
        change_quarantine(place[0], change(test_id))


def test_lifting_nothing(place):
    """There is nothing to lift."""
    with pytest.raises(MemoryRefused, match="no quarantine"):
        change_quarantine(place[0], change(lift=True))


def test_the_second_person_sees_the_first_ones_change(place):
    """Who decides on an old page gets an error instead of replacing what somebody else decided."""
    task, storage, scope = place
    first = change_quarantine(task, change())["quarantine"]
    for stale in (
        change(owner="bo"),
        change(owner="bo", lift=True),
        change(owner="bo", seen=first["since"] - 1),
    ):
        with pytest.raises(ChangedMeanwhile):
            change_quarantine(task, stale)
    assert held(storage, scope).owner == "ada"


def test_many_people_at_once(place):
    """Of several people who quarantine a test on the same page, one succeeds and all others get an error."""
    task, storage, scope = place
    ends, line = [], threading.Barrier(6)

    def one(name):
        line.wait()
        try:
            change_quarantine(task, change(owner=name))
        except MemoryRefused as error:
            ends.append((name, type(error).__name__))
        else:
            ends.append((name, "done"))

    threads = [threading.Thread(target=one, args=(f"p{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [name for name, end in ends if end == "done"]
    assert (len(ends), done) == (6, [held(storage, scope).owner])


class Interleaved(FolderStorage):
    """A folder in which somebody else writes at a chosen call of `set`."""

    def __init__(self, folder, at, write):
        super().__init__(folder)
        self.left, self.write = at, write

    def set(self, key, text):
        self.left -= 1
        if self.left == 0:
            self.write()
        super().set(key, text)


@pytest.mark.parametrize("at", range(1, 9))
def test_a_task_that_writes_its_night_meanwhile(place, monkeypatch, tmp_path, at):
    """Wherever a night comes between, neither it nor the quarantine is lost without an error."""
    task, storage, scope = place
    between = Interleaved(str(tmp_path), at, lambda: night(storage, scope, {TEST: "F", WELL: "F"}))
    monkeypatch.setattr("airflow_provider_testerarmy.ui.task_memory.open_storage", lambda path: between)
    try:
        change_quarantine(task, change())
    except MemoryRefused:
        kept = False
    else:
        kept = True
    memory = load(storage, scope, now=time.time())
    assert memory.test(WELL).letters.endswith("F") or between.left > 0
    assert not kept or (memory.test(TEST).quarantine and memory.test(TEST).quarantine.owner == "ada")


def test_a_place_that_cannot_be_read(place, tmp_path):
    """A folder that this API server does not have is told with the command to run."""
    task = replace(
        place[0], rendered={**place[0].rendered, "memory_path": str(tmp_path / "not here; rm -rf ~")}
    )
    found = standings(task)
    assert found["tests"] == {}
    assert "no memory" in found["why"]
    assert "'" + str(tmp_path / "not here; rm -rf ~") + "'" in command(task)


def test_a_damaged_memory(place, tmp_path):
    """A memory that cannot be read is not replaced."""
    task, _, scope = place
    (tmp_path / f"{scope.prefix}-pointer.json").write_text(json.dumps({"x": 1}))
    assert "cannot be read" in standings(task)["why"]
    with pytest.raises(MemoryRefused, match="cannot be read"):
        change_quarantine(task, change())


def test_a_storage_that_fails(place, monkeypatch):
    """A write that fails is an error with the reason."""

    def fail(self, key, text):
        raise StorageFault("read-only file system")

    monkeypatch.setattr(FolderStorage, "set", fail)
    with pytest.raises(MemoryRefused, match="read-only"):
        change_quarantine(place[0], change())


def test_airflows_own_store(database):
    """Without a folder the change is made where the command line makes it, in Airflow's database."""
    task = replace(stored({}), rendered={"testerarmy_conn_id": "c", "group_id": GROUP})
    night(database.storage, scope_of_task(task), {TEST: "F"})
    change_quarantine(task, change())
    assert held(database.storage, scope_of_task(task)).owner == "ada"
    assert "--memory-path" not in command(task)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ada", "ada"), (None, ""), ("None", ""), ("x" * 60, "x" * 39), ("a\nb\u202e", "a b")],
)
def test_the_owner_is_the_signed_in_user(name, expected):
    """A name that is longer than an owner may be is cut."""
    assert owner_name(name) == expected
