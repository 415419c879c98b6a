"""The history's limits: filters are applied first, and the page says how many tasks it searched."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from airflow_provider_testerarmy.ui import app
from airflow_provider_testerarmy.ui.history import Filter
from tests.ui.test_payloads import stored

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def search(monkeypatch):
    """A search, in pages of ten, over tasks of which one in a hundred failed."""
    verdicts = ["failed" if number % 100 == 0 else "passed" for number in range(1000)]
    tasks = [
        stored({"verdict": verdict, "run_ids": [], "counts": {}}, dag_id=f"d{number % 2}")
        for number, verdict in enumerate(verdicts)
    ]

    def read(dag_ids, since, limit, offset):
        return [task for task in tasks if task.dag_id in dag_ids][offset : offset + limit]

    monkeypatch.setattr(app.store, "read_history", read)
    monkeypatch.setattr(app, "MAX_HISTORY", 10)

    def searched(dag_ids, wanted, most=5000):
        monkeypatch.setattr(app, "MAX_SEARCHED", most)
        found, cut = asyncio.run(app._searched(dag_ids, SINCE, wanted))
        return len(found), cut

    return searched


@pytest.mark.parametrize(
    ("dag_ids", "wanted", "most", "expected"),
    [
        ({"d0", "d1"}, Filter(verdict="failed"), 5000, (910, True)),
        ({"d0"}, Filter(verdict="failed"), 5000, (460, True)),
        ({"d1"}, Filter(verdict="failed"), 5000, (500, False)),
        ({"d0", "d1"}, Filter(), 5000, (10, True)),
        ({"d0", "d1"}, Filter(verdict="failed"), 200, (200, True)),
        ({"d0", "d1"}, Filter(verdict="errored"), 1000, (1000, False)),
        ({"d0", "d1"}, Filter(verdict="errored"), 990, (990, True)),
        (set(), Filter(), 5000, (0, False)),
    ],
)
def test_the_limit_comes_after_the_filters(search, dag_ids, wanted, most, expected):
    """As many tasks are read as it takes to find enough that match."""
    assert search(dag_ids, wanted, most) == expected
