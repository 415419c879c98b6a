"""Renders a task's complete results as JSON, without the summary's limits."""

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

#: Incremented when a field changes its meaning or is removed; new fields do not increment it.
SCHEMA_VERSION: Final = 1


def render(
    summary: Mapping[str, Any], results: Sequence[RunResult], *, name: str = "", commit: str = ""
) -> str:
    """Render the document: the task's ``summary``, every run in ``runs``, and what identifies them.

    This is the only report without a size limit: texts and URLs are exactly as the service returned them.
    ``docs/reports.md`` describes each field.

    :param commit: the commit that was tested; empty if it is unknown.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "commit": commit,
        "summary": summary,
        "runs": [asdict(run) for run in results],
    }
    return json.dumps(document, indent=2, default=_plain) + "\n"


def read(content: bytes) -> list[RunResult]:
    """The runs of a document that :func:`render` wrote; a later version may have added fields.

    :raises ValueError: the content is anything else.
    """
    return read_whole(content)[0]


def read_whole(content: bytes) -> tuple[list[RunResult], dict[str, Any]]:
    """Like :func:`read`, but returns the runs and the summary; the summary is empty if there is none.

    :raises ValueError: the content is not a report of this version.
    """
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"it is not a report of version {SCHEMA_VERSION}")
    summary = document.get("summary")
    return _results().validate_python(document.get("runs")), summary if isinstance(summary, dict) else {}


@cache
def _results() -> TypeAdapter[list[RunResult]]:
    from pydantic import TypeAdapter

    return TypeAdapter(list[RunResult])


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a report cannot contain a {type(value).__name__}")
