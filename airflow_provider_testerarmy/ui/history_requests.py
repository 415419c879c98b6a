"""The history's endpoints. They answer about the DAGs that the user can read, and name no other.

This module does without `from __future__ import annotations`, for the reason that `app.py` gives.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, cast

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse

from airflow_provider_testerarmy.ui import csv_tables, history_figures, store
from airflow_provider_testerarmy.ui.dag_access import readable_dags
from airflow_provider_testerarmy.ui.history import entry_of
from airflow_provider_testerarmy.ui.history_filter import Filter, cursor_of, page_after
from airflow_provider_testerarmy.ui.history_index import MAX_ROWS, FoundRows, HistoryIndex
from airflow_provider_testerarmy.ui.history_parts import Calendar, DagRows, Part, part_of
from airflow_provider_testerarmy.ui.history_rows import HistoryRow
from airflow_provider_testerarmy.ui.history_tests import page_of_test
from airflow_provider_testerarmy.ui.payloads import Json
from airflow_provider_testerarmy.ui.store import StoredTask
from airflow_provider_testerarmy.ui.xcoms import References

#: The tasks of one page.
PAGE_SIZE: Final = 25
#: How many of the newest tasks whose results an XCom backend stores elsewhere are read for filters and figures.
MAX_REFERENCES: Final = 500

router = APIRouter()
index = HistoryIndex()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request's filters and period.

    :param zone: the time zone in which the viewer's days begin.
    """

    wanted: Filter
    days: int
    zone: str

    @property
    def since(self) -> datetime:
        """When the period begins."""
        return datetime.now(UTC) - timedelta(days=self.days)

    @property
    def calendar(self) -> Calendar:
        """The viewer's days; the hours of a single day."""
        return Calendar(history_figures.zone_of(self.zone), hourly=self.days == 1)


def _asked(
    dag_id: Annotated[str, Query(max_length=250)] = "",
    group: Annotated[str, Query(max_length=500)] = "",
    verdict: Annotated[str, Query(max_length=50)] = "",
    test: Annotated[str, Query(max_length=250)] = "",
    search: Annotated[str, Query(max_length=200)] = "",
    days: Annotated[int, Query(ge=1, le=366)] = 30,
    zone: Annotated[str, Query(max_length=60)] = "",
) -> Asked:
    return Asked(Filter(dag_id, group, verdict, test, search), days, zone)


