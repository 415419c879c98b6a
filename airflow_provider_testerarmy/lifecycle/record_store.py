"""A task's record: kept where the next try finds it, and believed only where it is the task's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.record_backends import Store, StoreUnavailable, open_store
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import UNKNOWN, Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Intent, Part, PartState, Record, Stage
from airflow_provider_testerarmy.runs.submission.stored import (
    from_json,
    identity,
    is_signed,
    signature,
    to_json,
)

log = logging.getLogger(__name__)


class Trust(StrEnum):
    """Whether a record is this task's own. Users may edit task state, and it names runs that are then cancelled.

    ``PROVEN``: it is signed with the connection's secret. ``AGREES``: it is not, perhaps because the key is a new
    one, and it is about what the task itself names; its runs have to be examined. ``NONE``: neither.
    """

    SIGNED = "signed"
    PLAUSIBLE = "plausible"
    NONE = "none"


def assess(
    record: Record, stored: Any, identity: str, asked: Asked | None, secret_of: Callable[[Asked], str]
) -> Trust:
    """Whether a record is the task's own.

    :param asked: what the task itself names; None where that is not known.
    :param secret_of: the secret of the connection that the record names; empty where it cannot be had.
    """
    if is_signed(stored, identity, secret_of(record.asked)):
        return Trust.SIGNED
    return Trust.PLAUSIBLE if asked and record.asked.same_target(asked) else Trust.NONE


def identity_of(ti: Any) -> str:
    """What names a task instance through all of its tries."""
    dag_id, run_id, task_id = (str(getattr(ti, name, "")) for name in ("dag_id", "run_id", "task_id"))
    return identity(dag_id, run_id, task_id, getattr(ti, "map_index", None))


def generation_of(context: Mapping[str, Any]) -> Generation:
    """The generation of this try."""
    retries = getattr(context.get("task"), "retries", None)
    cleared = getattr(context.get("dag_run"), "clear_number", None)
    return Generation(
        int(context["ti"].max_tries or 0),
        UNKNOWN if retries is None else int(retries),
        UNKNOWN if cleared is None else int(cleared),
    )


class RecordStore:
    """The record of one task instance.

    :param asked: what the task wants now.
    :param secret: of the connection; signs the record.
    :param cancels: whether a killed task takes its runs along; goes into the record.
    :param durable: whether to keep the record for the next try. Without that a try remembers only what it did
        itself.
    """

    def __init__(
        self, context: Mapping[str, Any], asked: Asked, secret: str, *, cancels: bool, durable: bool
    ) -> None:
        self._store: Store | None = open_store(context) if durable else None
        self._current = None if durable else airflow_compat.task_state_store(context)
        self._identity = identity_of(context["ti"])
        self._try_number = int(context["ti"].try_number or 0)
        self._secret = secret
        self.generation = generation_of(context)
        self.fresh = Record(asked, self.generation, cancels=cancels)
        self.record = self.fresh
        self._stored = self._store.get() if self._store is not None else None

    @property
    def remembered(self) -> bool:
        """Whether the next try will know what this one knows."""
        return self._store is not None

    def earlier(self) -> Record | None:
        """What earlier tries left.

        :raises RecordUnreadable: when this version cannot read it.
        """
        return from_json(self._stored)

    def trust(self, record: Record, secret_of: Callable[[Asked], str]) -> Trust:
        """Whether the stored record is this task's own."""
        return assess(record, self._stored, self._identity, self.fresh.asked, secret_of)

    def renew(self, secret: str) -> None:
        """The connection has another secret from now on."""
        self._secret = secret

    def keep(self, record: Record) -> None:
        """Write the record down, as far as Airflow takes it: the runs matter more than the note of them."""
        try:
            self.keep_for_certain(record)
        except StoreUnavailable as error:
            log.warning("%s The next try may have to look for the runs.", error)

    def keep_for_certain(self, record: Record) -> None:
        """Write the record down.

        :raises StoreUnavailable: when Airflow did not take it, e.g. because another try has taken over.
        """
        self.record = record
        if self._store is None:
            return
        if record.stage is Stage.CONCLUDED and not record.unsettled and not self._store.keeps_concluded:
            self._store.delete()
            return
        if not self._store.refuses_stale:
            self._refuse_if_stale(self._store)
        data = {**to_json(record), "try": self._try_number}
        if self._secret:
            data["signature"] = signature(data, self._identity, self._secret)
        self._store.set(data)

    def _refuse_if_stale(self, store: Store) -> None:
        stored = store.get()
        newest = stored.get("try") if isinstance(stored, Mapping) else None
        if isinstance(newest, int) and newest > self._try_number:
            raise StoreUnavailable(f"Try {newest} of this task has taken over from try {self._try_number}.")

    def assure_current(self) -> None:
        """Make sure that Airflow still takes this process for the task's current try.

        A worker that was away (paused, or cut off from Airflow) learns that another try has taken over only from
        Airflow's answer. Storing the record is such a question; this one is for a task that stores none.

        :raises Exception: when it is not, or when Airflow does not answer.
        """
        if self._current is not None:
            # Airflow's store takes it only from the current try; see lifecycle/record_backends.py.
            self._current.set("test_runs_try", self._try_number)

    def journal(self, name: str, request: RunRequest) -> PartJournal:
        """The journal of one submission."""
        return PartJournal(self, name, request)


class PartJournal:
    """The submission's journal, see :class:`airflow_provider_testerarmy.runs.submission.setting.Journal`."""

    def __init__(self, store: RecordStore, name: str, request: RunRequest) -> None:
        self._store = store
        self._name = name
        self._request = request
        #: Whether a request is under way: should the task be killed now, it may have started something.
        self.sending = False

    def intent(self, intent: Intent) -> None:
        """Store the intent; that succeeds only for the current try."""
        part = Part(self._request, PartState.SENDING, intent.since, intent.known, until=intent.until)
        self._store.keep_for_certain(self._store.record.with_part(self._name, part))
        self._store.assure_current()
        self.sending = True

    def submitted(self, submission: Submission) -> None:
        """The service accepted it."""
        self.sending = False
        part = replace(self._part, request=self._request, state=PartState.STARTED, submission=submission)
        self._keep(part)

    def nothing_started(self, reason: str = "") -> None:
        """There is nothing to look for."""
        self.sending = False
        self._keep(Part(self._request, PartState.REFUSED, reason=reason[:300]))

    def unclear(self, reason: str, candidates: tuple[str | int, ...]) -> None:
        """Somebody looked, and it cannot be settled."""
        self.sending = False
        self._keep(
            replace(self._part, state=PartState.UNCLEAR, candidates=candidates[:20], reason=reason[:300])
        )

    @property
    def _part(self) -> Part:
        return self._store.record.parts.get(self._name, Part(self._request))

    def _keep(self, part: Part) -> None:
        self._store.keep(self._store.record.with_part(self._name, part))
