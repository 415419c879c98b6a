"""The history of test tasks: verdicts, pass rates and durations over time, and the flakiest tests."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.ui.payloads import Json, shown_summary, stamp, summary_rows
from airflow_provider_testerarmy.ui.store import StoredTask

#: How many of a test's latest outcomes count, and how many tests are listed.
RECENT: Final = 30
MAX_TESTS: Final = 200
#: Reasons per list entry. The first often only gives the rate; the next ones name the tests.
MAX_REASONS: Final = 3
_JUDGED: Final = ("passed", "failed", "errored")


@dataclass(frozen=True, slots=True)
class Filter:
    """The history's filters; an empty field matches everything."""

    dag_id: str = ""
    group: str = ""
    verdict: str = ""

    def matches(self, entry: Json) -> bool:
        """Whether an entry passes all filters."""
        wanted = ((self.dag_id, "dag_id"), (self.group, "group"), (self.verdict, "verdict"))
        return all(not value or entry[name] == value for value, name in wanted)


@dataclass(slots=True)
class _TestHistory:
    """One test's results, the oldest first: start time, outcome, seconds, flaky."""

    title: str = ""
    group: str = ""
    dag_id: str = ""
    results: list[tuple[float, str, float | None, bool]] = field(default_factory=list)


def entry_of(task: StoredTask) -> Json:
    """One test task as a list entry."""
    summary = shown_summary(task.summary)
    counts = summary["counts"]
    judged = sum(counts.get(kind, 0) for kind in _JUDGED)
    started, ended = summary["started"], summary["ended"]
    seconds = ended - started if started is not None and ended is not None and ended >= started else None
    return {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "state": task.state or "none",
        "finished": task.finished,
        "when": stamp(task.started),
        "verdict": summary["verdict"],
        "reasons": summary["reasons"][:MAX_REASONS],
        "more_reasons": len(summary["reasons"][MAX_REASONS:]) + summary["more_reasons"],
        "counts": counts,
        "flaky": summary["flaky"],
        "issues": len(summary["issues"]) + summary["more_issues"],
        "rate": counts.get("passed", 0) / judged if judged else None,
        "seconds": seconds,
        **group_of(task),
    }


def group_of(task: StoredTask) -> Json:
    """What the task ran: `group` is the key to filter by, `group_title` the name to show."""
    label, title = line(task.note.get("label", ""), 200), line(task.note.get("title", ""), 120)
    return {
        "group": label or f"{task.dag_id}.{task.task_id}",
        "group_title": title or label or task.task_id,
        "label": label,
    }


def history(tasks: Sequence[StoredTask], wanted: Filter) -> Json:
    """The history page's payload: matching tasks, their tests, and the filter choices.

    :param tasks: the newest first.
    """
    entries = [entry_of(task) for task in tasks]
    titles: dict[str, str] = {}
    for entry in entries:
        # A try that only reconnected does not know the title, so the newest entry that has one provides it.
        if entry["group_title"] != entry["label"]:
            titles.setdefault(entry["group"], entry["group_title"])
    for entry in entries:
        entry["group_title"] = titles.get(entry["group"], entry["group_title"])
    shown = [(task, entry) for task, entry in zip(tasks, entries, strict=True) if wanted.matches(entry)]
    return {
        "runs": [entry for _, entry in shown],
        "tests": _tests(reversed(shown)),
        "choices": {
            "dags": sorted({entry["dag_id"] for entry in entries}),
            "groups": sorted(
                ({"key": key, "title": title} for key, title in _groups(entries).items()),
                key=lambda group: group["title"].lower(),
            ),
            "verdicts": sorted({entry["verdict"] for entry in entries if entry["verdict"]}),
        },
    }


def _groups(entries: Iterable[Json]) -> dict[str, str]:
    return {entry["group"]: entry["group_title"] for entry in entries}


def _tests(shown: Iterable[tuple[StoredTask, Json]]) -> list[Json]:
    """The tests, the flakiest first. The summary of a large group is truncated, so some tests may be missing.

    The task is part of a test's key. One task may test staging and another production, and a test that fails only
    in production is not flaky.
    """
    tests: defaultdict[tuple[object, ...], _TestHistory] = defaultdict(_TestHistory)
    for task, entry in shown:
        for row in summary_rows(task.summary):
            test = tests[(*_place(task), entry["group"], row["test_id"] or row["title"])]
            test.title, test.group, test.dag_id = row["title"], entry["group_title"], task.dag_id
            test.results.append((entry["when"] or 0.0, row["outcome"], row["seconds"], row["flaky"]))
    rows = [_test(test) for test in tests.values()]
    rows.sort(
        key=lambda row: (-row["flakiness"], row["rate"] if row["rate"] is not None else 1, row["title"])
    )
    return rows[:MAX_TESTS]


def _place(task: StoredTask) -> tuple[object, ...]:
    return task.dag_id, task.task_id, task.map_index


def _test(test: _TestHistory) -> Json:
    recent = test.results[-RECENT:]
    outcomes = [outcome for _, outcome, _, _ in recent]
    counts = Counter(outcomes)
    judged = sum(counts[kind] for kind in _JUDGED)
    # Only passed and failed count for flakiness: an error of the service says nothing about the test.
    settled = [outcome for outcome in outcomes if outcome in ("passed", "failed")]
    changes = sum(one != next_one for one, next_one in itertools.pairwise(settled))
    flaky = sum(each[3] for each in recent)
    durations = [seconds for _, _, seconds, _ in recent]
    known = [seconds for seconds in durations if seconds is not None]
    return {
        "title": test.title,
        "group_title": test.group,
        "dag_id": test.dag_id,
        "outcomes": [[when, outcome, was_flaky] for when, outcome, _, was_flaky in recent],
        "rate": counts["passed"] / judged if judged else None,
        "flaky": flaky,
        "changes": changes,
        # How often the outcome changed between consecutive runs, or the test passed only when it was run again.
        "flakiness": min(1.0, (flaky + changes) / len(recent)) if recent else 0.0,
        "seconds": statistics.median(known) if known else None,
        "durations": durations,
    }
