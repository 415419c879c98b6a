"""A priority queue of items by due time, in which items can be moved and removed without leaking memory."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

ItemT = TypeVar("ItemT", bound=Hashable)

#: The heap is compacted when its stale entries outnumber the items by this many.
SLACK: Final = 64


class DueQueue(Generic[ItemT]):
    """A priority queue that holds each item once: the earliest first, then in the order of insertion."""

    def __init__(self) -> None:
        self._times: dict[ItemT, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, ItemT]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._times)

    def __contains__(self, item: object) -> bool:
        return item in self._times

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self._times)

    def put(self, item: ItemT, when: float) -> None:
        """Add an item, or move it to another time."""
        number = next(self._numbers)
        self._times[item] = (when, number)
        heapq.heappush(self._heap, (when, number, item))
        if len(self._heap) > 2 * len(self._times) + SLACK:
            self._compact()

    def drop(self, item: ItemT) -> None:
        """Remove an item, if it is there."""
        if self._times.pop(item, None) is not None and len(self._heap) > 2 * len(self._times) + SLACK:
            self._compact()

    def first(self) -> tuple[float, ItemT] | None:
        """The earliest item and its time; None if the queue is empty."""
        while self._heap:
            when, number, item = self._heap[0]
            if self._times.get(item) == (when, number):
                return when, item
            heapq.heappop(self._heap)
        return None

    def pop(self) -> tuple[float, ItemT]:
        """Remove and return the earliest item and its time.

        :raises IndexError: if the queue is empty.
        """
        found = self.first()
        if found is None:
            raise IndexError("The queue is empty.")
        heapq.heappop(self._heap)
        del self._times[found[1]]
        return found

    def _compact(self) -> None:
        # A triggerer runs for weeks. A stale entry that is due in hours would keep its item in memory until then.
        self._heap = [(when, number, item) for item, (when, number) in self._times.items()]
        heapq.heapify(self._heap)
