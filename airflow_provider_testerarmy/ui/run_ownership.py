"""Which runs the tab may fetch for a task: those that its worker recorded or that a sensor's `run_ids` names.

A user who can edit XComs can put any run id there, and the connection's key can read every run of its account.
So an XCom may decide which runs are listed, but never which are fetched.
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
    """The keys of the runs that belong to the task: those in its record, and those in a sensor's `run_ids`.

    :param recorded: whether the record's signature is valid; users can edit the record too.
    """
    named = runs_named(task.record) if recorded else ()
    return frozenset(map(run_key, [*named, *given_ids(task)]))


def rejected_keys(task: StoredTask) -> frozenset[str]:
    """The keys of the runs that the service rejected on submission: they never ran.

    Lists of tasks read no records. There, and where Airflow has none, the task's note names these runs.
    """
    noted = task.note.get("rejected")
    named = ids_of(noted[:1000]) if isinstance(noted, list) else []
    return frozenset(map(run_key, [*rejected_runs(task.record), *named]))


def given_ids(task: StoredTask) -> list[RunId]:
    """A sensor's `run_ids` from its rendered fields: a list, or a list that a template rendered to text."""
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
