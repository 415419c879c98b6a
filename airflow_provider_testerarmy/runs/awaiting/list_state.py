"""The service's lists being walked: where awaited runs were seen, and which lists have not shown them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow_provider_testerarmy.runs.awaiting.listing import Walk, plan_ended_walk, plan_walk
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Ask, Page, RunService

#: Seconds for which lists are not used after one of them could not be had.
WITHOUT_LISTS: Final = 60.0


class Lists:
    """At most one walk through lists at a time.

    A list is a hint that saves requests: a run that no list of active runs shows is asked for itself, or found in
    a list of ended runs, which is final.

    :param whole: whether results are wanted with everything in them, which no list has.
    """

    def __init__(self, service: RunService, *, whole: bool) -> None:
        self._service = service
        self._whole = whole
        self._walk: Walk | None = None
        self._none_until = -math.inf
        #: The page on which a run was last seen, where it was not the first.
        self._places: dict[RunId, int] = {}
        #: The lists that have not shown a run since it was last seen: 1 the active ones, 2 all of them.
        self._sought: dict[RunId, int] = {}

    def begin(self, ready: Callable[[], Mapping[RunId, Any]], now: float) -> set[RunId]:
        """Begin a walk if none is under way and one would save requests; return the runs it looks for."""
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
        """Whether the next page can be asked for."""
        return self._walk is not None and not self._walk.asking

    def ask_page(self) -> Ask[Page]:
        """The question for the next page; only while :attr:`wants_page`."""
        walk = self._walk
        if walk is None:
            raise RuntimeError("No list is being walked.")
        walk.asking = True
        return self._service.list_by_status(walk.statuses[0], walk.cursor)

    def took(self, page: Page, wanted: Mapping[RunId, Any]) -> tuple[dict[RunId, RunResult], float]:
        """Use a page.

        :param wanted: the runs that somebody waits for.
        :return: the state of those on the page, and the time of which it is.
        """
        walk = self._walk
        if walk is None:
            return {}, 0.0
        # An end is final, however late a list may be; a verdict needs more of the run than a list tells.
        seen = {
            sighting.run.run_id: sighting.run
            for sighting in page.sightings
            if sighting.run.run_id in wanted and not (self._whole and sighting.run.finished)
        }
        number, ended = walk.page, walk.ended
        walk.took(seen.keys(), page.next_cursor)
        for run_id in seen:
            self._sought.pop(run_id, None)
            if not ended:
                self._remember(run_id, number)
        return seen, walk.began

    def over(self) -> list[RunId]:
        """End the walk if it is through; return the runs that it did not find."""
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
        """The service would not give the page now: it is asked for again."""
        # To ask for each run instead is what a service that limits requests can bear least.
        if self._walk is not None:
            self._walk.asking = False

    def give_up(self, now: float) -> list[RunId]:
        """Do without lists for a while; return the runs that were looked for."""
        walk, self._walk = self._walk, None
        self._none_until = now + WITHOUT_LISTS
        if walk is None:
            return []
        self._sought.update(dict.fromkeys(walk.targets, 2))
        return list(walk.targets)

    def saw(self, run_id: RunId) -> None:
        """The run was asked for itself."""
        self._sought.pop(run_id, None)

    def forget(self, run_id: RunId) -> None:
        """Nobody waits for the run any more."""
        self._places.pop(run_id, None)
        self._sought.pop(run_id, None)
        if self._walk is not None:
            self._walk.targets.discard(run_id)

    def _remember(self, run_id: RunId, place: int) -> None:
        if place > 1:
            self._places[run_id] = place
        else:
            self._places.pop(run_id, None)
