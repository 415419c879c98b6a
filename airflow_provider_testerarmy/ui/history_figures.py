"""What the history says about all matching tasks: figures, nights, filter choices and the tests by flakiness."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_testerarmy.ui.history_rows import JUDGED, HistoryRow, NameOfTest, Place
from airflow_provider_testerarmy.ui.payloads import Json

#: How many of a test's latest outcomes count for its flakiness, and how many tests are listed.
RECENT: Final = 30
MAX_TESTS: Final = 200


class Outcome(NamedTuple):
    """One result of a test. `when` is in seconds since the epoch; the address is empty if it is unknown."""

    when: float
    outcome: str
    flaky: bool
    seconds: float | None
    address: str


def titles_of(rows: Iterable[HistoryRow]) -> dict[str, str]:
    """The title of each group. A try that only reconnected does not know it, so the newest row that does counts."""
    titles: dict[str, tuple[float, str]] = {}
    for row in rows:
        rank = row.when if row.title != row.label else row.when - 1e12
        if row.group not in titles or titles[row.group][0] < rank:
            titles[row.group] = (rank, row.title)
    return {group: title for group, (_, title) in titles.items()}


def choices(rows: Sequence[HistoryRow], dag_ids: Iterable[str], titles: dict[str, str]) -> Json:
    """What the filters offer."""
    return {
        "dags": sorted(dag_ids),
        "groups": sorted(
            ({"key": group, "title": title} for group, title in titles.items()),
            key=lambda group: group["title"].lower(),
        ),
        "verdicts": sorted({row.verdict for row in rows if row.verdict}),
    }


def figures(rows: Sequence[HistoryRow]) -> Json:
    """Verdicts, pass rate and duration of these tasks; a value is None without a task to take it from."""
    judged = [row for row in rows if row.verdict]
    rates = [row.passed / row.judged for row in judged if row.judged]
    times = [row.seconds for row in judged if row.seconds is not None]
    return {
        "tasks": len(rows),
        "passed": sum(row.verdict == "passed" for row in judged) / len(judged) if judged else None,
        "rate": statistics.fmean(rates) if rates else None,
        "seconds": statistics.median(times) if times else None,
        "unread": sum(row.unread for row in rows),
    }


def nights(rows: Iterable[HistoryRow], zone: tzinfo, *, hourly: bool = False) -> list[Json]:
    """The tasks with a verdict by day, or by hour, the oldest first.

    :param zone: the time zone in which a day begins.
    """
    days: defaultdict[float, list[HistoryRow]] = defaultdict(list)
    begin = beginning(zone, hourly=hourly)
    for row in rows:
        if row.verdict:
            days[begin(row.when)].append(row)
    return [
        {
            "when": when,
            "verdicts": dict(Counter(row.verdict for row in days[when])),
            "passed": sum(row.passed for row in days[when]),
            "judged": sum(row.judged for row in days[when]),
            "seconds": statistics.median(times)
            if (times := [row.seconds for row in days[when] if row.seconds is not None])
            else None,
        }
        for when in sorted(days)
    ]


def beginning(zone: tzinfo, *, hourly: bool = False) -> Callable[[float], float]:
    """A function that gives the beginning of the day, or the hour, of a time."""
    known: dict[int, float] = {}

    def begin(when: float) -> float:
        # A quarter of an hour never spans two days or hours, in whichever time zone.
        quarter = int(when // 900)
        if quarter not in known:
            hour = datetime.fromtimestamp(when, zone).replace(minute=0, second=0, microsecond=0)
            known[quarter] = (hour if hourly else hour.replace(hour=0)).timestamp()
        return known[quarter]

    return begin


def zone_of(name: str) -> tzinfo:
    """The time zone of this name; UTC for a name that is none."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def tests_of(
    rows: Iterable[HistoryRow], titles: dict[str, str], wanted: Callable[[NameOfTest], bool]
) -> list[Json]:
    """The tests, the flakiest first. A large group's summary is truncated, so some of its tests may be missing.

    :param rows: sorted, the newest first.
    :param wanted: which tests to list.
    """
    found = results_of(rows, wanted)
    tests = [
        _test(place, name, results[::-1], titles) for (place, _), (name, results) in found.items() if results
    ]
    tests.sort(
        key=lambda test: (-test["flakiness"], test["rate"] if test["rate"] is not None else 1, test["title"])
    )
    return tests


def results_of(
    rows: Iterable[HistoryRow], wanted: Callable[[NameOfTest], bool], most: int = RECENT
) -> dict[tuple[Place, str], tuple[NameOfTest, list[Outcome]]]:
    """Each test's latest results in each place, the newest first, with the test's newest name.

    :param most: after how many results of a test the older ones are left out.
    """
    found: dict[tuple[Place, str], tuple[NameOfTest, list[Outcome]]] = {}
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


def _test(place: Place, name: NameOfTest, recent: Sequence[Outcome], titles: dict[str, str]) -> Json:
    return {
        "key": name.key,
        "title": name.title,
        "group": place.group,
        "group_title": titles.get(place.group, place.group),
        "dag_id": place.dag_id,
        "task_id": place.task_id,
        "environment": place.environment,
        "outcomes": [[each.when, each.outcome, each.flaky] for each in recent],
        "durations": [each.seconds for each in recent],
        **flakiness_of(recent),
    }


def flakiness_of(recent: Sequence[Outcome]) -> Json:
    """Pass rate, flakiness and median duration of these results, the oldest first."""
    counts = Counter(each.outcome for each in recent)
    judged = sum(counts[kind] for kind in JUDGED)
    changes = _changes(recent)
    flaky = sum(each.flaky for each in recent)
    known = [each.seconds for each in recent if each.seconds is not None]
    return {
        "rate": counts["passed"] / judged if judged else None,
        "flaky": flaky,
        "changes": changes,
        # How often the outcome changed between consecutive runs, or the test passed only when it was run again.
        "flakiness": min(1.0, (flaky + changes) / len(recent)) if recent else 0.0,
        "seconds": statistics.median(known) if known else None,
    }


def _changes(results: Sequence[Outcome]) -> int:
    """How often the outcome changed between consecutive runs at the same address.

    Another address, such as that of a preview, may be another version of the product.
    """
    changes, last = 0, dict[str, str]()
    for each in results:
        # An error of the service says nothing about the test.
        if each.outcome in ("passed", "failed"):
            changes += last.get(each.address, each.outcome) != each.outcome
            last[each.address] = each.outcome
    return changes
