"""What the history says about all matching tasks: figures, nights, filter choices and the tests by flakiness."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from itertools import chain
from typing import Final
from zoneinfo import ZoneInfo

from airflow_provider_testerarmy.ui.history_parts import Night, Outcome, Part, median
from airflow_provider_testerarmy.ui.history_rows import JUDGED, NameOfTest, Place
from airflow_provider_testerarmy.ui.payloads import Json

#: How many tests are listed.
MAX_TESTS: Final = 200


def titles_of(parts: Iterable[Part]) -> dict[str, str]:
    """The title of each group. It may be a group of several DAGs, so the title of the highest rank counts."""
    found: dict[str, tuple[float, str]] = {}
    for part in parts:
        for group, ranked in part.titles.items():
            if group not in found or found[group][0] < ranked[0]:
                found[group] = ranked
    return {group: title for group, (_, title) in found.items()}


def choices(parts: Iterable[Part], dag_ids: Iterable[str], titles: dict[str, str]) -> Json:
    """What the filters offer."""
    return {
        "dags": sorted(dag_ids),
        "groups": sorted(
            ({"key": group, "title": title} for group, title in titles.items()),
            key=lambda group: group["title"].lower(),
        ),
        "verdicts": sorted(set().union(*(part.verdicts for part in parts))),
    }


def figures(parts: Sequence[Part]) -> Json:
    """Verdicts, pass rate and duration of these tasks; a value is None without a task to take it from."""
    verdicts: Counter[str] = sum((part.verdicts for part in parts), Counter())
    rates = [rate for part in parts for rate in part.rates]
    return {
        "tasks": sum(part.tasks for part in parts),
        "passed": verdicts["passed"] / verdicts.total() if verdicts else None,
        "rate": statistics.fmean(rates) if rates else None,
        "seconds": median(list(chain.from_iterable(part.seconds for part in parts))),
    }


def nights(parts: Iterable[Part]) -> list[Json]:
    """The tasks with a verdict by day, or by hour, the oldest first."""
    found: defaultdict[float, list[Night]] = defaultdict(list)
    for part in parts:
        for when, night in part.nights.items():
            found[when].append(night)
    return [{"when": when, **_night(found[when])} for when in sorted(found)]


def _night(nights: Sequence[Night]) -> Json:
    return {
        "verdicts": dict(sum((night.verdicts for night in nights), Counter())),
        "passed": sum(night.passed for night in nights),
        "judged": sum(night.judged for night in nights),
        "seconds": median(list(chain.from_iterable(night.seconds for night in nights))),
    }


def zone_of(name: str) -> tzinfo:
    """The time zone of this name; UTC for a name that is none."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def tests_of(parts: Iterable[Part], titles: dict[str, str]) -> list[Json]:
    """The tests, the flakiest first. A large group's summary is truncated, so some of its tests may be missing."""
    tests = [
        _test(place, name, results[::-1], titles)
        for part in parts
        for (place, _), (name, results) in part.results.items()
        if results
    ]
    tests.sort(
        key=lambda test: (-test["flakiness"], test["rate"] if test["rate"] is not None else 1, test["title"])
    )
    return tests


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
