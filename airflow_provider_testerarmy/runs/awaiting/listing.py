"""Plans a walk through the service's lists, where it takes fewer requests than fetching each run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from airflow_provider_testerarmy.runs.results import RunId

#: For fewer runs than this, fetching each is cheaper than listing by status.
LIST_FROM: Final = 4
#: If at least this many runs are missing in the lists of active runs, the lists of ended runs are read.
ENDED_FROM: Final = 24
#: A page of ended runs is as expensive as fetching this many runs: it comes with all of their details.
ENDED_WORTH: Final = 8
#: The number of pages to read beyond the last known page of a run, because newer runs push it down the list.
DRIFT: Final = 2


@dataclass(slots=True)
class Walk:
    """A walk through lists, page by page and status by status.

    :param statuses: the remaining statuses, the current one first.
    :param targets: the runs to find.
    :param budget: the number of pages that may still be read.
    :param depth: the maximum number of pages of one status.
    :param began: when the first page was requested. All runs that the walk shows are due again together.
    :param ended: whether these are the lists of ended runs.
    :param page: the number of the next page, starting at 1.
    :param asking: whether the next page has been requested.
    :param deepest: the last page that was read.
    :param wasted: the number of pages of this status that listed too few awaited runs (ended runs only).
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
    wasted: int = 0

    @property
    def over(self) -> bool:
        """Whether the walk is complete."""
        return not self.statuses or not self.targets or self.budget <= 0

    def took(self, shown: Set[RunId], next_cursor: str) -> None:
        """Advance after a page.

        :param shown: the awaited runs on the page, whether this walk searches for them or not.
        :param next_cursor: the cursor of the next page, empty after the last one.
        """
        self.targets -= shown
        self.budget -= 1
        self.asking, self.deepest = False, max(self.deepest, self.page)
        self.wasted += self.ended and len(shown) < ENDED_WORTH
        if next_cursor and next_cursor != self.cursor and self.page < self.depth and self._pays:
            self.cursor, self.page = next_cursor, self.page + 1
        else:
            self.statuses, self.cursor, self.page, self.wasted = self.statuses[1:], "", 1, 0

    @property
    def _pays(self) -> bool:
        """Whether the pages wasted so far cost less than fetching each remaining run."""
        return not self.wasted or self.wasted * ENDED_WORTH < len(self.targets)


def plan_walk(statuses: Sequence[str], places: Mapping[RunId, int]) -> Walk | None:
    """The walk through the lists of active runs that saves the most requests; None if none saves any.

    :param statuses: the statuses by which lists can be filtered.
    :param places: the page on which each run was last listed. It is 1 for a run that was never listed, because
        lists start with the newest run.
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
    """The walk for runs that are missing in the lists of active runs; None if fetching each is cheaper."""
    targets = set(missing)
    if not statuses or len(targets) < ENDED_FROM:
        return None
    return Walk(list(statuses), targets, budget=len(targets), depth=len(targets), ended=True)
