"""The number of tasks of the DAGs in `dags/`. Every process of a task parses its DAG, so this imports little."""

from __future__ import annotations

import os

#: The environment variable with the number of tasks.
VARIABLE = "BENCHMARK_GROUPS"


def numbers() -> list[int]:
    """One number for each task, from 1."""
    return [*range(1, int(os.environ.get(VARIABLE, "300")) + 1)]


def group_ids() -> list[str]:
    """One id of a group for each task."""
    return [f"37000000-0000-4000-8000-{number:012d}" for number in numbers()]
