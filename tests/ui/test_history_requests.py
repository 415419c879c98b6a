"""The history's endpoints on a real database: filters before limits, paging, rights, and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from sqlalchemy import Engine, delete, update

from airflow_provider_testerarmy.ui import history_index, history_requests
from airflow_provider_testerarmy.ui.history_index import HistoryIndex
from tests.ui.history_database import Night, airflow_database, client, result, store_nights

NOW = datetime.now(UTC).replace(microsecond=0)
ENDPOINTS = ("history", "history/tasks.csv", "history/tests.csv", "history/results.csv")

Ask = Callable[..., httpx.Response]


@pytest.fixture
def stored(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty database, and an index that has read nothing. A variable selects a PostgreSQL server."""
    monkeypatch.setattr(history_requests, "index", HistoryIndex())
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.ui.browser.auth.PerDagAuthManager")
    server = os.environ.get("TESTERARMY_TEST_DATABASE_URL")
    with airflow_database(tmp_path_factory.mktemp("airflow"), server) as engine:
        yield engine


def ask(
    path: str = "history", user: str | None = "viewer", method: str = "GET", **query: Any
) -> httpx.Response:
    """A request to the tab's application by this user."""

    async def send() -> httpx.Response:
        with client(user) as asked:
            async with asked:
                return await asked.request(method, f"/api/{path}", params=query)

    return asyncio.run(send())


def night(age: int, **fields: Any) -> Night:
    """A task that began so many minutes ago."""
    usual = {
        "run_id": f"r{age}",
        "tests": (result("Checkout"),),
        "note": {"label": "group g", "title": "Nightly"},
    }
    return Night(NOW - timedelta(minutes=age), **{**usual, **fields})


def ids(answer: httpx.Response) -> list[str]:
    return [run["run_id"] for run in answer.json()["runs"]]


def test_filters_come_before_the_limit(stored: Engine) -> None:
    """One old failure among many newer tasks is found, and the figures are those of all that match."""
    store_nights(stored, [night(age, verdict="failed" if age == 90 else "passed") for age in range(1, 100)])
    assert ids(ask(verdict="failed")) == ["r90"]
    everything = ask().json()
    assert (everything["figures"]["tasks"], len(everything["runs"])) == (99, 25)
    assert everything["figures"]["passed"] == 98 / 99


