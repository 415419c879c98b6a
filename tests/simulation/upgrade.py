"""What the version before this one would have left: its trigger rows and its records."""

from __future__ import annotations

from typing import Any

from airflow_provider_testerarmy.runs.run_id_codec import unpack
from airflow_provider_testerarmy.runs.submission.record import KEY
from tests.simulation.database import TERMINAL, Database


def downgrade(database: Database) -> None:
    """Put rows and records in the form that version 0.1.0 wrote: an upgrade in the middle of a wait finds them."""
    for row in database.triggers.values():
        for name in ("run_ids", "rejected_run_ids"):
            row.kwargs[name] = list(unpack(row.kwargs[name]))
    for task in database.tasks:
        # The record of an ended task is this version's: its listener may be at work with it.
        if task.state in TERMINAL:
            continue
        record = task.store.get(KEY)
        if record and record.get("version") == 2 and record["stage"] == "open" and not record["rounds"]:
            task.store[KEY] = _first_version(record)


def _first_version(record: dict[str, Any]) -> dict[str, Any]:
    asked = record["asked"]
    older = {
        "version": 1,
        "generation": record["generation"][0],
        "parts": {name: _part(part) for name, part in record["parts"].items()},
        "stage": "open",
        "round": 0,
        "failed": [],
        "again": [],
        "passed": [],
        "owner": {"hook": asked["hook"], "conn_id": asked["conn_id"], "cancels": record["cancels"]},
    }
    return older | ({"deadline": record["deadline"]} if record.get("deadline") else {})


def _part(part: dict[str, Any]) -> dict[str, Any]:
    return {name: part[name] for name in ("since", "submission") if part.get(name)}
