"""Which runs the service is asked about for a task: those that its worker recorded, or was given.

Whoever may edit a task's XComs can put any run id there. The connection's key reads all runs of its account, so
an XCom never decides what is fetched; it only decides what is listed.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.submission.stored import rejected_runs, runs_named
from airflow_provider_testerarmy.ui.payloads import ids_of, run_key
from airflow_provider_testerarmy.ui.store import StoredTask


def own_keys(task: StoredTask, *, recorded: bool = True) -> frozenset[str]:
    """The runs that belong to the task, as text: those its record names, and those a sensor was given.

    :param recorded: whether the record is the task's own; users may edit it too.
    """
    named = runs_named(task.record) if recorded else ()
    return frozenset(map(run_key, [*named, *given_ids(task)]))


def rejected_keys(stored: object) -> frozenset[str]:
    """The runs, as text, that the service rejected at once: they never ran, so they were not cancelled."""
    return frozenset(map(run_key, rejected_runs(stored)))


def given_ids(task: StoredTask) -> list[RunId]:
    """The ids that a sensor was given, from its rendered field: a list, or the text that a template makes of it."""
    given = task.rendered.get("run_ids")
    if isinstance(given, str):
        given = _parsed(given.strip())
    return ids_of(given) if isinstance(given, list) else ids_of([given])


def _parsed(text: str) -> Any:
    if not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return []
