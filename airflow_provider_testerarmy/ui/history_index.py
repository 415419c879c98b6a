"""All test tasks of a period in memory, in few bytes each, kept equal to Airflow's database.

Verdicts, tests and issues are inside JSON documents of up to 16 KiB, in a form that depends on Airflow's version,
the database and the XCom backend. A query that reads 100,000 of them takes seconds, so each is read once. Until
that is done, answers come from the newest tasks and from those that SQL finds for the filters, and say from when on
they are complete.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple

from airflow_provider_testerarmy.ui import store
from airflow_provider_testerarmy.ui.history_parts import DagRows
from airflow_provider_testerarmy.ui.history_rows import HistoryRow, Names, row_of
from airflow_provider_testerarmy.ui.store import StoredTask

#: The most tasks in the index, the newest of each DAG first, and how many are read at a time.
MAX_ROWS: Final = 200_000
CHUNK: Final = 500
#: The most tasks that an answer waits for, twice with a filter. With more to read, it has only the newest of them.
MAX_NOW = 2_000
#: For how many seconds the rows of a DAG are kept, up to twice as long so that not all expire at once. An edited
#: XCom changes no mark.
SECONDS: Final = 3600.0
#: For each DAG with test runs the number of its tasks, and a mark.
Changes = Mapping[str, store.Change]


class FoundRows(NamedTuple):
    """The rows of each DAG.

    :param complete_since: the time after which no row that matches is missing; None if none is missing in the
        whole period.
    :param reading: whether rows may be missing that do not match.
    """

    rows: dict[str, DagRows]
    complete_since: float | None
    reading: bool


_ORDER: Final = attrgetter("order")


class _Held:
    """The rows of one DAG, by task instance id, each with the mark of its last change."""

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.change: object = None
        self.rows: dict[object, tuple[object, HistoryRow]] = {}
        self._sorted = DagRows([])

    def sort(self) -> None:
        """Follow a change of the rows."""
        self._sorted = DagRows(sorted((row for _, row in self.rows.values()), key=_ORDER))

    def since(self, when: float) -> DagRows:
        """The rows that started since then."""
        found = self._sorted
        end = bisect_right(found.rows, -when, key=lambda row: row.order[0])
        return found if end == len(found.rows) else DagRows(found.rows[:end], found.kept)


class HistoryIndex:
    """Rows by DAG. Before each use it asks the database which DAGs have changed, and reads only what is new."""

    def __init__(self, most: int = MAX_ROWS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._guard = threading.Lock()
        self._building: threading.Thread | None = None
        self._names = Names()
        self._dags: dict[str, _Held] = {}
        self._since: datetime | None = None
        self.truncated = False

    def rows_now(
        self, dag_ids: Collection[str], since: datetime, changes: Changes, hints: store.Hints
    ) -> FoundRows:
        """The rows as :meth:`rows` has them, or those of :func:`newest_rows` while the index is being built."""
        with self._guard:
            if not self.building:
                if self._to_read(dag_ids, changes) <= MAX_NOW:
                    self._building = None
                else:
                    self._building = threading.Thread(
                        target=self.rows, args=(dag_ids, since, changes), name="history-index", daemon=True
                    )
            thread = self._building
        if thread is None:
            return FoundRows(self.rows(dag_ids, since, changes), None, False)
        try:
            return newest_rows([name for name in dag_ids if name in changes], since, hints)
        finally:
            # Not before the answer has been read, which the thread would slow down.
            with self._guard:
                if thread.ident is None:
                    thread.start()

    @property
    def building(self) -> bool:
        """Whether a thread builds the index, or is about to."""
        thread = self._building
        return thread is not None and (thread.ident is None or thread.is_alive())

    def wait(self) -> None:
        """Wait until the index is built."""
        if (thread := self._building) is not None and thread.ident is not None:
            thread.join()

    def _to_read(self, dag_ids: Collection[str], changes: Changes) -> int:
        """How many tasks are not in the index, at most. A DAG in the index changes by a few tasks at a time."""
        total = 0
        for name in dag_ids:
            held = self._dags.get(name)
            if name in changes and (held is None or held.change is None):
                total += changes[name].tasks - (len(held.rows) if held else 0)
        return total

    def rows(self, dag_ids: Collection[str], since: datetime, changes: Changes) -> dict[str, DagRows]:
        """The rows of these DAGs that started since then.

        :param changes: what :func:`store.read_changes` has just returned.
        """
        start = since.timestamp()
        with self._lock:
            if self._since is None or since < self._since:
                self._since = since
                for dag in self._dags.values():
                    dag.change = None
            for gone in self._dags.keys() - changes.keys():
                del self._dags[gone]
            known = [name for name in dag_ids if name in changes]
            now = time.monotonic()
            for name in known:
                if name not in self._dags or self._dags[name].expires < now:
                    self._dags[name] = _Held(now + SECONDS * (1 + hash(name) % 97 / 97))
            stale = [name for name in known if self._dags[name].change != changes[name]]
            if stale:
                self._read(stale, changes, self._since)
            return {name: self._dags[name].since(start) for name in known}

    def learn(self, tasks: Sequence[StoredTask], rows: Sequence[HistoryRow]) -> None:
        """Replace rows that differ from what has just been read of their tasks.

        That is so for results that an XCom backend stores elsewhere, and for XComs that somebody has edited.
        While the index is being built, it does nothing.
        """
        if self.building:
            return
        known = {row.order: row for row in rows}
        with self._lock:
            fresh = {row.order: row for row in (row_of(task, self._names) for task in tasks)}
            changed = {order: row for order, row in fresh.items() if known.get(order) != row}
            for dag_id in {row.dag_id for row in changed.values()} & self._dags.keys():
                held = self._dags[dag_id].rows
                for name, (mark, row) in held.items():
                    if row.order in changed:
                        held[name] = (mark, changed[row.order])
                self._dags[dag_id].sort()

    def _read(self, stale: Sequence[str], changes: Changes, since: datetime) -> None:
        marks = store.read_marks(stale, since, self._most)
        self.truncated = len(marks) >= self._most
        fresh: dict[str, dict[object, object]] = {name: {} for name in stale}
        for dag_id, name, mark in marks:
            fresh[dag_id][name] = mark
        missing: list[object] = []
        for dag_id, wanted in fresh.items():
            dag = self._dags[dag_id]
            dag.rows = {name: known for name, known in dag.rows.items() if wanted.get(name) == known[0]}
            missing += wanted.keys() - dag.rows.keys()
        for start in range(0, len(missing), CHUNK):
            for name, task in store.read_results(missing[start : start + CHUNK]):
                dag = self._dags[task.dag_id]
                dag.rows[name] = (fresh[task.dag_id].get(name), row_of(task, self._names))
            # Lets the API server's event loop answer others while a large index is built.
            time.sleep(0)
        for name in stale:
            self._dags[name].sort()
            self._dags[name].change = changes[name]


def newest_rows(dag_ids: Sequence[str], since: datetime, hints: store.Hints) -> FoundRows:
    """The rows of the newest tasks of these DAGs, and of the newest that may match, read from the database."""
    begin, names = since.timestamp(), Names()
    known: dict[object, HistoryRow] = {}
    newest, complete = _bounded(store.read_marks(dag_ids, since, MAX_NOW), begin, known, names)
    if complete is None:
        return FoundRows(_by_dag(newest), None, False)
    if not hints.any:
        return FoundRows(_by_dag(newest), complete, True)
    found, found_since = _bounded(store.read_marks(dag_ids, since, MAX_NOW, hints), begin, known, names)
    rows = {row.order: row for row in (*newest, *found)}.values()
    if not hints.exact:
        return FoundRows(_by_dag(rows), complete, True)
    return FoundRows(
        _by_dag(row for row in rows if found_since is None or row.when > found_since), found_since, True
    )


def _by_dag(rows: Iterable[HistoryRow]) -> dict[str, DagRows]:
    found: dict[str, list[HistoryRow]] = {}
    for row in sorted(rows, key=_ORDER):
        found.setdefault(row.dag_id, []).append(row)
    return {dag_id: DagRows(each) for dag_id, each in found.items()}


def _bounded(
    marks: Sequence[tuple[str, object, object]], begin: float, known: dict[object, HistoryRow], names: Names
) -> tuple[list[HistoryRow], float | None]:
    """The rows of these tasks, and the time after which none is missing; None if none is."""
    ids = [name for _, name, _ in marks]
    missing = [name for name in ids if name not in known]
    for start in range(0, len(missing), CHUNK):
        results = store.read_results(missing[start : start + CHUNK])
        known.update((name, row_of(task, names)) for name, task in results)
    rows = [row for name in ids if (row := known.get(name)) and row.when >= begin]
    if len(ids) < MAX_NOW:
        return rows, None
    # Some of the tasks that started together with the oldest may be missing, so none of them counts.
    oldest = min((row.when for row in rows), default=begin)
    return [row for row in rows if row.when > oldest], oldest
