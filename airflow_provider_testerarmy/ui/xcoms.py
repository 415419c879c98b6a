"""Resolves XComs that an XCom backend stores outside the database, where the database only has a reference.

A user who can edit XComs can write any reference. So a reference is followed only if it points into the folder of
its own task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from airflow_provider_testerarmy.ui.answer_cache import CoalescingCache
from airflow_provider_testerarmy.ui.reader_threads import Readers
from airflow_provider_testerarmy.ui.report_files import place_of
from airflow_provider_testerarmy.ui.store import StoredTask

log = logging.getLogger(__name__)

#: How many values to cache, and for how many seconds. A value that cannot be read is cached too.
MAX_KEPT: Final = 2000
TTL: Final = 60.0
#: Time limit in seconds for all references of one page; tasks that are late show no verdict.
PAGE_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class _Stored:
    """A database value in the form that a backend's ``deserialize_value`` expects."""

    value: Any
    key: str = ""


class References:
    """Resolves references and caches the values."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._kept: CoalescingCache[Any] = CoalescingCache(MAX_KEPT, TTL)

    async def resolved(self, tasks: Sequence[StoredTask]) -> list[StoredTask]:
        """The tasks with their references replaced by the values; a reference that cannot be read stays."""
        wanted = {
            (place, key): asyncio.ensure_future(self._read(task.xcoms[key]))
            for place, task in enumerate(tasks)
            for key in task.xcoms
            if is_reference(task, task.xcoms[key])
        }
        if not wanted:
            return list(tasks)
        done, late = await asyncio.wait(wanted.values(), timeout=PAGE_SECONDS)
        for each in late:
            each.cancel()
        found = {where: job.result() for where, job in wanted.items() if job in done}
        return [
            replace(task, xcoms={key: found.get((place, key), value) for key, value in task.xcoms.items()})
            for place, task in enumerate(tasks)
        ]

    async def _read(self, reference: str) -> Any:
        async def read() -> Any:
            return await self._readers.read(place_of(reference), lambda: _resolve(reference), reference)

        return await self._kept.get(reference, read)


def is_reference(task: StoredTask, value: Any) -> bool:
    """Whether a value is a reference into this task's own folder.

    The `XComObjectStorageBackend` of the common.io provider writes paths like `.../dag_id/run_id/task_id/...`.
    """
    if not isinstance(value, str) or "://" not in value or len(value) > 2000:
        return False
    parts = value.split("/")
    return ".." not in parts and f"/{task.dag_id}/{task.run_id}/{task.task_id}/" in value


def _resolve(reference: str) -> Any:
    try:
        return cast("Any", _backend()).deserialize_value(_Stored(reference))
    # A backend may raise any exception; the page can still show everything else.
    except Exception as error:
        log.info("Cannot read the XCom at %s: %s", reference, error)
        return reference


def _backend() -> Any:
    from airflow.sdk.execution_time.xcom import XCom

    return XCom
