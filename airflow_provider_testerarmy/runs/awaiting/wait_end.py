"""The reasons why a wait ends, and its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_testerarmy.runs.results import RunId, RunResult


class WaitEnd(StrEnum):
    """Why a wait ended.

    ``ENOUGH``: as many runs failed as the wait was to end at, and others are active. ``UNAVAILABLE``: an outage
    lasted longer than ``max_outage``. ``DENIED``: the service rejected the key more than once. ``NOT_FOUND``: the
    service does not know one of the runs. ``LOST``: the waiting process could not continue; this says nothing about
    the runs, and another process may wait for them.
    """

    FINISHED = "finished"
    ENOUGH = "enough"
    DEADLINE = "deadline"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Waited:
    """The end of a wait.

    :param results: the latest result of each run, finished or not.
    :param message: what went wrong; empty if all runs finished.
    :param retry_after: the seconds for which the service wants no request; None if it did not say.
    """

    end: WaitEnd
    results: Mapping[RunId, RunResult]
    message: str = ""
    retry_after: float | None = None
