"""Reads Airflow's tables directly, which also works while the API server is down."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import create_engine, text

from tests.chaos.random_kills.events import Key
from tests.chaos.random_kills.plan import DAG_ID

FINAL: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_COLUMNS: Final = "run_id, task_id, map_index, try_number, start_date, end_date, state"


class AirflowTables:
    """What Airflow's database holds about the DAG."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_size=3)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def instances(self, states: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return the task instances, of all or of some states, in a fixed order."""
        found = self._rows(f"SELECT id, {_COLUMNS} FROM task_instance WHERE dag_id = :dag_id")
        wanted = [row for row in found if not states or row["state"] in states]
        return sorted(wanted, key=key_of)

    def earlier_tries(self) -> list[dict[str, Any]]:
        """Return the tries that were followed by another one."""
        return self._rows(f"SELECT {_COLUMNS} FROM task_instance_history WHERE dag_id = :dag_id")

    def dag_runs(self) -> list[dict[str, Any]]:
        """Return the DAG runs."""
        return self._rows("SELECT run_id, state, end_date FROM dag_run WHERE dag_id = :dag_id")

    def summary(self, key: Key) -> dict[str, Any] | None:
        """Return what the task has returned; None for nothing."""
        run_id, task_id, index = key
        found = self._rows(
            "SELECT run_id, task_id, map_index, value FROM xcom WHERE dag_id = :dag_id AND key = 'return_value'"
        )
        value = next((row["value"] for row in found if key_of(row) == (run_id, task_id, index)), None)
        decoded = json.loads(value) if isinstance(value, str) else value
        return decoded if isinstance(decoded, dict) else None

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with self._engine.connect() as link:
            return [dict(row) for row in link.execute(text(query), {"dag_id": DAG_ID}).mappings()]


def key_of(row: Mapping[str, Any]) -> Key:
    """Return which task instance a row is about."""
    return row["run_id"], row["task_id"], row["map_index"]
