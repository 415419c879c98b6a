"""Keeps what each try of a task said, where the task state store exists (Airflow 3.3+)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.verdict.tries import KEY, try_entry, with_entry


class TryLog:
    """The list of earlier tries. A failure is only logged, because the list decides nothing.

    :param context: Airflow's context of this try.
    """

    def __init__(self, context: Mapping[str, Any], log: Any) -> None:
        self._store = airflow_compat.task_state_store(context)
        self._number = int(context["ti"].try_number or 0)
        self._log = log
        self._kept = False

    def keep(self, summary: Mapping[str, Any]) -> None:
        """Add this try to the list, once.

        :param summary: of the try; of one without a verdict only ``reasons``.
        """
        if self._store is None or self._kept:
            return
        self._kept = True
        try:
            entry = try_entry(self._number, time.time(), summary)
            # Every clear and retry raises the number, so nothing is stored before the first try.
            stored = self._store.get(KEY) if self._number > 1 else None
            self._store.set(KEY, with_entry(stored, entry))
        # The store may raise anything, for example because a user has ended the task.
        except Exception as error:
            self._log.info("What this try found is not kept for later tries (%s).", error)
