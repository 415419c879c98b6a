"""A due request of the watchlist."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Ask


@dataclass(frozen=True, slots=True)
class Question:
    """A due request: for one run, or for a page of a list.

    :param run_id: the run; None for a list.
    :param asked: when the watchlist returned it, in monotonic seconds.
    :param late: seconds since it was due; None if that is unknown.
    """

    ask: Ask[Any]
    run_id: RunId | None = None
    asked: float = math.inf
    late: float | None = None
