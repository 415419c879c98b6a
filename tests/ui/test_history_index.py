"""Answers of the history while its index is being built: what SQL finds, and what the answer says is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from airflow_provider_testerarmy.ui import history_index, history_requests
from airflow_provider_testerarmy.ui.history_index import HistoryIndex
from tests.ui.history_database import Night, result, store_nights
from tests.ui.test_history_requests import ask, ids, night, stored

__all__ = ["stored"]

First = Callable[..., dict[str, Any]]
#: Tasks that an answer waits for in these tests, and tasks that are newer than the rare ones.
NOW, NEWER = 10, 40
OLD = (
    night(50, verdict="failed", tests=(result("Refund", "failed"),)),
    night(51, dag_id="orders", note={"label": "group old", "title": "Monthly"}),
    night(52, dag_id="orders", task_id="plain", note={}),
    night(53, verdict="cancelled", tests=(result("Refund", "cancelled"),), note={"rejected": ["x"]}),
    night(54, tests=(result("Geld zurück: 100 %_\\"),), issues=(("", "The stamp is missing"),)),
)


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch, stored: Engine) -> First:
    """The first answer of a process that has read nothing."""
    monkeypatch.setattr(history_index, "MAX_NOW", NOW)

    def asked(**query: Any) -> dict[str, Any]:
        index = HistoryIndex()
        monkeypatch.setattr(history_requests, "index", index)
        answer = ask(**query)
        index.wait()
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return {**found, "ids": ids(answer)}

    return asked


def stored_nights(*old: Night) -> list[Night]:
    rejected = [{**test, "run_id": "x"} for test in OLD[3].tests]
    rare = [replace(each, tests=tuple(rejected)) if each is OLD[3] else each for each in (old or OLD)]
    return [*(night(age) for age in range(1, NEWER)), *rare]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"verdict": "failed"}, ["r50"]),
        ({"verdict": "rejected"}, ["r53"]),
        ({"test": "id-Refund"}, ["r50", "r53"]),
        ({"test": "id-Geld zurück: 100 %_\\"}, ["r54"]),
        ({"dag_id": "orders"}, ["r51", "r52"]),
        ({"group": "group old"}, ["r51"]),
        ({"group": "orders.plain"}, ["r52"]),
        ({"group": "group g", "verdict": "failed"}, ["r50"]),
        ({"verdict": "errored"}, []),
    ],
)
def test_what_is_rare_is_found_at_once(
    stored: Engine, first: First, query: dict[str, str], expected: list[str], as_text: bool
) -> None:
    """However many newer tasks do not match: the list and the number are those of the whole period."""
    store_nights(stored, stored_nights(), as_text=as_text)
    answer = first(**query)
    assert (answer["ids"], answer["figures"]["tasks"]) == (expected, len(expected))
    assert (answer["complete_since"], answer["reading"]) == (None, True)
    whole = ask(**query)
    assert (ids(whole), whole.json()["figures"]) == (expected, answer["figures"])
    assert whole.json()["reading"] is False


def test_more_matching_tasks_than_one_answer_reads(stored: Engine, first: First) -> None:
    """The answer has the newest, and says since when none is missing."""
    store_nights(stored, stored_nights())
    answer = first(verdict="passed")
    assert answer["ids"] == [f"r{age}" for age in range(1, NOW)]
    assert answer["figures"]["tasks"] == NOW - 1
    assert answer["complete_since"] == night(NOW).when.timestamp()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"search": "REFUND"}, ["r50", "r53"]),
        ({"search": "stamp is"}, ["r54"]),
        ({"search": "month"}, ["r51"]),
        ({"search": "order"}, ["r51", "r52"]),
        ({"search": "支払"}, []),
        ({"test": "支払"}, []),
        ({"group": "支払"}, []),
        ({"verdict": "\x00'"}, []),
    ],
)
def test_what_sql_may_miss_is_said_to_be_incomplete(
    stored: Engine, first: First, query: dict[str, str], expected: list[str]
) -> None:
    """Python and a database do not fold letters alike; what has no plain letter is in no common form."""
    store_nights(stored, stored_nights())
    answer = first(**query)
    assert answer["ids"] == expected
    assert answer["complete_since"] == night(NOW).when.timestamp()


def test_results_elsewhere_are_counted(stored: Engine, first: First) -> None:
    """SQL sees only the reference, so such a task may match."""
    reference = night(60, value="s3://bucket/shop/r60/nightly/value")
    store_nights(stored, stored_nights(OLD[0], reference))
    answer = first(verdict="failed")
    assert (answer["ids"], answer["unread"]) == (["r50"], 1)
