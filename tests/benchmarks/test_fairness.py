from __future__ import annotations

from pathlib import Path

from benchmarks.fairness import Case, fairness, table

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_the_page_has_the_table_that_the_command_prints():
    """`python -m benchmarks.fairness`; it runs on a virtual clock, so the figures are the same everywhere."""
    assert "\n".join(table()) in PAGE.read_text()


def test_a_service_with_room_is_polled_once_an_interval():
    """With ten runs and twenty requests per second, no run waits for another."""
    found = fairness(Case("", 10), 100)
    assert (found.refused, found.first <= 1, found.gap <= 11.5) == (0, True, True)
