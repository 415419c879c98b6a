"""Tracks a walk through the service's lists: where awaited runs were listed, and which lists lack them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.listing import Walk, plan_ended_walk, plan_walk
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Ask, Page, RunService

#: Seconds for which lists are not used after a request for one has failed.
WITHOUT_LISTS: Final = 60.0


class Lists:
    """Reads the service's lists, in at most one walk at a time.

    Lists save requests, but may be stale. A run that is missing in the lists of active runs is fetched
    individually, or found in a list of ended runs. An end is final, however stale the list is.

    :param whole: whether results need all of their details, which lists do not have.
    """

    def __init__(self, service: RunService, *, whole: bool) -> None:
        self._service = service
        self._whole = whole
        self._walk: Walk | None = None
        self._none_until = -math.inf
        #: The page on which a run was last listed, unless it was the first.
        self._places: dict[RunId, int] = {}
        #: The lists in which a run is missing since it was last seen: 1 for the active ones, 2 for all.
        self._sought: dict[RunId, int] = {}

    def begin(self, ready: Callable[[], Mapping[RunId, Any]], now: float) -> set[RunId]:
        """Begin a walk if none is in progress and one would save requests; return the runs it searches for."""
        if self._walk is not None or now < self._none_until or not self._service.active_statuses:
            return set()
        runs = ready()
        if not self._whole:
            missing = [run_id for run_id in runs if self._sought.get(run_id) == 1]
            self._walk = plan_ended_walk(self._service.ended_statuses, missing)
        if self._walk is None:
            places = {run_id: self._places.get(run_id, 1) for run_id in runs if run_id not in self._sought}
            self._walk = plan_walk(self._service.active_statuses, places)
        if self._walk is None:
            return set()
        self._walk.began = now
        return set(self._walk.targets)

    @property
    def wants_page(self) -> bool:
        """Whether the next page can be requested."""
        return self._walk is not None and not self._walk.asking

    def ask_page(self) -> Ask[Page]:
        """The request for the next page; call it only while :attr:`wants_page`."""
        walk = self._walk
        if walk is None:
            raise RuntimeError("No walk through the lists is in progress.")
        walk.asking = True
        return self._service.list_by_status(walk.statuses[0], walk.cursor)

    def took(self, page: Page, wanted: Mapping[RunId, Any]) -> tuple[dict[RunId, RunResult], float]:
        """Process a page.

        :param wanted: the runs that anyone waits for.
        :return: the states of those on the page, and the time from which they are due again.
        """
        walk = self._walk
        if walk is None:
            return {}, 0.0
        # A verdict needs details that lists do not have, so a finished run is fetched individually then.
        seen = {
            listed_run.run.run_id: listed_run.run
            for listed_run in page.listed_runs
            if listed_run.run.run_id in wanted and not (self._whole and listed_run.run.finished)
        }
        number, ended = walk.page, walk.ended
        walk.took(seen.keys(), page.next_cursor)
        for run_id in seen:
            self._sought.pop(run_id, None)
            if not ended:
                self._remember(run_id, number)
        return seen, walk.began

    def over(self) -> list[RunId]:
        """End the walk if it is complete; return the runs that it did not find."""
        walk = self._walk
        if walk is None or walk.asking or not walk.over:
            return []
        self._walk = None
        for run_id in walk.targets:
            self._sought[run_id] = 2 if walk.ended else 1
            if not walk.ended:
                self._remember(run_id, 2 * max(self._places.get(run_id, 1), walk.deepest))
        return list(walk.targets)

    def repeat_page(self) -> None:
        """Request the page again, after the service has rate-limited the request for it."""
        # Fetching each run individually instead would cost the rate-limiting service far more requests.
        if self._walk is not None:
            self._walk.asking = False

    def give_up(self, now: float) -> list[RunId]:
        """Stop using lists for a minute; return the runs that the walk searched for."""
        walk, self._walk = self._walk, None
        self._none_until = now + WITHOUT_LISTS
        if walk is None:
            return []
        self._sought.update(dict.fromkeys(walk.targets, 2))
        return list(walk.targets)

    def saw(self, run_id: RunId) -> None:
        """Note that the run was fetched individually."""
        self._sought.pop(run_id, None)

    def forget(self, run_id: RunId) -> None:
        """Remove a run that nobody waits for any more."""
        self._places.pop(run_id, None)
        self._sought.pop(run_id, None)
        if self._walk is not None:
            self._walk.targets.discard(run_id)

    def _remember(self, run_id: RunId, place: int) -> None:
        if place > 1:
            self._places[run_id] = place
        else:
            self._places.pop(run_id, None)
