"""The calendar of the nights: 30 days pass within minutes, and the last one is today.

Tasks read the day from a file. Only the clock of the provider's tasks is set back. Airflow's clock and that of the
service stay as they are.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

DAY: Final = 86_400
NIGHTS: Final = 30
#: The tasks' `timeout`. The triggerer's clock is right, so a deadline must be ahead of it on the first night too.
TIMEOUT: Final = (NIGHTS + 10) * DAY


def _file(home: Path) -> Path:
    return home / "nights-ago"


def set_night(home: Path, number: int) -> None:
    """Make it the night with this number, for every task that reads the clock from now on."""
    unfinished = _file(home).with_suffix(".new")
    unfinished.write_text(str(NIGHTS - number))
    unfinished.rename(_file(home))


def now(home: Path) -> float:
    """Seconds since the epoch on the night that is set; before any is set, the machine's time."""
    file = _file(home)
    return time.time() - (int(file.read_text()) * DAY if file.exists() else 0)


def date_of(home: Path) -> str:
    """The date of the night that is set, as reasons show it."""
    return datetime.fromtimestamp(now(home), UTC).date().isoformat()