AskedDep = Annotated[Asked, Depends(_asked)]


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows of each DAG that the user can read in the period, and those of them that match.

    :param complete_since: the time after which no row that matches is missing; None if none is missing in the
        whole period.
    :param reading: whether rows that do not match may be missing.
    """

    asked: Asked
    dag_ids: set[str]
    rows: dict[str, DagRows]
    matching: dict[str, DagRows]
    titles: dict[str, str]
    complete_since: float | None
    reading: bool
    unread: list[HistoryRow]

    def page(self, cursor: str, size: int) -> list[HistoryRow]:
        """The matching rows after a cursor, the newest first."""
        return page_after(self.matching.values(), cursor, size)

    def everything(self) -> list[HistoryRow]:
        """All matching rows, the newest first."""
        rows = [row for each in self.matching.values() for row in each.rows]
        return sorted(rows, key=lambda row: row.order)

    def parts(self) -> list[Part]:
        """What the matching rows of each DAG add to the answer."""
        wanted, calendar = self.asked.wanted, self.asked.calendar
        if wanted.takes_whole_dags:
            return [each.part(calendar) for each in self.matching.values()]
        return [part_of(each.rows, calendar, wanted.names()) for each in self.matching.values()]


class Searcher:
    """Finds rows, and reads what an XCom backend stores elsewhere for the newest of them."""

    def __init__(self, references: References) -> None:
        self._references = references

    async def find(self, asked: Asked, user: Any, *, whole: bool = True) -> _Found:
        """The rows that match.

        :param whole: wait for all of them, also while the index is being built.
        """
        found = await asyncio.to_thread(_find, asked, user, whole)
        if found.reading or not found.unread:
            return found
        await self.tasks_of(found.unread[:MAX_REFERENCES])
        return await asyncio.to_thread(_find, asked, user, whole)

    async def tasks_of(self, rows: Sequence[HistoryRow]) -> list[StoredTask]:
        """The tasks as the database has them now, in the order of the rows; deleted ones are left out."""
        orders = [row.order[1:] for row in rows]
        tasks = await self._references.resolved(await asyncio.to_thread(store.read_listed, orders))
        await asyncio.to_thread(index.learn, tasks, rows)
        by_order = {(task.dag_id, task.run_id, task.task_id, task.map_index): task for task in tasks}
        return [by_order[order] for order in orders if order in by_order]


def _find(asked: Asked, user: Any, whole: bool) -> _Found:
    changes = store.read_changes()
    dag_ids = readable_dags(user, changes)
    if whole:
        found = FoundRows(index.rows(dag_ids, asked.since, changes), None, False)
    else:
        found = index.rows_now(dag_ids, asked.since, changes, asked.wanted.hints())
    rows, complete_since, reading = found
    matching = asked.wanted.matching(rows)
    titles = history_figures.titles_of(each.part(asked.calendar) for each in rows.values())
    unread = sorted((row for each in rows.values() for row in each.unread()), key=lambda row: row.order)
    return _Found(asked, dag_ids, rows, matching, titles, complete_since, reading, unread)


def _searcher(request: Request) -> Searcher:
    return cast("Searcher", request.app.state.searcher)


SearcherDep = Annotated[Searcher, Depends(_searcher)]


@router.get("/api/history")
async def history(
    user: GetUserDep,
    searcher: SearcherDep,
    asked: AskedDep,
    after: Annotated[str, Query(max_length=2000)] = "",
) -> JSONResponse:
    """Figures, nights, tests and the first page of the matching tasks; after the first page, tasks alone."""
    found = await searcher.find(asked, user, whole=False)
    try:
        page = found.page(after, PAGE_SIZE + 1)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "`after` is not a value of `next`.") from error
    more, page = len(page) > PAGE_SIZE, page[:PAGE_SIZE]
    entries = [entry_of(task) for task in await searcher.tasks_of(page)]
    for entry in entries:
        entry["group_title"] = found.titles.get(entry["group"], entry["group_title"])
    listed = {
        "runs": entries,
        "next": cursor_of(page[-1]) if more else "",
        "complete_since": found.complete_since,
        "reading": found.reading,
    }
    if after:
        return JSONResponse(listed)
    return JSONResponse({**listed, **await asyncio.to_thread(_overview, found)})


def _overview(found: _Found) -> Json:
    asked, parts = found.asked, found.parts()
    tests = history_figures.tests_of(parts, found.titles)
    return {
        "figures": history_figures.figures(parts),
        "nights": history_figures.nights(parts),
        "hourly": asked.calendar.hourly,
        "tests": tests[: history_figures.MAX_TESTS],
        "more_tests": len(tests[history_figures.MAX_TESTS :]),
        "choices": history_figures.choices(
            [each.part(asked.calendar) for each in found.rows.values()], found.dag_ids, found.titles
        ),
        "test": page_of_test(found.everything(), asked.wanted.test, asked.calendar)
        if asked.wanted.test
        else None,
        "unread": len(found.unread),
        "most": MAX_ROWS if index.truncated else 0,
        "days": asked.days,
    }


@router.get("/api/history/tasks.csv")
async def tasks_csv(user: GetUserDep, searcher: SearcherDep, asked: AskedDep) -> StreamingResponse:
    """All matching tasks as CSV."""
    found = await searcher.find(asked, user)
    rows = await asyncio.to_thread(found.everything)
    return _csv("test-tasks", csv_tables.TASK_COLUMNS, csv_tables.lines_of_tasks(rows, found.titles))


@router.get("/api/history/tests.csv")
async def tests_csv(user: GetUserDep, searcher: SearcherDep, asked: AskedDep) -> StreamingResponse:
    """All tests of the matching tasks as CSV."""
    found = await searcher.find(asked, user)
    tests = await asyncio.to_thread(lambda: history_figures.tests_of(found.parts(), found.titles))
    return _csv("tests", csv_tables.TEST_COLUMNS, csv_tables.lines_of_tests(tests))


@router.get("/api/history/results.csv")
async def results_csv(user: GetUserDep, searcher: SearcherDep, asked: AskedDep) -> StreamingResponse:
    """All results of one test as CSV."""
    found = await searcher.find(asked, user)
    rows = await asyncio.to_thread(found.everything)
    page = await asyncio.to_thread(page_of_test, rows, asked.wanted.test, Calendar(), len(rows))
    if page is None:
        raise HTTPException(404, "No test task has run this test.")
    return _csv("results", csv_tables.NIGHT_COLUMNS, csv_tables.lines_of_nights(page["nights"]))


def _csv(name: str, columns: Sequence[str], lines: Iterator[Sequence[object]]) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(
        csv_tables.csv_lines(columns, lines), media_type="text/csv; charset=utf-8", headers=headers
    )
