"""Walking through a service's lists for many runs at once, where that costs less than asking for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from airflow_provider_testerarmy.runs.results import RunId

#: Below this many runs, asking for each is cheaper than listing by status.
LIST_FROM: Final = 4
#: Runs of which the lists of active runs showed nothing: from this many on, lists of ended runs are looked through.
ENDED_FROM: Final = 24
#: A page of ended runs is as much work as asking for this many of them.
ENDED_WORTH: Final = 8
#: Pages beyond the last known place of a run: newer runs have pushed it down the list since.
DRIFT: Final = 2


@dataclass(slots=True)
class Walk:
    """Lists being looked through page by page, one status after the other.

    :param statuses: those still to come, the one at hand first.
    :param targets: the runs that are looked for and have not been seen.
    :param budget: pages that may still be spent.
    :param depth: pages of one status at the most.
    :param began: when its first page was asked for; what it shows is due again at the same time.
    :param ended: whether these are the lists of ended runs.
    :param page: the number of the next page, from 1.
    :param asking: whether the next page has been asked for.
    :param deepest: the last page that was seen.
    :param barren: pages of ended runs of this status that have shown too few of ours.
    """

    statuses: list[str]
    targets: set[RunId]
    budget: int
    depth: int
    began: float = 0.0
    ended: bool = False
    cursor: str = ""
    page: int = 1
    asking: bool = False
    deepest: int = 0
    barren: int = 0

    @property
    def over(self) -> bool:
        """Whether there is nothing more to be had."""
        return not self.statuses or not self.targets or self.budget <= 0

    def took(self, shown: Set[RunId], next_cursor: str) -> None:
        """Go on after a page.

        :param shown: the runs on it that somebody waits for, looked for or not.
        :param next_cursor: of the next page, empty after the last one.
        """
        self.targets -= shown
        self.budget -= 1
        self.asking, self.deepest = False, max(self.deepest, self.page)
        self.barren += self.ended and len(shown) < ENDED_WORTH
        if next_cursor and next_cursor != self.cursor and self.page < self.depth and self._pays:
            self.cursor, self.page = next_cursor, self.page + 1
        else:
            self.statuses, self.cursor, self.page, self.barren = self.statuses[1:], "", 1, 0

    @property
    def _pays(self) -> bool:
        """Whether what was in vain so far is less than to ask for each that is left."""
        return not self.barren or self.barren * ENDED_WORTH < len(self.targets)


def plan_walk(statuses: Sequence[str], places: Mapping[RunId, int]) -> Walk | None:
    """The walk through lists of active runs that saves most requests, None where none saves any.

    :param statuses: by which the lists can be filtered.
    :param places: the page on which each run was last seen, 1 for a run never seen: lists are newest first.
    """
    if not statuses or len(places) < LIST_FROM:
        return None
    ordered = sorted(places, key=lambda run_id: places[run_id])
    saved = [number - (len(statuses) - 1 + places[run_id]) for number, run_id in enumerate(ordered, 1)]
    best = max(range(len(saved)), key=saved.__getitem__)
    if saved[best] <= 0:
        return None
    return Walk(
        list(statuses),
        set(ordered[: best + 1]),
        budget=best,
        depth=places[ordered[best]] + DRIFT + best // 100,
    )


def plan_ended_walk(statuses: Sequence[str], missing: Iterable[RunId]) -> Walk | None:
    """The walk for runs that are in no list of active ones, None where asking for each is cheaper."""
    targets = set(missing)
    if not statuses or len(targets) < ENDED_FROM:
        return None
    return Walk(list(statuses), targets, budget=len(targets), depth=len(targets), ended=True)
