"""What the tab shows of a task that waits: titles, its usual duration, and whether the service responds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from airflow_provider_testerarmy import configuration
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.runs.flow import adrive
from airflow_provider_testerarmy.runs.rendered import given
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.verdict.titles import titles_of
from airflow_provider_testerarmy.ui import store
from airflow_provider_testerarmy.ui.actions import record_of
from airflow_provider_testerarmy.ui.answer_cache import CoalescingCache
from airflow_provider_testerarmy.ui.payloads import Json, shown_summary, stamp
from airflow_provider_testerarmy.ui.service import Contact, Owner, RunDetails, hook_of, owner_of
from airflow_provider_testerarmy.ui.store import StoredTask

log = logging.getLogger(__name__)

#: How many earlier nights say what is usual.
NIGHTS: Final = 20
#: Seconds for which titles and the usual duration are cached, and how many of them.
TTL: Final = 300.0
MAX_KEPT: Final = 200
#: The most titles, and the time limit in seconds for reading them.
MAX_TITLES: Final = 1000
TITLE_SECONDS: Final = 8.0


class Waiting:
    """Builds the payload, and caches what it reads."""

    def __init__(self, service: RunDetails) -> None:
        self._service = service
        self._titles: CoalescingCache[Json] = CoalescingCache(MAX_KEPT, TTL)
        self._usual: CoalescingCache[Json | None] = CoalescingCache(MAX_KEPT, TTL)

    async def of(self, task: StoredTask) -> Json:
        """The payload for one task; for one that has ended, only the titles are missing."""
        owner = owner_of(task.rendered, task.team)
        contact = Contact() if owner is None else self._service.contact(owner)
        key = (task.dag_id, task.run_id, task.task_id, task.map_index)

        async def usual() -> Json | None:
            return usual_of(await asyncio.to_thread(store.read_earlier, task, NIGHTS))

        return {
            "now": time.time(),
            "started": stamp(task.started),
            "usual": None if task.finished else await self._usual.get(key, usual),
            "answered": contact.answered,
            "outage": None if task.finished else outage_of(task, contact),
            "titles": {} if task.finished or owner is None else await self._titles_of(owner, task),
        }

    async def _titles_of(self, owner: Owner, task: StoredTask) -> Json:
        # A record that users have edited may name any target of the account.
        record = record_of(task)
        if record is None or not await self._service.is_record_signed(owner, task):
            return {}
        request = RunRequest(record.asked.kind, record.asked.target)

        async def read() -> Json:
            # Any fault of the service or of a secrets backend: the page uses the runs' own names.
            try:
                async with asyncio.timeout(TITLE_SECONDS):
                    return await _read_titles(owner, request)
            except Exception as error:
                log.info("Cannot read the titles of %s: %s", request.label, error)
                return {}

        return await self._titles.get((owner.key, request.kind, request.target), read)


async def _read_titles(owner: Owner, request: RunRequest) -> Json:
    hook = await asyncio.to_thread(hook_of, owner)
    service = hook.service()
    prepared = service.prepare(request)
    if prepared is None:
        return {}
    send, close = hook.async_asker()
    try:
        scope = (await send(prepared)).value
        titles = await adrive(titles_of(service, request, scope.project_id), send, asyncio.sleep)
    finally:
        await close()
    return {line(test, 200): line(title, 160) for test, title in list(titles.items())[:MAX_TITLES]}


def usual_of(earlier: Sequence[StoredTask]) -> Json | None:
    """The median duration of earlier nights, in seconds; None if none of them has one."""
    summaries = [shown_summary(task.summary) for task in earlier if task.summary]
    spans = [one["ended"] - one["started"] for one in summaries if one["ended"] and one["started"]]
    known = [span for span in spans if span > 0]
    return {"seconds": median(known), "nights": len(known)} if known else None


def outage_of(task: StoredTask, contact: Contact) -> Json | None:
    """Since when the service does not respond to the API server, and how long the task waits at most.

    The worker sends requests of its own, so it may see another beginning.
    """
    if contact.failing_since is None:
        return None
    limit: Any = given(task.rendered.get("max_outage"))
    try:
        seconds = parameters.seconds(
            configuration.usable("max_outage") if limit is None else limit, "max_outage"
        )
    except RequestInvalid:
        seconds = 0.0
    until = contact.failing_since + seconds if seconds else None
    return {"since": contact.failing_since, "until": until, "notice": contact.notice}
