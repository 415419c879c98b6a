"""The decision about a record, as a table of all inputs."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.submission.decision import Action, Ending, table

ROWS = list(table())
BEGINS = [row for row in ROWS if row.ending == "begins" and row.record != "none"]
ENDS = [row for row in ROWS if row.follows]


def test_every_combination_is_in_the_table():
    """Six records, four wishes and four generations begin; every ending has a try after it or none."""
    assert len(BEGINS) == 6 * 4 * 4 + 2
    assert {(row.ending, row.follows) for row in ENDS} == {(str(e), f) for e in Ending for f in ("yes", "no")}
    assert len(ROWS) == len(BEGINS) + len(ENDS) + 2


def test_without_a_record_a_try_submits():
    (row,) = [row for row in ROWS if row.record == "none"]
    assert row.action is Action.REPLACE


def test_a_record_of_somebody_else_is_left_alone():
    (row,) = [row for row in ROWS if row.record == "not this task's"]
    assert row.action is Action.IGNORE


@pytest.mark.parametrize("row", BEGINS, ids=lambda row: f"{row.record}, {row.asked}, {row.generation}")
def test_how_a_try_begins(row):
    """Only the same wish of the same generation finds its runs again.

    A concluded record is one of before a clear, unless the DAG run counts its clears and has counted none.
    """
    same = (row.asked, row.generation) == ("same", "same") and row.record != "concluded"
    kept = Action.LOOK if row.record.endswith("of unknown effect") else Action.KEEP
    assert row.action is (kept if same else Action.REPLACE)


STOPS = {Ending.KILLED, Ending.DEADLINE, Ending.ENOUGH, Ending.EXECUTION_TIMEOUT}


@pytest.mark.parametrize("row", ENDS, ids=lambda row: f"{row.ending}, {row.follows}")
def test_how_a_try_ends(row):
    """What another try will find is kept, unless nobody wants it any more."""
    kept = row.follows == "yes" and row.ending not in {str(one) for one in STOPS}
    assert row.action is (Action.KEEP if kept else Action.STOP)
