"""A task's record: storing it for the next try, and checking that the task itself wrote it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.record_backends import Store, StoreUnavailable, open_store
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission.asked import UNKNOWN, Asked, Generation
from airflow_provider_testerarmy.runs.submission.record import Intent, Part, PartState, Record, Stage
from airflow_provider_testerarmy.runs.submission.rerun import is_ordered
from airflow_provider_testerarmy.runs.submission.stored import (
    SAID,
    from_json,
    identity,
    is_signed,
    said_in,
    signature,
    to_json,
)

log = logging.getLogger(__name__)

#: The largest record that a trigger carries, in bytes of JSON. Airflow stores the event with the task instance.
MAX_CARRIED: Final = 4 * 1024


class Trust(StrEnum):
    """How far a record is trusted. Users can edit task state, and a task cancels the runs in its record.

    * ``SIGNED``: it carries a signature made with the connection's secret.
    * ``PLAUSIBLE``: it has no valid signature, for example after a change of the key, but names the task's own
      target. Its runs have to be checked against the service.
    * ``NONE``: neither.
    """

    SIGNED = "signed"
    PLAUSIBLE = "plausible"
    NONE = "none"


def assess(
    record: Record, stored: Any, identity: str, asked: Asked | None, secret_of: Callable[[Asked], str]
) -> Trust:
    """How far a record is trusted.

    :param asked: what the task itself names; None if that is unknown.
    :param secret_of: returns the secret of the connection that the record names, empty if it cannot be read.
    """
    if is_signed(stored, identity, secret_of(record.asked)):
        return Trust.SIGNED
    return Trust.PLAUSIBLE if asked and record.asked.same_target(asked) else Trust.NONE


def identity_of(ti: Any) -> str:
    """The id of a task instance, the same in all of its tries."""
    dag_id, run_id, task_id = (str(getattr(ti, name, "")) for name in ("dag_id", "run_id", "task_id"))
    return identity(dag_id, run_id, task_id, getattr(ti, "map_index", None))


def is_first(context: Mapping[str, Any]) -> bool:
    """Whether nothing of this task instance can have run before this process.

    Every retry and every clear raises the number of the try. But a broker may send a task to a second worker after
    a clear, with the old number. The DAG run counts its clears, so a count above 0 leaves the case open.
    """
    return int(context["ti"].try_number or 0) == 1 and generation_of(context).clear_number == 0


def generation_of(context: Mapping[str, Any]) -> Generation:
    """The generation of this try.

    ``max_tries`` alone does not tell a retry from a clear. A retry leaves it unchanged, and a clear sets it to
    ``try_number + retries``. After ``retries`` was lowered, that can be the old number (measured on Airflow 3.3).
    """
    # ``clear_number`` goes up with every clear of any task in the DAG run. It alone shows the clear of a running
    # task whose worker is then lost: ``max_tries`` keeps its old number there (measured on Airflow 3.3).
    retries = getattr(context.get("task"), "retries", None)
    cleared = getattr(context.get("dag_run"), "clear_number", None)
    return Generation(
        int(context["ti"].max_tries or 0),
        UNKNOWN if retries is None else int(retries),
        UNKNOWN if cleared is None else int(cleared),
    )


class RecordStore:
    """The record of one task instance.

    :param asked: what the task asks for now.
    :param secret: the secret of the connection, which signs the record.
    :param cancels: whether a killed task cancels its runs. The record carries this for the listener.
    :param durable: whether to keep the record for the next try. If not, a try knows only its own runs.
    :param chosen: what a decorated function has returned; see :class:`Record`.
    :param first: whether nothing of this task has run before, so that there is no record to read.
    :param carried: the record that the trigger has carried through a deferral, None without one. It saves the
        read, if this task has signed it.
    """

    def __init__(
        self,
        context: Mapping[str, Any],
        asked: Asked,
        secret: str,
        *,
        cancels: bool,
        durable: bool,
        chosen: str = "",
        first: bool = False,
        carried: object = None,
    ) -> None:
        self._store: Store | None = open_store(context) if durable else None
        self._current = None if durable else airflow_compat.task_state_store(context)
        #: The identity of the task instance.
        self.identity = identity_of(context["ti"])
        #: The number of this try.
        self.try_number = int(context["ti"].try_number or 0)
        self._secret = secret
        self.generation = generation_of(context)
        self.fresh = Record(asked, self.generation, cancels=cancels, chosen=chosen)
        self.record = self.fresh
        #: What this try said, to be stored with the record; None for nothing. See ``lifecycle/try_log.py``.
        self.said: Mapping[str, Any] | None = None
        self.said_is_stored = False
        #: What the record becomes once the service has accepted all of its parts.
        self.started: Callable[[Record], Record] = lambda record: record
        self._stored = None if first else self._read(carried)

    def _read(self, carried: object) -> Any | None:
        if self._store is None:
            return None
        # Nobody writes the record of a task that waits: a mark or a clear ends the wait, and no event follows.
        own = isinstance(carried, Mapping) and carried.get("try") == self.try_number
        if own and self._store.refuses_stale and is_signed(carried, self.identity, self._secret):
            return carried
        # Airflow clears nothing in the task state store, neither on a retry nor on success or a clear (measured).
        # So this may be a record of an earlier generation.
        return self._store.get()

    def to_carry(self) -> str | None:
        """The signed record as JSON text, for the trigger; None if it is too large, or nothing signs it.

        None before Airflow 3.3, too: there a scheduler may start a resumed task a second time with the same event
        (2.11, ``adopt_or_reset_orphaned_tasks``), and the record may be a newer one by then.
        """
        if self._store is None or not self._store.refuses_stale or not self._secret:
            return None
        text = json.dumps(self._signed(self.record))
        return text if len(text) <= MAX_CARRIED else None

    @property
    def said_before(self) -> Mapping[str, Any] | None:
        """What the first try said, if the stored record still has it."""
        return said_in(self._stored)

    @property
    def remembered(self) -> bool:
        """Whether the next try can read the record of this one."""
        return self._store is not None

    def earlier(self) -> Record | None:
        """The record of earlier tries, None if there is none.

        :raises RecordUnreadable: if this version cannot read it.
        """
        return from_json(self._stored)

    def inherit(self, earlier: Record) -> None:
        """Begin the next generation with what the task must know of earlier ones."""
        renewed = replace(self.fresh, taken=earlier.taken)
        self.record = renewed if self.record is self.fresh else self.record
        self.fresh = renewed

    def is_rerun_ordered(self) -> bool:
        """Whether a person cleared the task to run only what had not passed.

        :raises StoreUnavailable: if Airflow does not answer. Running everything could cost more than was asked.
        """
        if self._store is None or not self._secret or not self.generation.counts_clears:
            return False
        order = self._store.order()
        return is_ordered(order, self._stored, self.generation.clear_number, self.identity, self._secret)

    def trust(self, record: Record, secret_of: Callable[[Asked], str]) -> Trust:
        """How far the stored record is trusted."""
        return assess(record, self._stored, self.identity, self.fresh.asked, secret_of)

    def renew(self, secret: str) -> None:
        """Sign with another secret from now on."""
        self._secret = secret

    def keep(self, record: Record) -> None:
        """Store the record. A failure is only logged, because it must not stop the wait for the runs."""
        try:
            self.keep_for_certain(record)
        except StoreUnavailable as error:
            log.warning("%s The next try may have to search for the runs.", error)

    def keep_for_certain(self, record: Record) -> None:
        """Store the record.

        :raises StoreUnavailable: if Airflow does not store it, for example because a later try has started.
        """
        self.record = record
        if self._store is None:
            return
        over = record.stage is Stage.CONCLUDED and not record.to_clean_up
        if over and not record.taken and not self._store.keeps_concluded:
            # Airflow never prunes Variables, so a concluded record goes at once. A clear must know what the task
            # has taken from another one, so the listener deletes such a record later.
            self._store.delete()
            return
        if not self._store.refuses_stale:
            # Anybody may write a Variable, so a try that is no longer current has to stop itself.
            self._refuse_if_stale(self._store)
        self._store.set(self._signed(record))
        self.said_is_stored = self.said is not None

    def _signed(self, record: Record) -> dict[str, Any]:
        data = {**to_json(record), "try": self.try_number}
        # A later try moves what the first one said into the list of tries, at its end.
        if (said := self.said or self.said_before) is not None:
            data[SAID] = dict(said)
        if self._secret:
            data["signature"] = signature(data, self.identity, self._secret)
        return data

    def _refuse_if_stale(self, store: Store) -> None:
        stored = store.get()
        newest = stored.get("try") if isinstance(stored, Mapping) else None
        if isinstance(newest, int) and newest > self.try_number:
            raise StoreUnavailable(f"Try {newest} of this task has replaced try {self.try_number}.")

    def assure_current(self) -> None:
        """Make sure that this process still runs the task's current try.

        A worker that was paused, or cut off from Airflow, learns of a later try only from Airflow's next answer.
        Storing the record gives that answer. This method is for a task that stores none.

        :raises Exception: if a later try has started, or if Airflow does not answer.
        """
        if self._current is not None:
            # Airflow accepts a value only from the current try; see lifecycle/record_backends.py.
            self._current.set("test_runs_try", self.try_number)

    def journal(self, name: str, request: RunRequest) -> PartJournal:
        """The journal of one submission."""
        return PartJournal(self, name, request)


class PartJournal:
    """The submission's journal, see :class:`airflow_provider_testerarmy.runs.submission.setting.Journal`."""

    def __init__(self, store: RecordStore, name: str, request: RunRequest) -> None:
        self._store = store
        self._name = name
        self._request = request
        #: Whether a request is in flight. If the task is killed now, the request may still start runs.
        self.sending = False

    def intent(self, intent: Intent) -> None:
        """Store the intent before a POST, which succeeds only for the current try.

        Neither vendor has an idempotency key, so a POST without a stored intent could not be found again.
        """
        before = self._store.record
        part = Part(self._request, PartState.SENDING, intent.since, intent.known, until=intent.until)
        try:
            self._store.keep_for_certain(before.with_part(self._name, part))
            self._store.assure_current()
        except BaseException:
            # Nothing is sent then, so nothing may be looked for: it would be the run of another task.
            self._store.record = before
            raise
        self.sending = True

    def not_sent(self) -> None:
        """The request had no effect, and is about to be sent again."""
        self.sending = False
        self._keep(Part(self._request))

    def submitted(self, submission: Submission) -> None:
        """The service accepted the request."""
        self.sending = False
        part = replace(self._part, request=self._request, state=PartState.STARTED, submission=submission)
        record = self._store.record.with_part(self._name, part)
        # The answer to the last request starts the time-out. One write stores the ids and the deadline.
        complete = not any(one.unknown or one.state is PartState.PLANNED for one in record.parts.values())
        self._store.keep(self._store.started(record) if complete else record)

    def nothing_started(self, reason: str = "") -> None:
        """The request started no run, so another try sends it again."""
        self.sending = False
        self._keep(Part(self._request, reason=reason[:300]))

    def unclear(self, reason: str, candidates: tuple[str | int, ...]) -> None:
        """The search for the runs of the request had no clear result."""
        self.sending = False
        # Both values come from the service, and a record has a size limit.
        self._keep(
            replace(self._part, state=PartState.UNCLEAR, candidates=candidates[:20], reason=reason[:300])
        )

    @property
    def _part(self) -> Part:
        return self._store.record.parts.get(self._name, Part(self._request))

    def _keep(self, part: Part) -> None:
        self._store.keep(self._store.record.with_part(self._name, part))
