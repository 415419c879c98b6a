"""Where a task keeps its record between tries: one interface, with a store for each kind of Airflow.

The record must survive a lost worker, and the listener must be able to read it. Airflow 3.3 has a task state store
for that (AIP-103). Older versions have none, so an Airflow Variable per task instance holds the record there. It is
the only place that a worker can write and that outlives a try: Airflow deletes the XComs of a try before a retry
(https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/xcoms.html).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.submission import rerun
from airflow_provider_testerarmy.runs.submission.record import KEY

log = logging.getLogger(__name__)

#: The largest record, in bytes of JSON. A record of 1,000 runs takes about 50 KB.
MAX_BYTES: Final = 1024 * 1024


class StoreUnavailable(RuntimeError):
    """The record could not be read or written.

    Nobody knows then what is stored, so the task must not start anything.
    """


class Store(Protocol):
    """The record of one task instance, as JSON values."""

    @property
    def available_to_listener(self) -> bool:
        """Whether the listener can read the record in the API server and the scheduler."""

    @property
    def keeps_concluded(self) -> bool:
        """Whether a concluded record may stay because Airflow prunes it. If not, delete it."""

    @property
    def refuses_stale(self) -> bool:
        """Whether Airflow refuses a write by a try that is no longer current. If not, compare before writing."""

    def get(self) -> Any | None:
        """The stored record, None if there is none.

        :raises StoreUnavailable: if Airflow does not answer; a record may exist.
        """

    def order(self) -> Any | None:
        """The order that a person gave with a clear, None if there is none; see ``runs/submission/rerun.py``.

        :raises StoreUnavailable: if Airflow does not answer.
        """

    def set(self, value: Mapping[str, Any]) -> None:
        """Replace the stored record.

        :raises StoreUnavailable: if the write is not confirmed, or the record is too large.
        """

    def delete(self) -> None:
        """Remove the record. A failure is only logged, because the record that stays says "concluded"."""


class TaskStateStore:
    """Airflow's task state store (3.3+).

    :param accessor: ``context["task_state_store"]``.
    """

    keeps_concluded: Final = True
    #: Airflow 3 gives a task instance a new id for each try. The API refuses a write under an old id (measured).
    refuses_stale: Final = True

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    @property
    def available_to_listener(self) -> bool:
        """False with a custom state backend: the database then has only a reference to the value."""
        return not airflow_compat.has_own_state_backend()

    def get(self) -> Any | None:
        """See :meth:`Store.get`."""
        return self._get(KEY)

    def order(self) -> Any | None:
        """See :meth:`Store.order`."""
        return self._get(rerun.KEY)

    def _get(self, key: str) -> Any | None:
        try:
            return self._accessor.get(key)
        # A failed read must not look like an absent record: that would start a second run.
        except Exception as error:
            raise _unavailable("read", error) from error

    def set(self, value: Mapping[str, Any]) -> None:
        """See :meth:`Store.set`."""
        _check_storable(value)
        try:
            self._accessor.set(KEY, dict(value))
        except Exception as error:
            raise _unavailable("write", error) from error

    def delete(self) -> None:
        """See :meth:`Store.delete`."""
        try:
            self._accessor.delete(KEY)
        except Exception as error:
            _not_deleted(error)


class VariableStore:
    """An Airflow Variable per task instance (before 3.3), see ``airflow_compat.write_record``.

    The listener deletes Variables that are older than 30 days. Their tasks never concluded.
    """

    available_to_listener: Final = True
    keeps_concluded: Final = False
    refuses_stale: Final = False

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    def get(self) -> Any | None:
        """See :meth:`Store.get`."""
        try:
            return airflow_compat.read_record(self._ti)
        except Exception as error:
            raise _unavailable("read", error) from error

    def order(self) -> None:
        """None: the API server gives orders where there is a task state store only."""

    def set(self, value: Mapping[str, Any]) -> None:
        """See :meth:`Store.set`."""
        _check_storable(value)
        # Not by the public ``Variable.set``, which only logs a failed write (Airflow 3.0 to 3.2).
        try:
            airflow_compat.write_record(self._ti, value)
        except Exception as error:
            raise _unavailable("write", error) from error

    def delete(self) -> None:
        """See :meth:`Store.delete`."""
        try:
            airflow_compat.delete_record(self._ti)
        except Exception as error:
            _not_deleted(error)


def open_store(context: Mapping[str, Any]) -> Store | None:
    """The store for this task instance; None on an Airflow 3.3+ whose context has no task state store."""
    # A record has one place per version. A Variable on 3.3+ would not be found by the next try that has a store.
    accessor = airflow_compat.task_state_store(context)
    if accessor is not None:
        return TaskStateStore(accessor)
    return None if airflow_compat.TASK_STATE_STORE.available else VariableStore(context["ti"])


def _not_deleted(error: Exception) -> None:
    log.warning("The record of this task's test runs was not deleted: %s", error)


def _check_storable(value: Mapping[str, Any]) -> None:
    # Airflow's store takes JSON values only, and NaN is no JSON (RFC 8259, section 6), though Python writes it.
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StoreUnavailable(f"The record of this task's test runs is not valid JSON: {error}") from error
    if len(text) > MAX_BYTES:
        raise StoreUnavailable(
            f"The record of this task's test runs takes {len(text)} bytes, more than {MAX_BYTES}. "
            "Split the task into several, or set durable=False."
        )


def _unavailable(action: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"Airflow could not {action} the record of this task's test runs ({type(error).__name__}: {error})."
    )
