"""How a wait ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_testerarmy.runs.results import RunId, RunResult


class WaitEnd(StrEnum):
    """Why a wait is over.

    ``NOT_FOUND``: the service does not know one of the runs. ``DENIED``: it rejected the key more than once.
    ``LOST``: whoever waited could not go on; the runs are not concerned, and somebody else may wait for them.
    """

    FINISHED = "finished"
    DEADLINE = "deadline"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Waited:
    """The end of a wait.

    :param results: the latest result of each run, finished or not.
    :param message: what went wrong, empty when everything finished.
    """

    end: WaitEnd
    results: Mapping[RunId, RunResult]
    message: str = ""
