"""The budget of a pool as users write it, and the calendar periods for which it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airflow_provider_testerarmy.runs.rendered import is_nothing, literal
from airflow_provider_testerarmy.runs.text import one_line, plural

_EPOCH: Final = date(1970, 1, 1)


class BudgetInvalid(ValueError):
    """A budget with a field that is missing, unknown or invalid."""


class BudgetRule(BaseModel):
    """How much the tasks of a pool may start in a period. A plain dict of the same fields does as well.

    :param runs: the runs that may be started in the period; None for no limit.
    :param minutes: the minutes that runs may have taken, after which nothing further is started; None for no
        limit.
    :param per: the calendar period in UTC. A week begins on Monday.
    :param pool: tasks with the same pool share one budget; empty for the id of the DAG.
    :param on_exhausted: whether a task that the budget does not admit fails, or is skipped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    runs: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    minutes: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)] | None = None
    per: Literal["day", "week", "month"] = "day"
    pool: Annotated[str, Field(max_length=250)] = ""
    on_exhausted: Literal["fail", "skip"] = "fail"

    @model_validator(mode="before")
    @classmethod
    def _given(cls, fields: Any) -> Any:
        """What rendered to nothing keeps its default, and a boolean is no number."""
        if not isinstance(fields, Mapping):
            return fields
        plain = {
            name: str(value)
            if isinstance(value, bool)
            else value.strip()
            if isinstance(value, str)
            else value
            for name, value in fields.items()
        }
        return {name: value for name, value in plain.items() if not is_nothing(value)}

    @model_validator(mode="after")
    def _limited(self) -> BudgetRule:
        if self.runs is None and self.minutes is None:
            raise ValueError("give runs, minutes or both")
        return self

    @property
    def limits(self) -> Limits:
        """The limits in the ledger's units."""
        return Limits(self.runs, None if self.minutes is None else math.ceil(self.minutes * 60))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a ledger checks.

    :param seconds: of runs that have ended.
    """

    runs: int | None
    seconds: int | None


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar period in UTC.

    :param name: as messages show it, e.g. ``the month 2026-11``.
    :param first, last: days since the epoch; both belong to the period.
    """

    name: str
    first: int
    last: int

    @property
    def end(self) -> str:
        """The moment after its last second, as text."""
        return f"{_EPOCH + timedelta(days=self.last + 1)} 00:00 UTC"


def period_of(per: str, now: float) -> Period:
    """The period that contains a moment.

    :param per: ``day``, ``week`` or ``month``.
    :param now: seconds since the epoch.
    """
    today = datetime.fromtimestamp(now, UTC).date()
    first = last = today
    name = f"the day {today}"
    if per == "week":
        first = today - timedelta(days=today.weekday())
        last = first + timedelta(days=6)
        name = f"the week from {first}"
    elif per == "month":
        first = today.replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        name = f"the month {today:%Y-%m}"
    return Period(name, (first - _EPOCH).days, (last - _EPOCH).days)


def budget_rule(value: Any) -> BudgetRule | None:
    """The rule from an object, a dict, or rendered text (JSON or a Python dict literal); None for no budget.

    :raises BudgetInvalid: with the field and what is wrong with it.
    """
    if is_nothing(value) or isinstance(value, BudgetRule):
        return None if is_nothing(value) else value
    fields = literal(value.strip()) if isinstance(value, str) else value
    if not isinstance(fields, Mapping):
        raise BudgetInvalid(
            f"budget must be a dict of its fields or the JSON of one, not {one_line(repr(value), 80)}. In a "
            "template, end the expression with | tojson."
        )
    try:
        return BudgetRule.model_validate({str(name): item for name, item in fields.items()})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = f"{place}: {first['msg']}" if place else str(first["msg"])
        raise BudgetInvalid(f"budget is invalid. {one_line(said, 200)}.") from None


def spent(rule: BudgetRule, runs: int, seconds: int) -> str:
    """What is used of a budget, in words."""
    parts = []
    if rule.runs is not None:
        parts.append(f"{runs} of {plural(rule.runs, 'run')}")
    if rule.minutes is not None:
        parts.append(f"{seconds / 60:.4g} of {rule.minutes:.10g} minutes")
    return " and ".join(parts)
