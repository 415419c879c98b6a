"""Which runs the service is asked about for a task: those that its worker recorded, or was given.

Whoever may edit a task's XComs can put any run id there. The connection's key reads all runs of its account, so
an XCom never decides what is fetched; it only decides what is listed.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.ui.shapes import ids_of, run_key
from airflow_provider_testerarmy.ui.store import StoredTask


def own_keys(task: StoredTask) -> frozenset[str]:
    """The runs that belong to the task, as text: those its record names, and those a sensor was given."""
    return frozenset(map(run_key, [*runs_named(task.record), *given_ids(task)]))


def rejected_keys(stored: object) -> frozenset[str]:
    """The runs, as text, that the service rejected at once: they never ran, so they were not cancelled."""
    return frozenset(map(run_key, _ids(stored, "rejected_run_ids")))


def runs_named(stored: object) -> frozenset[RunId]:
    """The ids of the runs that a stored record names; empty for what is no record."""
    passed = stored.get("passed") if isinstance(stored, Mapping) else None
    return frozenset([*_ids(stored, "run_ids"), *ids_of(passed if isinstance(passed, list) else ())])


def _ids(stored: object, name: str) -> list[RunId]:
    parts = stored.get("parts") if isinstance(stored, Mapping) else None
    lists = _submitted(parts if isinstance(parts, Mapping) else {}, name)
    return ids_of(value for values in lists if isinstance(values, list) for value in values)


def _submitted(parts: Mapping[Any, Any], name: str) -> Iterator[object]:
    for part in parts.values():
        submission = part.get("submission") if isinstance(part, Mapping) else None
        if isinstance(submission, Mapping):
            yield submission.get(name)


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
