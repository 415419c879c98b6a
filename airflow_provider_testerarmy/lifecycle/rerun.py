"""The first round of a clear that runs only the tests that did not pass; see ``runs/submission/rerun.py``."""

from __future__ import annotations

from typing import Any

from airflow_provider_testerarmy.exceptions import RequestRefused, ServiceUnavailable
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.lifecycle.verdict import Judge
from airflow_provider_testerarmy.lifecycle.worker_wait import Waiter
from airflow_provider_testerarmy.runs.awaiting.watchlist import WaitEnd
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.record import Record
from airflow_provider_testerarmy.runs.submission.rerun import can_rerun, rerun_round
from airflow_provider_testerarmy.runs.text import plural

_INSTEAD = "Nothing was started. Clear the task to run everything again."


class Rerun:
    """Reads the results from before a clear, and plans the tests that run again."""

    def __init__(
        self, session: ServiceSession, store: RecordStore, judge: Judge, waiter: Waiter, log: Any
    ) -> None:
        self._session = session
        self._store = store
        self._judge = judge
        self._waiter = waiter
        self._log = log

    def first_round(self, record: Record, request: RunRequest) -> Record | None:
        """The first record of the new generation; None if the clear is to run everything.

        :param record: of the generation before the clear.
        :raises RequestRefused: if a rerun is ordered and impossible. Running everything would cost more than the
            person has confirmed.
        :raises ServiceUnavailable: if the service does not return the earlier results.
        """
        if not can_rerun(record) or not self._store.is_rerun_ordered():
            return None
        run_ids = tuple(dict.fromkeys((*record.carried, *record.run_ids)))
        waited = self._waiter.collect(run_ids)
        if waited.end is WaitEnd.NOT_FOUND:
            raise RequestRefused(f"The service no longer has the runs from before the clear. {_INSTEAD}")
        if waited.end is not WaitEnd.FINISHED:
            message = f"The results from before the clear are missing: {waited.message}."
            raise ServiceUnavailable(message, retry_after=waited.retry_after)
        results, blocks = self._judge.settled(waited.results, record, run_ids)
        again = rerun_round(self._session.service, request, record, results, blocks, self._store.fresh)
        if again is None:
            raise RequestRefused(
                "The tests that did not pass cannot run on their own: the task or its gate has changed, or the "
                f"service cannot start them singly. {_INSTEAD}"
            )
        self._log.info(
            "The task was cleared to run only the tests that had not passed: %s. %s from before the clear counts.",
            plural(len(again.again), "test"),
            plural(len(again.carried), "pass"),
        )
        return again
