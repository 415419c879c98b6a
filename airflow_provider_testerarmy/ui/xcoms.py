"""XComs that an XCom backend keeps elsewhere: the database has a reference to them, which is resolved here.

A reference is an XCom like any other, so whoever may edit XComs can write one. It is followed only within the
folder of the task that it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from airflow_provider_testerarmy.ui.answer_cache import Lately
from airflow_provider_testerarmy.ui.reader_threads import Readers
from airflow_provider_testerarmy.ui.report_files import place_of
from airflow_provider_testerarmy.ui.store import StoredTask

log = logging.getLogger(__name__)

#: Values that are kept, and for how many seconds; what cannot be read now is tried again after a minute.
MAX_KEPT: Final = 2000
TTL: Final = 60.0
#: Seconds for the references of one page: a list shows the others without a verdict.
PAGE_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class _Stored:
    """A value as the database has it, and as a backend's ``deserialize_value`` takes it."""

    value: Any
    key: str = ""


class References:
    """Resolves references, and keeps what they led to for a while."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._kept: Lately[Any] = Lately(MAX_KEPT, TTL)

    async def resolved(self, tasks: Sequence[StoredTask]) -> list[StoredTask]:
        """The tasks, with the values that their references lead to; what cannot be read stays as it is."""
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
        async def ask() -> Any:
            return await self._readers.read(place_of(reference), lambda: _follow(reference), reference)

        return await self._kept.get(reference, ask)


def is_reference(task: StoredTask, value: Any) -> bool:
    """Whether a value is a reference to what this very task has stored."""
    if not isinstance(value, str) or "://" not in value or len(value) > 2000:
        return False
    parts = value.split("/")
    return ".." not in parts and f"/{task.dag_id}/{task.run_id}/{task.task_id}/" in value


def _follow(reference: str) -> Any:
    try:
        return cast("Any", _backend()).deserialize_value(_Stored(reference))
    # A backend may raise anything, and the page has more to show than this value.
    except Exception as error:
        log.info("The XCom at %s cannot be read here: %s", reference, error)
        return reference


def _backend() -> Any:
    from airflow.sdk.execution_time.xcom import XCom

    return XCom
