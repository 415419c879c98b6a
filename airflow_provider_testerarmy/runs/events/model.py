"""A run as a list shows it, the filter of a watcher, and the port that reads such runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from airflow_provider_testerarmy.runs.cleaning import about
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Ask

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListedEnd:
    """A run from a list, whether it has ended or not.

    :param result: its state; without issues, steps and screenshots.
    :param source: the service's word for what started it, e.g. ``scheduled``.
    :param environments: the environment's name and id, as far as the run shows them.
    """

    result: RunResult
    source: str = ""
    group_id: str = ""
    environments: tuple[str, ...] = ()
    commit: str = ""

    @property
    def created(self) -> float | None:
        """When it was created, in seconds since the epoch."""
        return self.result.created_at.timestamp() if self.result.created_at else None


@dataclass(frozen=True, slots=True)
class RecentPage:
    """A page of runs, newest first; the cursor of the last page is empty."""

    runs: tuple[ListedEnd, ...]
    next_cursor: str = ""


class EventService(Protocol):
    """The part of a vendor's service that event triggers use. Its methods build requests and do no I/O."""

    @property
    def vendor(self) -> str:
        """The vendor's name in messages."""

    @property
    def active_statuses(self) -> tuple[str, ...]:
        """The statuses of active runs; empty if the API has no list of runs."""

    def list_recent(self, status: str, cursor: str) -> Ask[RecentPage]:
        """The account's runs, newest first; with one status, or with any if ``status`` is empty."""

    def fetch_listed(self, run_id: RunId) -> Ask[ListedEnd]:
        """One run in the detail of a list."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which runs a watcher reports. An empty field accepts every run; the values of a field are alternatives.

    All values are compared without case.
    """

    project_id: tuple[str, ...] = ()
    group_id: tuple[str, ...] = ()
    test_id: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()

    def concerns(self, run: ListedEnd) -> bool:
        """Whether the run matches in everything that is known before it ends."""
        result = run.result
        return (
            _accepts(self.project_id, [result.project_id])
            and _accepts(self.group_id, [run.group_id])
            and _accepts(self.test_id, [result.test_id])
            and _accepts(self.source, [run.source])
            and _accepts(self.environment, run.environments)
        )

    def accepts(self, run: ListedEnd) -> bool:
        """Whether the run has ended and matches."""
        result = run.result
        return result.finished and self.concerns(run) and _accepts(self.verdict, [str(result.outcome)])


def checked_end(run_id: RunId, read: Callable[[T], ListedEnd]) -> Callable[[T], ListedEnd]:
    """Wrap a converter so that it refuses a response about another run; see :func:`about`."""

    def checked(answer: T) -> ListedEnd:
        found = read(answer)
        about(run_id, lambda _: found.result)(answer)
        return found

    return checked


def _accepts(wanted: tuple[str, ...], shown: Iterable[str]) -> bool:
    return not wanted or any(value.casefold() in wanted for value in shown)
