"""Temporary targets of a task: creates one for a confirming round, and deletes it whatever happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_backends import StoreUnavailable
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.record import Record
from airflow_provider_testerarmy.runs.submission.setting import Setting
from airflow_provider_testerarmy.runs.submission.temporary import create, remove
from airflow_provider_testerarmy.runs.temporary import (
    TemporaryTarget,
    TemporaryTargets,
    is_named_for,
    name_for,
)
from airflow_provider_testerarmy.runs.text import one_line


def without_temporary(record: Record, session: ServiceSession, identity: str, log: Any) -> Record:
    """Delete the temporary target of a record.

    :param identity: of the task instance. Targets with names that it does not give are not touched.
    :return: the record without the target, or unchanged if the target could not be deleted now.
    """
    targets, temporary = session.service, record.temporary
    if temporary is None or not isinstance(targets, TemporaryTargets):
        return replace(record, temporary=None)
    own = is_named_for(identity, temporary.name)
    try:
        gone = session.drive_to_the_end(remove(targets, temporary, lambda _: own, log.warning))
    except Exception as error:
        # The id may have been edited. Whatever it is, the task has its verdict.
        log.warning("Could not delete %s: %s", temporary.label, one_line(str(error), 300))
        gone = False
    if gone:
        log.info("Deleted %s.", temporary.label)
    return replace(record, temporary=None) if gone else record


class TemporaryMaker:
    """Creates the temporary targets of one try."""

    def __init__(self, session: ServiceSession, store: RecordStore, options: Options, log: Any) -> None:
        self._session = session
        self._store = store
        self._options = options
        self._log = log

    def make(self, request: RunRequest, tests: tuple[str, ...]) -> RunRequest | None:
        """A request that runs these tests in a temporary target, which the record names from now on.

        :return: None if the service has no such targets, or does not create one now. The log says why.
        """
        targets = self._session.service
        if not isinstance(targets, TemporaryTargets) or targets.blueprint(request) is None:
            return None
        self.remove()
        made: TemporaryTarget | str
        if self._store.record.temporary is not None:
            made = f"{self._store.record.temporary.label} is not deleted yet"
        else:
            made = self._create(targets, request, tests)
        if isinstance(made, TemporaryTarget):
            self._log.info("Created %s for the tests that run again.", made.label)
            return targets.on_target(request, made.target)
        self._log.warning("The failed tests cannot run in a group of their own: %s.", made.rstrip("."))
        self.remove()
        return None

    def remove(self) -> None:
        """Delete the temporary target of the record, and store that it is gone."""
        record = self._store.record
        if record.temporary is not None:
            removed = without_temporary(record, self._session, self._store.identity, self._log)
            self._store.renew(self._session.secret)
            self._store.keep(removed)

    def _create(
        self, targets: TemporaryTargets, request: RunRequest, tests: tuple[str, ...]
    ) -> TemporaryTarget | str:
        session = self._session
        setting = Setting(
            session.service, request, None, self._options.max_outage, session.clock, self._log.info
        )
        name = name_for(self._store.identity, uuid4().hex[:12])
        try:
            return session.drive(create(setting, targets, tests, name, self._keep))
        except StoreUnavailable as error:
            return one_line(str(error), 200)

    def _keep(self, temporary: TemporaryTarget | None) -> None:
        before = self._store.record
        try:
            self._store.keep_for_certain(replace(before, temporary=temporary))
            self._store.assure_current()
        except BaseException:
            # Nothing is created then, so there is nothing to delete. An id that is known must be kept, though.
            if temporary is not None and not temporary.target:
                self._store.record = before
            raise
