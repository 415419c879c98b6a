"""The history's filters, and the matching of rows."""

from __future__ import annotations

import heapq
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Final

from airflow_provider_testerarmy.ui.history_parts import DagRows
from airflow_provider_testerarmy.ui.history_rows import FoundIssue, HistoryRow, NameOfTest, Order
from airflow_provider_testerarmy.ui.store import Hints

#: Characters that JSON writes as they are. The provider has cleaned them before it stored them, so the text that
#: is shown has them too.
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._:-]+")
_WORD: Final = re.compile(r"[a-z_]+")
_ORDER: Final = attrgetter("order")


@dataclass(frozen=True, slots=True)
class Filter:
    """The history's filters; an empty field matches everything.

    :param test: a test's id, or its title if it has no id.
    :param search: a part of the name of a test, an issue, a group, a DAG or a task, in upper or lower case.
    """

    dag_id: str = ""
    group: str = ""
    verdict: str = ""
    test: str = ""
    search: str = ""

    def hints(self) -> Hints:
        """What the database can tell of the filters."""
        group, test, search = _plain(self.group), _plain(self.test), _plain(self.search.casefold())
        # A list shows the verdict of a task whose runs were all rejected, which the task stored as cancelled.
        verdict = "cancelled" if self.verdict == "rejected" else self.verdict
        is_word = _WORD.fullmatch(verdict) is not None
        return Hints(
            dag_id=self.dag_id,
            verdict=verdict if is_word else "",
            group=self.group if group else "",
            group_part=group,
            test=test,
            search=search,
            # Of letters beyond ASCII, a database folds other ones than Python: "ß" and "ss" are one here.
            exact=not self.search.strip()
            and all((is_word or not verdict, group or not self.group, test or not self.test)),
        )

    def matching(self, rows: Mapping[str, DagRows]) -> dict[str, DagRows]:
        """The rows of each DAG that pass all filters; those of a whole DAG stay the same object."""
        found = {dag_id: each for dag_id, each in rows.items() if self.dag_id in ("", dag_id)}
        if self.takes_whole_dags:
            return found
        return {dag_id: DagRows(fit) for dag_id, each in found.items() if (fit := self._fitting(each.rows))}

    @property
    def takes_whole_dags(self) -> bool:
        """Whether all rows and tests of a DAG match, or none."""
        return not (self.group or self.verdict or self.test or self.search.strip())

    def _fitting(self, rows: Sequence[HistoryRow]) -> Sequence[HistoryRow]:
        if self.group:
            rows = [row for row in rows if row.group == self.group]
        if self.verdict:
            rows = [row for row in rows if row.verdict == self.verdict]
        if self.test:
            rows = _running(rows, lambda name: name.key == self.test)
        if words := self.search.casefold().strip():
            rows = _containing(rows, words)
        return rows

    def names(self) -> Callable[[NameOfTest], bool]:
        """Whether a test is one of those that the filters ask for."""
        words = self.search.casefold().strip()
        if self.test:
            return lambda name: name.key == self.test
        return lambda name: not words or _has(name, words)


def _plain(text: str) -> str:
    """The longest part of a text that its JSON has too; empty if there is none."""
    return max(_PLAIN.findall(text), key=len, default="").strip()


def _running(rows: Sequence[HistoryRow], fits: Callable[[NameOfTest], bool]) -> list[HistoryRow]:
    """The rows of the tasks that ran such a test. Most tasks ran the same tests, so each list is searched once."""
    ran = {names for names in {row.names for row in rows} if any(map(fits, names))}
    return [row for row in rows if row.names in ran]


def _containing(rows: Sequence[HistoryRow], words: str) -> list[HistoryRow]:
    # Issues and names of groups, DAGs and tasks repeat as well.
    ran = set(map(id, _running(rows, lambda name: _has(name, words))))
    every: set[FoundIssue] = set().union(*(row.issues for row in rows))
    issues = frozenset(issue for issue in every if words in issue.text.casefold())
    labels: dict[tuple[str, ...], bool] = {}

    def fits(row: HistoryRow) -> bool:
        if id(row) in ran or not issues.isdisjoint(row.issues):
            return True
        texts = (row.title, row.label, row.dag_id, row.order[3])
        known = labels.get(texts)
        if known is None:
            known = labels[texts] = any(words in text.casefold() for text in texts)
        return known

    return [row for row in rows if fits(row)]


def _has(name: NameOfTest, words: str) -> bool:
    return words in name.title.casefold() or words in name.key.casefold()


def cursor_of(row: HistoryRow) -> str:
    """Where a page ends: the next page starts after this row, also if newer tasks have started meanwhile."""
    return json.dumps(row.order)


def page_after(rows: Iterable[DagRows], cursor: str, size: int) -> list[HistoryRow]:
    """The rows of the page that follows a cursor, the newest first.

    :param cursor: empty for the first page.
    :raises ValueError: for a cursor that :func:`cursor_of` has not made.
    """
    order = _order(json.loads(cursor)) if cursor else None
    following = []
    for each in rows:
        begin = bisect_right(each.rows, order, key=_ORDER) if order else 0
        following.append(each.rows[begin : begin + size])
    return list(islice(heapq.merge(*following, key=_ORDER), size))


def _order(value: object) -> Order:
    kinds = (float, str, str, str, int)
    if (
        not isinstance(value, list)
        or len(value) != len(kinds)
        or any(type(each) is not kind for each, kind in zip(value, kinds, strict=True))
    ):
        raise ValueError("not a cursor")
    when, dag_id, run_id, task_id, map_index = value
    return when, dag_id, run_id, task_id, map_index
