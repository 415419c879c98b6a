"""A test task as an entry of a list: in the DAG run's tab and in the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.ui.history_rows import JUDGED
from airflow_provider_testerarmy.ui.payloads import (
    Json,
    seconds_between,
    shown_summary,
    stamp,
    summary_rows,
    with_rejected,
)
from airflow_provider_testerarmy.ui.run_ownership import rejected_keys
from airflow_provider_testerarmy.ui.store import StoredTask, read_earlier
from airflow_provider_testerarmy.ui.tested import tested_by

#: Reasons per list entry. The first often only gives the rate; the next ones name the tests.
MAX_REASONS: Final = 3
#: Other DAG runs that are searched for a title.
MAX_EARLIER: Final = 5


def entry_of(task: StoredTask) -> Json:
    """One test task as a list entry."""
    summary = with_rejected(shown_summary(task.summary), rejected_keys(task))
    counts, reasons = summary["counts"], summary["reasons"]
    if not summary["verdict"] and (reason := reason_of(task)):
        reasons = [reason]
    listed = _listed(reasons, task)
    judged = sum(counts.get(kind, 0) for kind in JUDGED)
    return {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "state": task.state or "none",
        "finished": task.finished,
        "when": stamp(task.started),
        "verdict": summary["verdict"],
        "reasons": listed,
        "telling": _telling(reasons, task),
        "more_reasons": len(reasons) - len(listed) + summary["more_reasons"],
        "counts": counts,
        "flaky": summary["flaky"],
        "issues": len(summary["issues"]) + summary["more_issues"],
        "rate": counts.get("passed", 0) / judged if judged else None,
        "seconds": seconds_between(summary["started"], summary["ended"]),
        **group_of(task),
        **tested_by(task),
    }


def group_of(task: StoredTask) -> Json:
    """What the task ran: `group` is the key to filter by, `group_title` the name to show."""
    label, title = line(task.note.get("label", ""), 200), line(task.note.get("title", ""), 120)
    return {
        "group": label or f"{task.dag_id}.{task.task_id}",
        "group_title": title or label or task.task_id,
        "label": label,
    }


def title_of_group(task: StoredTask) -> str:
    """The title that another DAG run of the task knows of the same test or group; empty if none does.

    A try that only reconnects, or runs only what did not pass, does not read the title.
    """
    label = task.note.get("label")
    notes = (earlier.note for earlier in read_earlier(task, MAX_EARLIER))
    titles = (line(note.get("title", ""), 120) for note in notes if note.get("label") == label)
    return next(filter(None, titles), "")


def _listed(reasons: Sequence[str], task: StoredTask) -> list[str]:
    """The first reasons, one of which names a test if any does: a gate with a memory has general ones first."""
    first = list(reasons[:MAX_REASONS])
    naming = _naming(reasons, task)
    return first if naming is None or naming in first else [*first[:-1], naming]


def _telling(reasons: Sequence[str], task: StoredTask) -> str:
    """The reason that names a test, else the first; empty without any."""
    return _naming(reasons, task) or (reasons[0] if reasons else "")


def _naming(reasons: Sequence[str], task: StoredTask) -> str | None:
    tests = tuple(f"{row['title']}: " for row in summary_rows(task.summary) if row["title"])
    return next((reason for reason in reasons if reason.startswith(tests)), None)


def reason_of(task: StoredTask) -> str:
    """Why the task has no verdict; empty if it has one, and for tasks of versions that did not say so."""
    return line(task.note.get("reason", ""), 500)
