"""Settings of a gate for flaky tests: when it confirms a failure, when it quarantines a test, and durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePath
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from airflow_provider_testerarmy.runs.rendered import is_nothing, literal

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"(\d{1,6}) ?([smhdw])")
_NUMBER: Final = re.compile(r"\d{1,12}(?:\.\d{1,6})?")
#: The longest duration; timedelta itself ends at some billion days.
_LONGEST: Final = timedelta(days=3650)


def _span(value: Any) -> Any:
    """``7d``, ``12 h`` or ``90m`` as a duration; anything else is left to pydantic."""
    if isinstance(value, bool):
        # Python takes True for 1, which would be a second.
        return str(value)
    if isinstance(value, str) and (found := _SPAN.fullmatch(value.strip().lower())):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    if isinstance(value, str):
        text = value.strip()
        # Text of a number, ISO 8601, or what Python writes for a timedelta.
        return float(text) if _NUMBER.fullmatch(text) else text.upper() if text.startswith("p") else text
    return value


#: The suffixes of a quarantine file.
SUFFIXES: Final = (".yaml", ".yml", ".json")

#: A duration: a number of seconds, a ``timedelta``, or text such as ``7d``, ``12h``, ``90m``.
Span = Annotated[timedelta, BeforeValidator(_span), Field(gt=timedelta(0), le=_LONGEST)]


def _given(fields: Any) -> Any:
    """What rendered to nothing keeps its default, and a boolean is no number."""
    if not isinstance(fields, Mapping):
        return fields
    plain = {
        name: str(value) if isinstance(value, bool) else value.strip() if isinstance(value, str) else value
        for name, value in fields.items()
    }
    return {name: value for name, value in plain.items() if not is_nothing(value)}


class ConfirmRule(BaseModel):
    """When a failed test runs again before it counts as failed. A plain dict of the same fields does as well.

    A number ``n`` means ``{"times": n, "of": n}``.

    :param times: the failures that make a test failed; the first run counts.
    :param of: the runs of a test at most, the first one included. A run that errors does not count.
    :param unless_failing: the share of failed tests, 0.0 to 1.0, above which nothing is confirmed.
    :param max_reruns: the confirming runs of one try at most. The failures that are left count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    times: Annotated[int, Field(ge=2, le=10)] = 2
    of: Annotated[int, Field(ge=2, le=10)] = 3
    unless_failing: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    max_reruns: Annotated[int, Field(ge=1, le=500)] = 50

    _given = model_validator(mode="before")(_given)

    @model_validator(mode="after")
    def _reachable(self) -> ConfirmRule:
        if self.times > self.of:
            raise ValueError(f"times must not be above of ({self.of}), or no test ever counts as failed")
        return self


def confirm_rule(value: Any) -> Any:
    """The rule from a dict or a number, or from the text of one."""
    found = literal(value) if isinstance(value, str) else value
    if isinstance(found, int) and not isinstance(found, bool):
        return {"times": found, "of": found}
    return value if found is None else found


class QuarantineRule(BaseModel):
    """When the gate quarantines a flaky test by itself. A plain dict of the same fields does as well.

    :param after_transitions: changes between passed and failed that are needed.
    :param of: how many of the test's last nights count, 2 to 20.
    :param for_: how long the quarantine lasts; written ``for`` in a dict.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)

    after_transitions: Annotated[int, Field(ge=2)] = 4
    of: Annotated[int, Field(ge=2, le=20)] = 10
    for_: Annotated[Span, Field(alias="for")] = timedelta(days=14)

    _given = model_validator(mode="before")(_given)

    @model_validator(mode="after")
    def _reachable(self) -> QuarantineRule:
        if self.after_transitions >= self.of:
            raise ValueError(
                f"after_transitions must be below of ({self.of}), or no test is ever quarantined"
            )
        return self


def quarantine_rule(value: Any) -> Any:
    """The rule from a dict, or from the text of one."""
    found = literal(value) if isinstance(value, str) else None
    return value if found is None else found


def local_path(value: Any) -> Any:
    """A path beside the DAG file as text."""
    path = str(value) if isinstance(value, PurePath) else value
    if isinstance(path, str) and "://" in path:
        raise ValueError("it must be a local path, relative to the folder of the DAG file")
    return path.strip() if isinstance(path, str) else path


def quarantine_path(value: Any) -> Any:
    """The path of a quarantine file as text; its suffix says how it is written."""
    path = local_path(value)
    if not isinstance(path, str):
        return path
    if not path.lower().endswith(SUFFIXES):
        raise ValueError(f"it must end in {', '.join(SUFFIXES)}")
    return path
