"""The whole of a task's results as JSON: what the summary had to leave out is here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.runs.results import RunResult

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Raised whenever a field changes its meaning or goes away; new fields do not raise it.
SCHEMA_VERSION: Final = 1


def render(summary: Mapping[str, Any], results: Sequence[RunResult], *, name: str = "") -> str:
    """The document: ``schema_version``, ``name``, the ``summary`` as the task returned it, every run in ``runs``.

    It is the one report that is not bounded: texts and addresses are as the service gave them. ``docs/reports.md``
    describes each field.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "summary": summary,
        "runs": [asdict(run) for run in results],
    }
    return json.dumps(document, indent=2, default=_plain) + "\n"


def read(content: bytes) -> list[RunResult]:
    """The runs of a document that :func:`render` wrote, also of a later version with more fields.

    :raises ValueError: for anything else.
    """
    return read_whole(content)[0]


def read_whole(content: bytes) -> tuple[list[RunResult], dict[str, Any]]:
    """The runs and the summary of a document, as :func:`read`; the summary is empty where there is none."""
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"it is no report of version {SCHEMA_VERSION}")
    summary = document.get("summary")
    return _results().validate_python(document.get("runs")), summary if isinstance(summary, dict) else {}


@cache
def _results() -> TypeAdapter[list[RunResult]]:
    from pydantic import TypeAdapter

    return TypeAdapter(list[RunResult])


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a report")
