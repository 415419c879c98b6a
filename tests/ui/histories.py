"""The history's payload for given tasks, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from airflow_provider_testerarmy.ui import history_figures
from airflow_provider_testerarmy.ui.history import entry_of
from airflow_provider_testerarmy.ui.history_filter import Filter
from airflow_provider_testerarmy.ui.history_rows import HistoryRow, Names, row_of
from airflow_provider_testerarmy.ui.history_tests import page_of_test
from airflow_provider_testerarmy.ui.store import StoredTask


def rows_of(tasks: Sequence[StoredTask]) -> list[HistoryRow]:
    """The tasks as an index has them."""
    names = Names()
    return [row_of(task, names) for task in tasks]


def history(tasks: Sequence[StoredTask], wanted: Filter) -> dict[str, Any]:
    """What the endpoint answers, with all tasks on one page."""
    rows = rows_of(tasks)
    entries = {row.order: entry_of(task) for row, task in zip(rows, tasks, strict=True)}
    matching = wanted.matching(rows)
    titles = history_figures.titles_of(rows)
    tests = history_figures.tests_of(matching, titles, wanted.names())
    shown = [{**entries[row.order], "group_title": titles[row.group]} for row in matching]
    return {
        "runs": shown,
        "next": "",
        "complete_since": None,
        "reading": False,
        "figures": history_figures.figures(matching),
        "nights": history_figures.nights(matching, UTC),
        "hourly": False,
        "tests": tests[: history_figures.MAX_TESTS],
        "more_tests": len(tests[history_figures.MAX_TESTS :]),
        "choices": history_figures.choices(rows, {row.dag_id for row in rows}, titles),
        "test": page_of_test(matching, wanted.test, UTC) if wanted.test else None,
        "unread": 0,
        "most": 0,
        "days": 30,
    }
