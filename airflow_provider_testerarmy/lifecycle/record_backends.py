"""Where a task keeps its record between tries: one port, and a store for each generation of Airflow.

The record must survive a lost worker, and the listener must reach it without the task. Airflow 3.3 has a task
state store for that. Older versions have none; there, an Airflow Variable per task instance holds the record:
of the places that a worker can write, it alone outlives a try (a retry deletes the XComs of the try before).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.submission.record import KEY

log = logging.getLogger(__name__)

#: The largest record, in bytes of JSON. A record of 1,000 runs takes about 50 KB.
MAX_BYTES: Final = 1024 * 1024


class StoreUnavailable(RuntimeError):
    """The record could not be read or written.

    What is stored is unknown then, so nothing may be started.
    """


class Store(Protocol):
    """The record of one task instance, as JSON values."""

    @property
    def available_to_listener(self) -> bool:
        """Whether the listener can read the record in API server and scheduler."""

    @property
    def keeps_concluded(self) -> bool:
        """Whether a concluded record may stay, because Airflow prunes it. Otherwise delete it."""

    @property
    def refuses_stale(self) -> bool:
        """Whether a try that another one has followed cannot write. Otherwise compare before writing."""

    def get(self) -> Any | None:
        """The stored record, None if there is none.

        :raises StoreUnavailable: if Airflow does not answer; a record may exist.
        """

    def set(self, value: Mapping[str, Any]) -> None:
        """Store a record in place of the one before.

        :raises StoreUnavailable: if it is not stored for certain, or too large.
        """

    def delete(self) -> None:
        """Remove the record. A failure is only logged: what is left says that the task has concluded."""


class TaskStateStore:
    """Airflow's task state store (3.3+).

    :param accessor: ``context["task_state_store"]``.
    """

    keeps_concluded: Final = True
    #: Airflow gives a task instance another id with each try, and the store knows only the newest.
    refuses_stale: Final = True

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    @property
    def available_to_listener(self) -> bool:
        """False with a state backend of the deployment's own: the database then has only a reference."""
        return not airflow_compat.has_own_state_backend()

    def get(self) -> Any | None:
        """See :meth:`Store.get`."""
        try:
            return self._accessor.get(KEY)
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

    The listener deletes those that are older than 30 days: their tasks never concluded.
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

    def set(self, value: Mapping[str, Any]) -> None:
        """See :meth:`Store.set`."""
        _check_storable(value)
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
    accessor = airflow_compat.task_state_store(context)
    if accessor is not None:
        return TaskStateStore(accessor)
    return None if airflow_compat.TASK_STATE_STORE.available else VariableStore(context["ti"])


def _not_deleted(error: Exception) -> None:
    log.warning("The record of this task's test runs was not deleted: %s", error)


def _check_storable(value: Mapping[str, Any]) -> None:
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StoreUnavailable(f"The record of this task's test runs is not valid JSON: {error}") from error
    if len(text) > MAX_BYTES:
        raise StoreUnavailable(
            f"The record of this task's test runs takes {len(text)} bytes, more than {MAX_BYTES}. "
            "Split the task, or set durable=False."
        )


def _unavailable(action: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"Airflow did not {action} the record of this task's test runs ({type(error).__name__}: {error})."
    )
