"""The hints of the part `push`: a file in place of Airflow's Variable, because there is no Airflow around it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from airflow_provider_testerarmy.airflow_compat.hint_variable import NAME

#: The environment variable with the path of the file.
FILE = "BENCHMARK_HINTS"
#: Seconds that a read takes. The Variable of an Airflow 3.3.2 took 0.01 to 0.06 s in 29 of 30 reads in a triggerer.
READ_SECONDS = 0.5


def read_file(key: str) -> str | None:
    """In the waiting process, instead of Airflow's Variable: the hints."""
    path = Path(os.environ[FILE])
    found = path.read_text(encoding="utf-8") if key == NAME and path.exists() else None
    time.sleep(READ_SECONDS)
    return found


def change_file(change: Callable[[str | None], str]) -> None:
    """In the endpoint's process, instead of Airflow's Variable: change the hints."""
    path = Path(os.environ[FILE])
    before = path.read_text(encoding="utf-8") if path.exists() else None
    fresh = path.with_suffix(".new")
    fresh.write_text(change(before), encoding="utf-8")
    fresh.replace(path)
