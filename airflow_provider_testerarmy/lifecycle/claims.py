"""Which task has recorded which run, so that a task that lost an answer never takes another task's run.

A task's record is its own, and no other task can read it. So each task also leaves a note under one of its run ids
where all tasks of this Airflow can read it: an Airflow Variable. It stays after the task has concluded, because a
try that looks for a lost request may come hours later. The listener removes it after a day. It holds no secret.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.run_id_codec import pack, unpack

log = logging.getLogger(__name__)

PREFIX: Final = "testerarmy_run:"
#: Seconds for which notes are kept.
KEPT: Final = 24 * 3600.0
#: Runs of which a note is looked for at the most: each takes a call to Airflow.
MAX_READS: Final = 50


class TaskClaims:
    """The notes of one task instance; see :class:`airflow_provider_testerarmy.runs.submission.setting.Claims`.

    :param identity: what names the task instance through all of its tries.
    :param read: reads a Variable; None for none.
    """

    def __init__(self, identity: str, read: Callable[[str], str | None]) -> None:
        self._identity = identity
        self._get = read

    def of_others(self, run_ids: tuple[RunId, ...]) -> frozenset[RunId] | None:
        """Those of the runs that another task has recorded; None when Airflow does not say."""
        taken: set[RunId] = set()
        for run_id in sorted(run_ids, key=str)[:MAX_READS]:
            if run_id in taken:
                continue
            try:
                note = _read(self._get(_key(run_id)))
            except Exception as error:
                log.warning("Airflow does not say whether another task has started run %s: %s", run_id, error)
                return None
            if note and note.get("by") != self._identity:
                taken |= {run_id, *_runs(note)}
        return frozenset(taken & set(run_ids))

    def claim(self, run_ids: tuple[RunId, ...]) -> None:
        """Note the runs as this task's. Without the note only a lost answer elsewhere is harder to settle."""
        if not run_ids:
            return
        note = json.dumps({"by": self._identity, "at": time.time(), "runs": pack(run_ids)})
        try:
            airflow_compat.set_variable(_first(run_ids), note, "A test run, and the task that started it.")
        except Exception as error:
            log.warning("Airflow did not take note of which task has started %s: %s", run_ids[0], error)


def claims_of(identity: str) -> TaskClaims | None:
    """The claims of a task instance; None in a process that no Airflow supervises, which has nobody to ask."""
    return TaskClaims(identity, airflow_compat.get_variable) if airflow_compat.has_variables() else None


def _first(run_ids: tuple[RunId, ...]) -> str:
    return _key(min(run_ids, key=str))


def _key(run_id: RunId) -> str:
    return f"{PREFIX}{str(run_id)[:200]}"


def _read(text: str | None) -> Mapping[str, Any] | None:
    try:
        note = json.loads(text) if text else None
    except ValueError:
        return None
    return note if isinstance(note, Mapping) else None


def _runs(note: Mapping[str, Any]) -> list[RunId]:
    try:
        return unpack(note.get("runs", ()))
    except (KeyError, TypeError, ValueError):
        return []
