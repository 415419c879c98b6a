"""The history's tables as CSV files (RFC 4180, UTF-8 with a byte order mark), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from airflow_provider_testerarmy.ui.history_rows import HistoryRow
from airflow_provider_testerarmy.ui.payloads import Json

#: How a cell begins that a spreadsheet takes for a formula, also in full width
#: (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_LINES_AT_ONCE: Final = 500

TASK_COLUMNS: Final = (
    "started_at",
    "verdict",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "test_or_group",
    "environment",
    "address",
    "passed",
    "judged",
    "seconds",
    "commit",
)
TEST_COLUMNS: Final = (
    "test",
    "test_id",
    "dag_id",
    "task_id",
    "test_or_group",
    "environment",
    "pass_rate",
    "flakiness",
    "changes",
    "flaky_runs",
    "median_seconds",
    "last_outcome",
    "last_run_at",
)
NIGHT_COLUMNS: Final = (
    "started_at",
    "outcome",
    "flaky",
    "seconds",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "environment",
    "address",
    "issues",
    "commit",
)


def csv_lines(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file in pieces."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(columns)
    for number, cells in enumerate(lines, 1):
        writer.writerow([cell_of(cell) for cell in cells])
        if number % _LINES_AT_ONCE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def cell_of(value: object) -> str:
    """The text of a cell. An apostrophe in front of a formula makes a spreadsheet show it as text."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def lines_of_tasks(rows: Iterable[HistoryRow], titles: dict[str, str]) -> Iterator[Sequence[object]]:
    """A line per task."""
    for row in rows:
        _, dag_id, run_id, task_id, map_index = row.order
        title = titles.get(row.group, row.title)
        where = (row.place.environment, row.address)
        counts = (row.passed, row.judged) if row.verdict else (None, None)
        seconds = None if row.seconds is None else round(row.seconds, 1)
        yield (
            _time(row.when),
            row.verdict,
            dag_id,
            run_id,
            task_id,
            map_index,
            title,
            *where,
            *counts,
            seconds,
            row.commit,
        )


def lines_of_tests(tests: Iterable[Json]) -> Iterator[Sequence[object]]:
    """A line per test and place."""
    for test in tests:
        when, outcome, _ = test["outcomes"][-1]
        rate = None if test["rate"] is None else round(test["rate"], 4)
        names = (test["title"], test["key"], test["dag_id"], test["task_id"], test["group_title"])
        numbers = (rate, round(test["flakiness"], 4), test["changes"], test["flaky"], test["seconds"])
        yield (*names, test["environment"], *numbers, outcome, _time(when))


def lines_of_nights(nights: Iterable[Json]) -> Iterator[Sequence[object]]:
    """A line per result of one test."""
    for night in nights:
        cells = [night[name] for name in NIGHT_COLUMNS[1:-2]]
        yield (_time(night["when"]), *cells, "\n".join(night["issues"]), night["commit"])


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds") if when else ""
