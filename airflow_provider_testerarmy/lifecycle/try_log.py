"""Keeps what each try of a task said, where the task state store exists (Airflow 3.3+)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.runs.verdict.tries import KEY, list_of, try_entry, with_entry


class TryLog:
    """The list of earlier tries. A failure is only logged, because the list decides nothing.

    The first try, of which there is no list yet, leaves its entry in the record: one call to Airflow writes both.

    :param context: Airflow's context of this try.
    :param record: the task's record.
    """

    def __init__(self, context: Mapping[str, Any], record: RecordStore, log: Any) -> None:
        self._store = airflow_compat.task_state_store(context)
        self._record = record
        self._number = int(context["ti"].try_number or 0)
        self._log = log
        self._kept = False

    def keep(self, summary: Mapping[str, Any], *, record_follows: bool = False) -> None:
        """Add this try to the list, once.

        :param summary: of the try; of one without a verdict only ``reasons``.
        :param record_follows: whether the record is stored next. :meth:`complete` must follow then.
        """
        if self._store is None or self._kept:
            return
        self._kept = True
        entry = try_entry(self._number, time.time(), summary)
        if record_follows and self._number == 1 and self._record.remembered:
            self._record.said = entry
        else:
            self._add(entry)

    def complete(self) -> None:
        """Add an entry that was left for the record, if the record was not stored."""
        if self._record.said is not None and not self._record.said_is_stored:
            self._add(self._record.said)

    def _add(self, entry: Mapping[str, Any]) -> None:
        if self._store is None:
            return
        try:
            # Every clear and retry raises the number, so nothing is stored before the first try.
            stored = self._store.get(KEY) if self._number > 1 else None
            self._store.set(KEY, with_entry(stored or list_of(self._record.said_before), entry))
        # The store may raise anything, for example because a user has ended the task.
        except Exception as error:
            self._log.info("What this try found is not kept for later tries (%s).", error)
