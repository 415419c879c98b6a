"""Payloads for one task: read from its JSON report when the API server can, else fetched from the service."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy.reports import html
from airflow_provider_testerarmy.reports.text import https, line
from airflow_provider_testerarmy.reports.view import ORDER
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.submission.stored import carried_runs, runs_named
from airflow_provider_testerarmy.ui import report_files
from airflow_provider_testerarmy.ui.answer_cache import CoalescingCache
from airflow_provider_testerarmy.ui.history import group_of, reason_of
from airflow_provider_testerarmy.ui.payloads import (
    Json,
    ids_of,
    ids_truncated,
    marked_rejected,
    outcome_of,
    run_detail,
    run_key,
    run_row,
    shown_summary,
    stamp,
    summary_rows,
    with_copies,
    with_rejected,
)
from airflow_provider_testerarmy.ui.reader_threads import Readers
from airflow_provider_testerarmy.ui.run_ownership import given_ids, own_keys, rejected_keys
from airflow_provider_testerarmy.ui.service import RunDetails, owner_of
from airflow_provider_testerarmy.ui.store import StoredTask
from airflow_provider_testerarmy.ui.tested import tested_by, with_commit_urls

#: Seconds for which a file that was read, or was missing, is cached.
FILE_TTL: Final = 60.0
MAX_FILES: Final = 16
#: Keys of notices, which the page has in its languages.
NOT_RECORDED: Final = "not_recorded"
NO_FIELDS: Final = "no_fields"
NOT_OPENED: Final = "not_opened"
MAX_REPORTS: Final = 20
#: The most runs that the list shows.
MAX_ROWS: Final = 5000


@dataclass(frozen=True, slots=True)
class Report:
    """A JSON report that was read, with the runs that did not pass first."""

    runs: tuple[RunResult, ...]
    summary: dict[str, Any]

    def find(self, wanted: set[str]) -> list[RunResult]:
        """The runs with these ids."""
        return [run for run in self.runs if run_key(run.run_id) in wanted]


class Pages:
    """Builds the payloads for single tasks and caches what they read."""

    def __init__(self, readers: Readers | None = None) -> None:
        self.service = RunDetails()
        self.readers = readers or Readers()
        self._reports: CoalescingCache[Report | None] = CoalescingCache(MAX_FILES, FILE_TTL)
        self._opens: CoalescingCache[list[bool]] = CoalescingCache(4 * MAX_FILES, FILE_TTL)
        self._copies: CoalescingCache[dict[str, tuple[str, str]]] = CoalescingCache(4 * MAX_FILES, FILE_TTL)

    async def overview(self, task: StoredTask) -> Json:
        """The task's verdict, and one row per run."""
        owner = owner_of(task.rendered, task.team)
        ids = known_ids(task)
        if not task.note and not task.summary and owner is None:
            return {"kind": "none", "task": _task_facts(task)}
        report = await self._report(task)
        if report is not None:
            rows, source = [run_row(run) for run in report.runs], "report"
        else:
            asked = owner is not None and any(run_key(run_id) in own_keys(task) for run_id in ids)
            rows, source = _rows(task, ids), "service" if asked else "summary"
        # With `do_xcom_push=False` only the report has the summary.
        given = task.summary or (report.summary if report is not None else {})
        rejected = rejected_keys(task)
        summary = with_rejected(shown_summary(given), rejected)
        summary["known"] = with_commit_urls(summary["known"])
        rows = [marked_rejected(row, rejected) for row in rows]
        return {
            "kind": "tests",
            "task": _task_facts(task),
            "summary": summary if given else None,
            "runs": rows[:MAX_ROWS],
            "total": max(len(rows), len(ids), summary["counts"].get("total", 0)),
            "source": source,
            # Marks a sensor. A missing label does not: an operator whose request was refused has none either.
            "given": bool(given_ids(task)),
            "reason": reason_of(task),
            "url": https(given.get("url")) or https(task.note.get("url")),
            "reports": await self._reports_of(task),
            **group_of(task),
            "tested": tested_by(task),
        }

    async def details(self, task: StoredTask, wanted: Sequence[str]) -> Json:
        """Details of some of the task's runs, and a notice when some are missing."""
        copies = await self._copies_of(task)
        names = {stem: name for stem, (_, name) in copies.items()}
        found, notice = await self._found(task, set(wanted))
        rejected = rejected_keys(task)
        return {
            "runs": {
                key: with_copies(marked_rejected(detail, rejected), names) for key, detail in found.items()
            },
            "notice": notice,
        }

    async def copy(self, task: StoredTask, name: str) -> tuple[bytes, str] | None:
        """A screenshot copy and its media type; None unless it is stored next to one of the task's reports."""
        copies = await self._copies_of(task)
        folder, known = copies.get(name.partition(".")[0], ("", ""))
        if known != name:
            return None
        return await self.readers.read(
            report_files.place_of(folder), lambda: report_files.read_copy(folder, known), None
        )

    async def report(self, task: StoredTask, index: int) -> tuple[bytes, str] | None:
        """One of the task's HTML reports and its path; None if it is unreadable or about another run."""
        paths = report_files.report_paths(task.rendered)
        path = paths[index] if index < len(paths) else ""
        if not path.lower().endswith(".html"):
            return None
        content = await self.readers.read(
            report_files.place_of(path), lambda: report_files.read_page(path), None
        )
        return (content, path) if content is not None and _belongs_to(content, task) else None

    async def _reports_of(self, task: StoredTask) -> list[Json]:
        """The reports; the browser asks for one by its index, so no file path ever comes from a URL."""
        paths = report_files.report_paths(task.rendered) if task.summary or task.finished else []

        async def check() -> list[bool]:
            return [await self.report(task, index) is not None for index in range(len(paths[:MAX_REPORTS]))]

        opens = await self._opens.get(_key(task), check) if task.finished else [False] * len(paths)
        return [
            {
                "index": index,
                "path": line(path, 400),
                "opens": can,
                "note": NOT_OPENED if task.finished and path.lower().endswith(".html") and not can else "",
            }
            for index, (path, can) in enumerate(zip(paths, opens, strict=False))
        ]

    async def _found(self, task: StoredTask, wanted: set[str]) -> tuple[dict[str, Json], str]:
        report = await self._report(task)
        if report is not None:
            runs = report.find(wanted)
            return await asyncio.to_thread(lambda: {run_key(run.run_id): run_detail(run) for run in runs}), ""
        owner = owner_of(task.rendered, task.team)
        # The record also has the attempts of earlier rounds, which the list does not show as runs of their own.
        listed = ids_of([*known_ids(task), *runs_named(task.record)])
        ids = [run_id for run_id in listed if run_key(run_id) in wanted]
        if owner is None:
            # Airflow keeps them for the newest DAG runs only (`[core] num_dag_runs_to_retain_rendered_fields`).
            return {}, NO_FIELDS
        own = own_keys(task, recorded=await self.service.is_record_signed(owner, task))
        found = await self.service.fetch(owner, [run_id for run_id in ids if run_key(run_id) in own])
        foreign = any(run_key(run_id) not in own for run_id in ids)
        return found.details, found.notice or (NOT_RECORDED if foreign else "")

    async def _report(self, task: StoredTask) -> Report | None:
        paths = [path for path in report_files.report_paths(task.rendered) if path.lower().endswith(".json")]
        if not paths or not task.finished:
            return None

        async def read() -> Report | None:
            return await self.readers.read(
                report_files.place_of(paths[0]), lambda: _read_report(paths[0], task), None
            )

        return await self._reports.get(_key(task), read)

    async def _copies_of(self, task: StoredTask) -> dict[str, tuple[str, str]]:
        paths = report_files.report_paths(task.rendered)
        if not paths or not task.finished:
            return {}

        async def list_copies() -> dict[str, tuple[str, str]]:
            return await self.readers.read(
                report_files.place_of(paths[0]), lambda: report_files.list_copies(paths), {}
            )

        return await self._copies.get(_key(task), list_copies)


