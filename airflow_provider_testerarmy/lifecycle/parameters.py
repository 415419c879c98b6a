"""The common parameters, checked after rendering: a template makes text of everything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.client.http.errors import RequestInvalid

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.verdict.gate import QualityGate

Seconds = float | int | timedelta | str


def seconds(value: Seconds, name: str) -> float:
    """A duration in seconds from a number, a timedelta or rendered text.

    :raises RequestInvalid: when it is none, or not positive.
    """
    try:
        number = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise RequestInvalid(f"{name} must be a positive number of seconds or a timedelta, not {value!r}.")
    return number


def gate(value: QualityGate | Mapping[str, Any] | str | None) -> QualityGate:
    """The gate from what the operator was given, rendered JSON text included.

    :raises GateInvalid: naming what is wrong.
    """
    from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate

    if not isinstance(value, str):
        return QualityGate.of(value)
    try:
        fields = json.loads(value) if value.strip() else None
    except ValueError as error:
        raise GateInvalid(f"The gate {value[:80]!r} is text, and not the JSON of its fields.") from error
    return QualityGate.of(fields)


def report_path(value: str | Sequence[str] | None) -> str | Sequence[str] | None:
    """Where the reports go, one path or several, or None.

    :raises RequestInvalid: when a template rendered to nothing, or for a kind of report there is not.
    """
    from airflow_provider_testerarmy.lifecycle.reporting import SUFFIXES, suffix_of

    if value is None:
        return None
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list | tuple) or not all(isinstance(path, str) for path in paths):
        raise RequestInvalid(f"report_path must be a path or a list of paths, not {value!r}.")
    if not paths or not all(path.strip() for path in paths):
        raise RequestInvalid("report_path is empty; a template may have rendered to nothing.")
    for path in paths:
        if suffix_of(path) is None:
            raise RequestInvalid(
                f"report_path {path!r} must end in one of {', '.join(SUFFIXES)}, the kinds of report there are."
            )
    return value


def is_template(value: object) -> bool:
    """Whether a value is only known once Airflow has rendered it."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(is_template(item) for item in value.values())
    if isinstance(value, Sequence):
        return any(is_template(item) for item in value)
    # An XComArg, or whatever else resolves itself at run time.
    return hasattr(value, "resolve")
