from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunResult, Step, progress_line
from tests.runs.scripted import active, finished


@pytest.mark.parametrize(
    ("runs", "total", "line"),
    [
        ([], 0, "0/0 finished"),
        ([], 3, "0/3 finished; 3 not seen yet"),
        ([active("a"), active("b", "queued")], 2, "0/2 finished; 1 queued, 1 running"),
        (
            [finished("a"), finished("b", Outcome.FAILED), active("c"), active("d")],
            5,
            "2/5 finished: 1 passed, 1 failed; 1 not seen yet, 2 running",
        ),
        ([finished("a", Outcome.UNKNOWN)], 1, "1/1 finished: 1 unknown"),
    ],
)
def test_progress(runs, total, line):
    """How many are at their end and how, and what the others do."""
    assert progress_line(runs, total) == line


def test_only_one_phase_is_the_end():
    """An unknown state is none."""
    ends = [phase for phase in Phase if RunResult("a", "x", phase).finished]
    assert ends == [Phase.FINISHED]


def test_a_run_is_called_by_its_test():
    """Or by its id."""
    assert (active("a", title="Checkout").label, active(7).label) == ("Checkout", "run 7")


def test_the_first_failed_step():
    """It is the one that stopped the run."""
    steps = (Step("open", True), Step("pay", False), Step("leave", False))
    assert finished("a", steps=steps).failed_step == steps[1]
    assert finished("a", steps=steps[:1]).failed_step is None