def known_ids(task: StoredTask) -> list[RunId]:
    """The ids of the task's runs: those it pushed to XCom, else a sensor's `run_ids` or those in the record.

    Runs of earlier rounds are added: a summary has at most 150 ids, and the XCom `run_ids` has the last round's.
    """
    pushed = task.xcoms.get("run_ids")
    of_summary = task.summary.get("run_ids")
    lists: list[Sequence[Any]] = [value for value in (pushed, of_summary) if isinstance(value, list)]
    if lists:
        lists.append(carried_runs(task.record))
    else:
        lists = [given_ids(task) or sorted(runs_named(task.record), key=str)]
    return ids_of(value for values in lists for value in values)[:MAX_ROWS]


def _read_report(path: str, task: StoredTask) -> Report | None:
    found = report_files.read_results(path)
    if found is None:
        return None
    results, summary = found
    # If `report_path` is the same for every DAG run, a later run has overwritten the report.
    if not results or not _is_about(
        {run_key(run.run_id) for run in results}, set(map(run_key, known_ids(task))), task
    ):
        return None
    rank = {str(kind): number for number, kind in enumerate(ORDER)}
    results.sort(key=lambda run: (rank.get(outcome_of(run), 0), not run.issues, not run.flaky))
    return Report(tuple(results), summary)


def _rows(task: StoredTask, ids: Sequence[RunId]) -> list[Json]:
    rows = summary_rows(task.summary)
    listed = {row["id"] for row in rows}
    rest = [key for key in map(run_key, ids) if key not in listed]
    outcome = _outcome_of_rest(rows, len(rest), shown_summary(task.summary)["counts"])
    blank: Json = {"title": "", "outcome": outcome, "seconds": None, "flaky": False}
    return [*rows, *({"id": run_id, **blank} for run_id in rest)]


def _outcome_of_rest(rows: Sequence[Json], rest: int, counts: Json) -> str:
    """The outcome of the runs that a truncated summary counts but does not list; empty unless it is certain.

    A summary lists the runs that did not pass first, so the rest of a large group has usually passed.
    """
    listed = Counter(row["outcome"] for row in rows)
    left = {kind: count - listed[kind] for kind, count in counts.items() if kind != "total"}
    kinds = [kind for kind, count in left.items() if count]
    return kinds[0] if len(kinds) == 1 and left[kinds[0]] == rest else ""


def _task_facts(task: StoredTask) -> Json:
    return {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "state": task.state or "none",
        "finished": task.finished,
        "try_number": task.try_number,
        "started": stamp(task.started),
        "ended": stamp(task.ended),
    }


def _belongs_to(page: bytes, task: StoredTask) -> bool:
    """Whether a report page covers only this task's runs: a later run may have overwritten the same path."""
    known = {html.id_in_page(run_id) for run_id in known_ids(task)}
    named = html.ids_in(page)
    if named is None:
        # Pages of earlier versions show the ids, but have no list of them in the head.
        return any(run_id.encode() in page for run_id in known)
    return _is_about(named, known, task) if named else not known


def _is_about(named: Set[str], known: Set[str], task: StoredTask) -> bool:
    """Whether the runs that a report names are the task's.

    :param known: the task's runs, all of them or, if the summary of a large group is truncated, a part.
    """
    return named <= known or (bool(known) and known <= named and ids_truncated(task.summary))


def _key(task: StoredTask) -> tuple[object, ...]:
    return task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number, task.ended
