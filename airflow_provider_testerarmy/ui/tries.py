"""Earlier tries of a task, and the rounds of its tests, as the tab shows them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import TASK_STATE_STORE
from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.runs.submission.stored import said_in
from airflow_provider_testerarmy.runs.verdict.tries import KEY, MAX_REASONS, MAX_TESTS, MAX_TRIES
from airflow_provider_testerarmy.ui.actions import record_of
from airflow_provider_testerarmy.ui.payloads import Json, run_key, shown_summary, summary_rows
from airflow_provider_testerarmy.ui.store import StoredTask

log = logging.getLogger(__name__)

#: The most tests whose rounds are shown.
MAX_ROUNDS: Final = 1000


def tries_of(task: StoredTask) -> Json:
    """The tries that have ended, the oldest first, and the earlier runs of each test. Blocking."""
    return {"tries": [_shown(one) for one in _stored(task)], "rounds": _rounds(task)}


def _stored(task: StoredTask) -> list[Mapping[str, Any]]:
    if not TASK_STATE_STORE.available:
        return []
    # A state store backend may raise any exception; the tab can still show the newest try.
    try:
        held = airflow_compat.stored_task_state(task, KEY)
    except Exception as error:
        log.warning("Cannot read the tries of %s.%s: %s", task.dag_id, task.task_id, error)
        return []
    tries = held.get("tries") if isinstance(held, Mapping) else None
    given = tries if isinstance(tries, list) else []
    known = [one for one in given if isinstance(one, Mapping) and _number(one.get("try")) > 0]
    # The first try leaves its entry in the record, until a later one adds both to the list.
    first = said_in(task.record)
    if first is not None and not known and _number(first.get("try")) > 0:
        return [first]
    return known[-MAX_TRIES:]


def _shown(given: Mapping[str, Any]) -> Json:
    summary = shown_summary(given)
    return {
        "try": _number(given.get("try")),
        "at": _number(given.get("at")) or None,
        "verdict": summary["verdict"],
        "reasons": summary["reasons"][:MAX_REASONS],
        "counts": summary["counts"],
        "tests": [
            {"title": row["title"], "outcome": row["outcome"]} for row in summary_rows(given)[:MAX_TESTS]
        ],
        "more": _number(given.get("more")),
    }


def _rounds(task: StoredTask) -> Json:
    record = record_of(task)
    found: dict[str, list[Json]] = {}
    for entries in record.rounds if record is not None else ():
        for entry in entries:
            if entry.test_id and (entry.test_id in found or len(found) < MAX_ROUNDS):
                shown = {"id": run_key(entry.run_id), "outcome": str(entry.outcome)}
                found.setdefault(line(entry.test_id, 200), []).append(shown)
    return found


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0
