"""The table of what a task costs beyond Airflow itself."""

from __future__ import annotations

from benchmarks.floor import Round, cost_table, table


def test_the_table_has_medians_and_their_ratio():
    rounds = [
        Round("floor", 100, 9.0, 10.0),
        Round("mapped_groups", 100, 12.0, 10.0),
        Round("floor", 100, 10.0, 10.0),
        Round("mapped_groups", 100, 15.0, 20.0),
        Round("floor", 100, 50.0, 10.0),
        Round("mapped_groups", 100, 90.0, 20.0),
    ]
    assert table(rounds)[2:] == [
        "| 100 | deferring | 10.0 | 15.0 | 1.5 |",
        "| 100 | resuming | 10.0 | 20.0 | 2.0 |",
    ]


def test_each_number_of_tasks_has_its_rows():
    rounds = [Round(dag, tasks, 1.0, 1.0) for tasks in (300, 100) for dag in ("floor", "mapped_groups")]
    assert [row.split("|")[1].strip() for row in table(rounds)[2:]] == ["100", "100", "300", "300"]


def test_the_cost_is_that_of_one_task():
    """By process and by operator."""
    rounds = [
        Round("floor", 100, 1.0, 1.0, {"scheduler": 20.0, "triggerer": 1.0}, 0),
        Round("mapped_groups", 100, 1.0, 1.0, {"scheduler": 30.0, "triggerer": 2.0}, 450),
    ]
    assert cost_table(rounds) == [
        "| tasks | operator | scheduler, CPU ms | triggerer, CPU ms | requests |",
        "| --- | --- | --- | --- | --- |",
        "| 100 | floor | 200 | 10 | 0.0 |",
        "| 100 | ours | 300 | 20 | 4.5 |",
    ]
