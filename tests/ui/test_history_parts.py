"""What the index keeps of each DAG: an answer from it is the one of a process that has just read everything."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Engine, delete, update

from airflow_provider_testerarmy.ui import history_parts, history_requests
from airflow_provider_testerarmy.ui.history_index import HistoryIndex
from airflow_provider_testerarmy.ui.history_parts import Calendar, DagRows
from tests.ui.history_database import Night, result, store_nights
from tests.ui.test_history_requests import NOW, ask, night, stored

__all__ = ["stored"]

DAY = 24 * 60
QUERIES: tuple[dict[str, Any], ...] = (
    {},
    {"days": 1},
    {"days": 7},
    {"days": 366},
    {"zone": "Pacific/Auckland"},
    {"days": 1, "zone": "Asia/Kolkata"},
    {"dag_id": "shop"},
    {"dag_id": "orders", "days": 7},
    {"verdict": "failed"},
    {"group": "group g"},
    {"test": "id-Checkout"},
    {"search": "refund"},
)


def several_nights() -> list[Night]:
    """Two DAGs with one group, and a third; nights of today, this week, this month and this year."""
    return [
        night(
            age + place,
            dag_id=dag_id,
            verdict="failed" if age % 3 == place % 3 else "passed",
            tests=(result("Checkout", "failed" if age % 3 == place % 3 else "passed"), result("Refund")),
            note={"label": label, "title": f"Title {place}" if age > 40 else label},
        )
        for place, (dag_id, label) in enumerate(
            [("shop", "group g"), ("orders", "group g"), ("parcels", "group h")]
        )
        for age in (10, 50, 300, 2 * DAY, 5 * DAY, 12 * DAY, 25 * DAY, 100 * DAY)
    ]


def answers() -> list[Any]:
    return [ask(**query).json() for query in QUERIES]


def test_kept_parts_change_no_answer(stored: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever order periods, time zones and filters follow, and after tasks are added, changed and deleted."""
    store_nights(stored, several_nights())
    answers()
    new = night(3, dag_id="lane", run_id="new", note={"label": "group g", "title": "Newest"})
    changed = {"verdict": "cancelled", "counts": {"total": 1, "cancelled": 1}, "tests": []}
    steps = [
        lambda: None,
        lambda: store_nights(stored, [new], before=100),
        lambda: change(stored, "orders", "r51", changed),
        lambda: remove(stored, "parcels", "r12"),
    ]
    for step in steps:
        step()
        warm = answers()
        assert answers() == warm
        kept = history_requests.index
        fresh = []
        for query in QUERIES:
            monkeypatch.setattr(history_requests, "index", HistoryIndex())
            fresh.append(ask(**query).json())
        monkeypatch.setattr(history_requests, "index", kept)
        assert warm == fresh
    assert warm[0]["figures"]["tasks"] == 3 * 7 + 1 - 1


def change(engine: Engine, dag_id: str, run_id: str, value: dict[str, Any]) -> None:
    """Store another result of a task, as a new try does."""
    with engine.begin() as connection:
        for table, ours, values in (
            (TaskInstance, TaskInstance.run_id == run_id, {"updated_at": NOW}),
            (XComModel, (XComModel.run_id == run_id) & (XComModel.key == "return_value"), {"value": value}),
        ):
            connection.execute(update(table).where(table.dag_id == dag_id, ours).values(values))


def remove(engine: Engine, dag_id: str, run_id: str) -> None:
    with engine.begin() as connection:
        connection.execute(delete(XComModel).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id))


def test_few_parts_are_kept_of_a_dag() -> None:
    """Viewers in all time zones, and a period that moves on, fill no memory."""
    rows = DagRows([])
    for hours in range(-12, 13):
        rows.part(Calendar(timezone(timedelta(hours=hours))))
    assert 0 < len(rows.kept) <= history_parts.MAX_KEPT
