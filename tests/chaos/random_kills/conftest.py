"""The random kills run only where `TESTERARMY_RANDOM_KILLS` asks for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.random_kills import table

KILLS_VARIABLE = "TESTERARMY_RANDOM_KILLS"
SEED_VARIABLE = "SEED"
TABLE_VARIABLE = "TESTERARMY_RANDOM_KILLS_TABLE"

collect_ignore = [] if int(os.environ.get(KILLS_VARIABLE, "0")) else ["test_random_kills.py"]

RESULTS = pytest.StashKey[list[table.Result]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and write it where it is wanted."""
    results = config.stash.get(RESULTS, [])
    if not results:
        return
    terminalreporter.section("random kills")
    for line in table.plain([row for result in results for row in table.rows(result)]):
        terminalreporter.write_line(line)
    if path := os.environ.get(TABLE_VARIABLE):
        table.write(Path(path), results)
