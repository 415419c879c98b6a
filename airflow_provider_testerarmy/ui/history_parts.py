"""What the history needs of one DAG's rows. The parts of all DAGs together make its answer.

A part is computed once for the same rows and kept. So an answer over 100,000 tasks reads only those of the DAGs
that have changed.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

from airflow_provider_testerarmy.ui.history_rows import HistoryRow, NameOfTest, Place

#: How many of a test's latest outcomes count for its flakiness.
RECENT: Final = 30
#: How many parts are kept of one DAG: for other periods and time zones. The beginning of a period moves on.
MAX_KEPT: Final = 8
_VERDICT, _SECONDS = attrgetter("verdict"), attrgetter("seconds")
_Made = TypeVar("_Made")
_PASSED, _JUDGED = attrgetter("passed"), attrgetter("judged")


class Outcome(NamedTuple):
    """One result of a test. `when` is in seconds since the epoch; the address is empty if it is unknown."""

    when: float
    outcome: str
    flaky: bool
    seconds: float | None
    address: str


#: Each test's latest results in each place, the newest first, with the test's newest name.
Results = dict[tuple[Place, str], tuple[NameOfTest, list[Outcome]]]


class Night(NamedTuple):
    """The tasks of a day, or an hour, that have a verdict; `seconds` are their durations, sorted."""

    verdicts: Counter[str]
    passed: int
    judged: int
    seconds: list[float]


class Part(NamedTuple):
    """What one DAG's rows add to the history.

    :param rates: the pass rates of the tasks that have one.
    :param seconds: the durations of the tasks with a verdict, sorted.
    :param nights: by the time at which the day, or the hour, begins.
    """

    tasks: int
    verdicts: Counter[str]
    rates: list[float]
    seconds: list[float]
    nights: dict[float, Night]
    titles: dict[str, tuple[float, str]]
    results: Results


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where nights begin.

    :param zone: the time zone in which a day begins.
    :param hourly: whether each hour is a night of its own.
    """

    zone: tzinfo = UTC
    hourly: bool = False

    def beginning(self) -> Callable[[float], float]:
        """A function that gives the beginning of the day, or the hour, of a time."""
        known: dict[int, float] = {}

        def begin(when: float) -> float:
            # A quarter of an hour never spans two days or hours, in whichever time zone.
            quarter = int(when // 900)
            if quarter not in known:
                hour = datetime.fromtimestamp(when, self.zone).replace(minute=0, second=0, microsecond=0)
                known[quarter] = (hour if self.hourly else hour.replace(hour=0)).timestamp()
            return known[quarter]

        return begin


@dataclass(frozen=True, slots=True)
class DagRows:
    """Rows of one DAG, the newest first.

    :param kept: what is known of these rows and of rows that begin with them.
    """

    rows: Sequence[HistoryRow]
    kept: dict[tuple[object, int], Any] = field(default_factory=dict)

    def part(self, calendar: Calendar) -> Part:
        """The part of these rows, with all of their tests."""
        return self._keep(calendar, lambda: part_of(self.rows, calendar))

    def unread(self) -> list[HistoryRow]:
        """The rows whose results an XCom backend stores elsewhere and that have not been read."""
        return self._keep("unread", lambda: [row for row in self.rows if row.unread])

    def _keep(self, name: object, make: Callable[[], _Made]) -> _Made:
        # The number tells apart rows of several periods: each has the newest of the same list.
        key = name, len(self.rows)
        made: _Made | None = self.kept.get(key)
        if made is None:
            made = make()
            if len(self.kept) >= MAX_KEPT:
                self.kept.clear()
            self.kept[key] = made
        return made


def part_of(
    rows: Sequence[HistoryRow], calendar: Calendar, wanted: Callable[[NameOfTest], bool] = lambda _: True
) -> Part:
    """What these rows of one DAG add to the history.

    :param rows: the newest first.
    :param wanted: which tests to list.
    """
    judged = [row for row in rows if row.verdict]
    return Part(
        len(rows),
        Counter(map(_VERDICT, judged)),
        [row.passed / row.judged for row in judged if row.judged],
        _seconds_of(judged),
        _nights_of(judged, calendar),
        ranked_titles(rows),
        results_of(rows, wanted),
    )


def ranked_titles(rows: Iterable[HistoryRow]) -> dict[str, tuple[float, str]]:
    """The title of each group, with a rank: of several DAGs' titles of a group, the one of the highest rank counts.

    A try that only reconnected does not know the title, so the newest row that does counts.

    :param rows: the newest first.
    """
    titles: dict[str, tuple[float, str]] = {}
    unknown: dict[str, tuple[float, str]] = {}
    for row in rows:
        group = row.place.group
        if group in titles:
            continue
        if row.title != row.label:
            titles[group] = row.when, row.title
        elif group not in unknown:
            unknown[group] = row.when - 1e12, row.title
    return unknown | titles


def _seconds_of(rows: Iterable[HistoryRow]) -> list[float]:
    return sorted(seconds for seconds in map(_SECONDS, rows) if seconds is not None)


def _nights_of(rows: Sequence[HistoryRow], calendar: Calendar) -> dict[float, Night]:
    begin = calendar.beginning()
    nights: dict[float, Night] = {}
    start = 0
    while start < len(rows):
        when = begin(rows[start].when)
        end = bisect_right(rows, -when, lo=start + 1, key=lambda row: row.order[0])
        night = rows[start:end]
        nights[when] = Night(
            Counter(map(_VERDICT, night)),
            sum(map(_PASSED, night)),
            sum(map(_JUDGED, night)),
            _seconds_of(night),
        )
        start = end
    return nights


def results_of(
    rows: Iterable[HistoryRow], wanted: Callable[[NameOfTest], bool], most: int = RECENT
) -> Results:
    """Each test's latest results in each place.

    :param rows: the newest first.
    :param wanted: which tests to list.
    :param most: after how many results of a test the older ones are left out.
    """
    found: Results = {}
    listed: dict[NameOfTest, bool] = {}
    complete: defaultdict[Place, set[NameOfTest]] = defaultdict(set)
    for row in rows:
        done = complete[row.place]
        if done.issuperset(row.names):
            continue
        for result in row.results():
            name = result.name
            if name not in listed:
                listed[name] = wanted(name)
            results = found.setdefault((row.place, name.key), (name, []))[1] if listed[name] else []
            if listed[name] and len(results) < most:
                results.append(Outcome(row.when, result.outcome, result.flaky, result.seconds, row.address))
            else:
                done.add(name)
    return found


def median(values: Sequence[float]) -> float | None:
    """The median; None without values."""
    return statistics.median(values) if values else None
