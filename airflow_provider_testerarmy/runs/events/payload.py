"""The payload of the event that reports the end of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from airflow_provider_testerarmy.runs.events.cursor import Due
from airflow_provider_testerarmy.runs.text import one_line

VERSION: Final = 1


def make_payload(vendor: str, due: Due) -> dict[str, Any]:
    """The event's payload: JSON values of at most 8 KiB, without secrets.

    :return: ``version``, ``vendor``, ``id`` (the same in every event of a run), ``repeat`` (whether an earlier
        event of the run may exist), ``run_id``, ``test_id``, ``project_id``, ``group_id``, ``title``, ``verdict``,
        ``status``, ``reason``, ``source``, ``environment``, ``commit``, ``url``, ``created_at``, ``finished_at``.
    """
    run, result = due.run, due.run.result
    return {
        "version": VERSION,
        "vendor": vendor,
        "id": one_line(f"{vendor.lower()}:{result.run_id}", 220),
        "repeat": due.repeat,
        "run_id": result.run_id,
        "test_id": result.test_id,
        "project_id": result.project_id,
        "group_id": one_line(run.group_id, 200),
        "title": result.title,
        "verdict": str(result.outcome),
        "status": result.status,
        "reason": one_line(result.reason, 500),
        "source": one_line(run.source, 80),
        "environment": one_line(next(iter(run.environments), ""), 200),
        "commit": one_line(run.commit, 200),
        "url": one_line(result.url, 2000),
        "created_at": _moment(result.created_at),
        "finished_at": _moment(result.finished_at),
    }


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
