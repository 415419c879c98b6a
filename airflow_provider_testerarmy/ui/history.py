"""The history of test tasks: verdicts, pass rates and durations over time, and the flakiest tests."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.ui.payloads import Json, shown_summary, stamp, summary_rows, with_rejected
from airflow_provider_testerarmy.ui.run_ownership import rejected_keys
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


class _Result(NamedTuple):
    """One result of a test. `when` is in seconds since the epoch; the address is empty if it is unknown."""

    when: float
    outcome: str
    seconds: float | None
    flaky: bool
    address: str


@dataclass(slots=True)
class _TestHistory:
    """One test's results in one place, the oldest first."""

    title: str = ""
    group: str = ""
    dag_id: str = ""
    environment: str = ""
    results: list[_Result] = field(default_factory=list)


def entry_of(task: StoredTask) -> Json:
    """One test task as a list entry."""
    summary = shown_summary(task.summary)
    counts = summary["counts"]
    with_rejected((), rejected_keys(task), counts)
    reasons = summary["reasons"]
    if not summary["verdict"] and (reason := reason_of(task)):
        reasons = [reason]
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
        "reasons": reasons[:MAX_REASONS],
        "more_reasons": len(reasons[MAX_REASONS:]) + summary["more_reasons"],
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


def reason_of(task: StoredTask) -> str:
    """Why the task has no verdict; empty if it has one, and for tasks of versions that did not say so."""
    return line(task.note.get("reason", ""), 500)


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
    tests = _tests(reversed(shown))
    return {
        "runs": [entry for _, entry in shown],
        "tests": tests[:MAX_TESTS],
        "more_tests": len(tests[MAX_TESTS:]),
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

    The task and its environment are part of a test's key: a test that fails only in production is not flaky.
    """
    tests: defaultdict[tuple[object, ...], _TestHistory] = defaultdict(_TestHistory)
    for task, entry in shown:
        environment, address = _where(task)
        for row in with_rejected(summary_rows(task.summary), rejected_keys(task), {}):
            test = tests[(*_place(task), entry["group"], environment, row["test_id"] or row["title"])]
            test.title, test.group, test.dag_id = row["title"], entry["group_title"], task.dag_id
            test.environment = environment
            test.results.append(
                _Result(entry["when"] or 0.0, row["outcome"], row["seconds"], row["flaky"], address)
            )
    rows = [_test(test) for test in tests.values()]
    rows.sort(
        key=lambda row: (-row["flakiness"], row["rate"] if row["rate"] is not None else 1, row["title"])
    )
    return rows


def _place(task: StoredTask) -> tuple[object, ...]:
    return task.dag_id, task.task_id, task.map_index


def _where(task: StoredTask) -> tuple[str, str]:
    """The environment and the address that the task tested; empty if unknown."""
    return line(task.note.get("environment", ""), 200), line(task.note.get("address", ""), 200)


def _test(test: _TestHistory) -> Json:
    recent = test.results[-RECENT:]
    counts = Counter(each.outcome for each in recent)
    judged = sum(counts[kind] for kind in _JUDGED)
    changes = _changes(recent)
    flaky = sum(each.flaky for each in recent)
    durations = [each.seconds for each in recent]
    known = [seconds for seconds in durations if seconds is not None]
    return {
        "title": test.title,
        "group_title": test.group,
        "dag_id": test.dag_id,
        "environment": test.environment,
        "outcomes": [[each.when, each.outcome, each.flaky] for each in recent],
        "rate": counts["passed"] / judged if judged else None,
        "flaky": flaky,
        "changes": changes,
        # How often the outcome changed between consecutive runs, or the test passed only when it was run again.
        "flakiness": min(1.0, (flaky + changes) / len(recent)) if recent else 0.0,
        "seconds": statistics.median(known) if known else None,
        "durations": durations,
    }


def _changes(results: Sequence[_Result]) -> int:
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
