"""What a decorated function has returned in an earlier try. The task uses it instead of calling the function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.lifecycle.record_store import RecordStore, Trust
from airflow_provider_testerarmy.lifecycle.record_trust import secret_of
from airflow_provider_testerarmy.runs.submission.asked import Asked
from airflow_provider_testerarmy.runs.submission.decision import is_retry
from airflow_provider_testerarmy.runs.submission.record import RecordUnreadable

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook


@dataclass(frozen=True, slots=True)
class Chosen:
    """The value of an earlier try.

    :param text: its JSON, as the record has it.
    :param certain: whether a task of this deployment wrote it. Users can edit records, so any other value starts
        nothing.
    :param active: whether the record has runs that are or may be active.
    """

    text: str
    certain: bool
    active: bool


def chosen_before(hook: ServiceHook, context: Mapping[str, Any], log: Any, *, resumes: bool) -> Chosen | None:
    """What the function has returned in this generation; None if it has to be called.

    After a clear the function is called again, unless the clear runs only the tests that had not passed.

    :param resumes: whether this try resumes after a deferral. It then continues whatever was cleared meanwhile.
    :raises StoreUnavailable: if Airflow does not return the record. Then nothing may be started.
    """
    asked = Asked(hook.path, hook.conn_id)
    store = RecordStore(context, asked, "", cancels=False, durable=True)
    try:
        record = store.earlier()
    except RecordUnreadable:
        # The try reads the record again before it starts anything, and refuses it with the reason.
        return None
    if record is None or not record.chosen:
        return None
    secret = secret_of(record.asked, hook, log)
    store.renew(secret)
    if not resumes and not is_retry(record, store.generation) and not store.is_rerun_ordered():
        return None
    certain = store.trust(record, lambda _asked: secret) is Trust.SIGNED
    return Chosen(record.chosen, certain, bool(record.unsettled))