def test_pages_neither_repeat_nor_skip(stored: Engine) -> None:
    """Not even when a task starts between two pages, or several started at the same time."""
    store_nights(
        stored,
        [
            replace(night(age // 4 + 1), run_id=f"r{age}", when=NOW - timedelta(minutes=age // 4 + 1))
            for age in range(60)
        ],
    )
    seen, after = [], ""
    while True:
        answer = ask(**({"after": after} if after else {}))
        seen += ids(answer)
        if not after:
            with stored.begin() as connection:
                connection.execute(delete(DagRun).where(DagRun.run_id == seen[3]))
        after = answer.json()["next"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == 60


@pytest.mark.parametrize(
    "after", ["x", "[]", '["a", "b", "c", "d", 1]', "[1.0, 1, 1, 1, 1]", "[" * 1900, "NaN"]
)
def test_a_page_after_nothing(stored: Engine, after: str) -> None:
    assert ask(after=after).status_code == 422


@pytest.mark.parametrize("search", ["%", "_", "\\", "'; DROP TABLE xcom; --", '" OR 1=1', "Ü%", "\x00"])
def test_signs_in_a_search_stand_for_themselves(stored: Engine, search: str) -> None:
    """No wildcard, no SQL, and letters that JSON escapes."""
    # PostgreSQL stores no NUL.
    title = search if stored.dialect.name == "sqlite" else search.replace("\x00", "")
    store_nights(stored, [night(1), night(2, tests=(result(f"Bezahlen {title} mit Überweisung"),))])
    expected = ["r2"] if search != "\x00" else []
    assert ids(ask(search=search)) == expected
    assert ids(ask(search="ÜBERWEISUNG")) == ["r2"]
    assert len(ids(ask())) == 2


def test_a_search_finds_tests_issues_groups_dags_and_tasks(stored: Engine) -> None:
    store_nights(
        stored,
        [
            night(1, tests=(result("Login works", test_id="abc-17"),)),
            night(2, issues=(("Checkout", "The total is wrong"),)),
            night(3, note={"label": "group 9", "title": "Smoke"}),
            night(4, dag_id="orders"),
            night(5, task_id="regression"),
        ],
    )
    words = ["login", "ABC-17", "total is", "smoke", "group 9", "order", "regress"]
    assert [ids(ask(search=word)) for word in words] == [
        ["r1"], ["r1"], ["r2"], ["r3"], ["r3"], ["r4"], ["r5"],
    ]  # fmt: skip


@pytest.mark.parametrize("as_text", [False, True])
def test_each_form_of_a_value(stored: Engine, as_text: bool) -> None:
    """JSON, JSON in a JSON string as some versions of Airflow store it, and values of other tasks."""
    odd = [
        night(age, value=value) for age, value in enumerate([["x"], "{bad", 7, {"verdict": 3}, "s3://b/k"], 2)
    ]
    store_nights(stored, [night(1, verdict="failed"), *odd], as_text=as_text)
    assert ids(ask(verdict="failed")) == ["r1"]
    assert len(ids(ask())) == 6


def test_a_task_that_ran_a_part_has_the_title_of_its_group(stored: Engine) -> None:
    """Another DAG run of the task knows it; one of another group does not."""
    part = night(1, note={"label": "group g"}, tests=(result("Checkout", "failed"),))
    store_nights(stored, [part, night(2, note={"label": "group h", "title": "Other"}), night(3)])
    answer = ask("dags/shop/task", run_id="r1", task_id="nightly").json()
    assert (answer["group_title"], answer["label"]) == ("Nightly", "group g")


def test_changes_are_seen(stored: Engine) -> None:
    """A new task, a deleted DAG run, and an XCom that somebody has edited."""
    store_nights(stored, [night(age) for age in (1, 2, 3)])
    assert ask().json()["figures"]["tasks"] == 3
    with stored.begin() as connection:
        connection.execute(delete(DagRun).where(DagRun.run_id == "r2"))
    assert ids(ask()) == ["r1", "r3"]
    with stored.begin() as connection:
        changed = {**night(3).summary(), "verdict": "failed"}
        edit = update(XComModel).where(XComModel.run_id == "r3", XComModel.key == "return_value")
        connection.execute(edit.values(value=changed))
    assert [run["verdict"] for run in ask().json()["runs"]] == ["passed", "failed"]
    assert ids(ask(verdict="failed")) == ["r3"]


def test_the_first_answer_does_not_wait_for_all_tasks(
    stored: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the newest tasks, says since when none is missing, and is right about those."""
    monkeypatch.setattr(history_index, "MAX_NOW", 10)
    # Two tasks start at a time, and the limit falls between two of them.
    pairs = [replace(night(age // 2 + 1), run_id=f"r{age}") for age in range(1, 60)]
    store_nights(stored, [replace(each, verdict="failed") if each.run_id == "r3" else each for each in pairs])
    partial = ask().json()
    expected = [each.run_id for each in pairs if each.when.timestamp() > partial["complete_since"]]
    assert 0 < len(expected) < 10
    assert [run["run_id"] for run in partial["runs"]] == expected
    assert partial["figures"]["tasks"] == len(expected)
    history_requests.index.wait()
    whole = ask().json()
    assert (whole["complete_since"], whole["figures"]["tasks"]) == (None, 59)


def test_a_csv_file_has_all_tasks(stored: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the index instead of leaving tasks out."""
    monkeypatch.setattr(history_index, "MAX_NOW", 10)
    store_nights(stored, [night(age) for age in range(1, 60)])
    assert ask().json()["complete_since"] is not None
    assert len(list(csv.reader(io.StringIO(ask("history/tasks.csv").text)))) == 60


def test_a_reader_of_few_dags_gets_a_partial_answer_about_them_alone(
    stored: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_index, "MAX_NOW", 3)
    foreign = [night(age) for age in range(1, 20)]
    store_nights(stored, [*foreign, *(night(age, dag_id="open_door") for age in range(30, 40))])
    answer = ask(user="outsider")
    assert ids(answer) == ["r30", "r31"]
    assert answer.json()["complete_since"] is not None
    assert "shop" not in answer.text


@pytest.mark.parametrize("path", ENDPOINTS)
def test_who_is_refused(stored: Engine, path: str) -> None:
    """Nobody without signing in, no other method; a DAG that the user cannot read is not named."""
    store_nights(stored, [night(1), night(2, dag_id="open_door", tests=(result("Door opens"),))])
    assert ask(path, None, test="id-Door opens").status_code == 401
    assert [ask(path, method=method).status_code for method in ("POST", "PUT", "DELETE", "PATCH")] == [
        405
    ] * 4
    seen = ask(path, "outsider", test="id-Door opens")
    assert seen.status_code == 200
    assert ("shop" in seen.text, "open_door" in seen.text) == (False, True)
    foreign = ask(path, "outsider", dag_id="shop", test="id-Checkout")
    assert "Checkout" not in foreign.text.replace("id-Checkout", "")
    assert "r1" not in foreign.text
    blind = ask(path, "blind", test="id-Door opens")
    assert "shop" not in blind.text
    assert "open_door" not in blind.text


def test_a_tests_own_page(stored: Engine) -> None:
    """Its outcomes in all environments, and its issues by what they say."""
    failed = {"verdict": "failed", "tests": (result("Checkout", "failed"), result("Other"))}
    store_nights(
        stored,
        [
            night(1, **failed, issues=(("Checkout", "Order 17 took 12.5 s"), ("Other", "Odd"))),
            night(2, note={"label": "group g", "environment": "staging", "commit": "4f2d1c9aa"}),
            night(3, **failed, issues=(("Checkout", "order 4 took 9 s"),)),
            night(4, tests=(result("Other"),)),
        ],
    )
    page = ask(test="id-Checkout").json()["test"]
    assert (page["title"], page["total"], page["counts"]) == ("Checkout", 3, {"failed": 2, "passed": 1})
    assert [(each["text"], each["tasks"]) for each in page["clusters"]] == [("Order 17 took 12.5 s", 2)]
    assert [place["environment"] for place in page["places"]] == ["", "staging"]
    assert [each["run_id"] for each in page["nights"]] == ["r1", "r2", "r3"]
    assert page["last_of"]["passed"] == (NOW - timedelta(minutes=2)).timestamp()
    assert [each["commit"] for each in page["nights"]] == ["", "4f2d1c9aa", ""]
    lines = list(csv.DictReader(io.StringIO(ask("history/results.csv", test="id-Checkout").text)))
    assert [line["commit"] for line in lines] == ["", "4f2d1c9aa", ""]
    assert ask(test="id-Nothing").json()["test"] is None
    assert ask("history/results.csv", test="id-Nothing").status_code == 404


@pytest.mark.parametrize("path", ENDPOINTS[1:])
def test_a_spreadsheet_runs_no_formula(stored: Engine, path: str) -> None:
    """A test's title comes from the service, and an issue from the site under test."""
    hostile = ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\uff1d1"]
    odd = [
        night(
            number,
            tests=(result(title, test_id="same"),),
            issues=((title, title),),
            note={"label": title, "title": title, "environment": title, "address": title},
        )
        for number, title in enumerate(hostile, 1)
    ]
    store_nights(stored, odd)
    answer = ask(path, test="same")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    cells = [cell for line in csv.reader(io.StringIO(answer.text)) for cell in line]
    assert sum(cell.startswith("'") for cell in cells) >= len(hostile)
    assert [
        cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\uff1d")) or cell == "-1+2"
    ] == []
