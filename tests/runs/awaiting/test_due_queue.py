from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.awaiting.due_queue import SLACK, DueQueue


def test_the_earliest_comes_first():
    """And among equals the one that was put first."""
    table = DueQueue()
    for item, when in (("c", 3.0), ("a", 1.0), ("b", 1.0)):
        table.put(item, when)
    assert table.first() == (1.0, "a")
    assert [table.pop()[1] for _ in range(3)] == ["a", "b", "c"]
    assert table.first() is None
    with pytest.raises(IndexError):
        table.pop()


def test_an_item_can_be_moved():
    """It is there once."""
    table = DueQueue()
    table.put("a", 1.0)
    table.put("b", 2.0)
    table.put("a", 3.0)
    assert (len(table), table.pop(), table.pop()) == (2, (2.0, "b"), (3.0, "a"))


def test_what_is_dropped_leaves_no_memory_behind():
    """Though it was due in hours."""
    table = DueQueue()
    for number in range(10_000):
        table.put(number, 1e6 + number)
    for number in range(9_999):
        table.drop(number)
    table.drop("never there")
    assert list(table) == [9_999]
    assert len(table._heap) <= 2 + SLACK


def test_moving_an_item_again_and_again_piles_nothing_up():
    """A run that is polled for weeks is moved at each poll."""
    table = DueQueue()
    for number in range(10_000):
        table.put("a", float(number))
    assert len(table._heap) <= 2 + SLACK
    assert table.pop() == (9_999.0, "a")
