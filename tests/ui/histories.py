"""The history's payload for given tasks, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_testerarmy.ui import history_figures
from airflow_provider_testerarmy.ui.history import entry_of
from airflow_provider_testerarmy.ui.history_filter import Filter, page_after
from airflow_provider_testerarmy.ui.history_parts import Calendar, DagRows, part_of
from airflow_provider_testerarmy.ui.history_rows import HistoryRow, Names, row_of
from airflow_provider_testerarmy.ui.history_tests import page_of_test
from airflow_provider_testerarmy.ui.store import StoredTask


def rows_of(tasks: Sequence[StoredTask]) -> list[HistoryRow]:
    """The tasks as an index has them, the newest first."""
    names = Names()
    return sorted((row_of(task, names) for task in tasks), key=lambda row: row.order)


def history(tasks: Sequence[StoredTask], wanted: Filter) -> dict[str, Any]:
    """What the endpoint answers, with all tasks on one page."""
    rows: dict[str, DagRows] = {}
    for row in rows_of(tasks):
        rows.setdefault(row.dag_id, DagRows([])).rows.append(row)
    entries = {row_of(task, Names()).order: entry_of(task) for task in tasks}
    found = wanted.matching(rows)
    matching = page_after(found.values(), "", len(tasks))
    every = [each.part(Calendar()) for each in rows.values()]
    parts = [part_of(each.rows, Calendar(), wanted.names()) for each in found.values()]
    titles = history_figures.titles_of(every)
    tests = history_figures.tests_of(parts, titles)
    shown = [{**entries[row.order], "group_title": titles[row.group]} for row in matching]
    return {
        "runs": shown,
        "next": "",
        "complete_since": None,
        "reading": False,
        "figures": history_figures.figures(parts),
        "nights": history_figures.nights(parts),
        "hourly": False,
        "tests": tests[: history_figures.MAX_TESTS],
        "more_tests": len(tests[history_figures.MAX_TESTS :]),
        "choices": history_figures.choices(every, set(rows), titles),
        "test": page_of_test(matching, wanted.test, Calendar()) if wanted.test else None,
        "unread": 0,
        "most": 0,
        "days": 30,
    }
