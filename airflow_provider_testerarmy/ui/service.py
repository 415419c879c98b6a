"""Fetches run details from the service for the tab, so that more viewers do not mean more requests.

Finished runs are cached for one hour, active runs for four seconds; concurrent requests are coalesced. After a
failure, no request is sent to that service for 15 seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from airflow_provider_testerarmy.runs.submission.stored import identity, is_signed
from airflow_provider_testerarmy.ui.payloads import Json, run_detail, run_key
from airflow_provider_testerarmy.ui.store import StoredTask, connection_of_team

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

log = logging.getLogger(__name__)

#: Keys of notices, which the page has in its languages; a value follows after a colon.
SLOW: Final = "slow"
GONE: Final = "gone"
DENIED: Final = "denied"
RATE_LIMITED: Final = "rate_limited"
SILENT: Final = "silent"
UNREADABLE: Final = "unreadable"
#: Seconds for which a run is cached: while it is active, and once it is finished.
ACTIVE_TTL: Final = 4.0
FINISHED_TTL: Final = 3600.0
#: Seconds for which the result of a signature check is cached.
SIGNATURE_TTL: Final = 60.0
#: Seconds without requests after a service has failed.
PAUSE: Final = 15.0
#: Time limit in seconds for one browser request, and concurrent requests to the services in this process.
BATCH_SECONDS: Final = 8.0
CONCURRENCY: Final = 10
MAX_ENTRIES: Final = 3000


@dataclass(frozen=True, slots=True)
class Owner:
    """The service and the connection that a task's runs belong to.

    :param team: the DAG's team, which decides how the connection is resolved; None without teams.
    """

    hook: type[ServiceHook]
    conn_id: str
    team: str | None = None

    @property
    def key(self) -> str:
        """A unique key for caching."""
        return f"{self.hook.__name__}:{self.team or ''}:{self.conn_id}"


@cache
def connection_hooks() -> tuple[type[ServiceHook], ...]:
    """The hook class of each connection type of this provider."""
    return tuple(resolve_name(each["hook-class-name"]) for each in get_provider_info()["connection-types"])


def owner_of(rendered: Mapping[str, Any], team: str | None = None) -> Owner | None:
    """The owner of a task's runs, from its rendered fields; None if no connection field of this provider is set."""
    for hook in connection_hooks():
        conn_id = rendered.get(getattr(hook, "conn_name_attr", ""))
        if isinstance(conn_id, str) and conn_id:
            return Owner(hook, conn_id, team)
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """The details that were found, and why some are missing.

    :param details: by run key; a run that could not be fetched is missing.
    :param notice: a key of a message for the viewer, or its text; empty if nothing is missing.
    """

    details: dict[str, Json]
    notice: str = ""


@dataclass(slots=True)
class _Batch:
    """The runs of one browser request: those to fetch, and those that another request is already fetching."""

    own: dict[tuple[str, RunId], asyncio.Future[Json | None]] = field(default_factory=dict)
    others: dict[str, asyncio.Future[Json | None]] = field(default_factory=dict)
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """The API server's own requests through a connection, in seconds since the epoch.

    :param answered: the last request with an answer; None if there was none.
    :param failing_since: the first request without an answer since then; None if the last one had an answer.
    :param notice: why it had none.
    """

    answered: float | None = None
    failing_since: float | None = None
    notice: str = ""


class RunDetails:
    """A cache of run details for this process.

    :param clock: a monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, RunId], tuple[float, Json]] = OrderedDict()
        self._signed: OrderedDict[tuple[str, str, str], tuple[float, bool]] = OrderedDict()
        self._in_flight: dict[tuple[str, RunId], asyncio.Future[Json | None]] = {}
        self._paused: dict[str, tuple[float, str]] = {}
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._contacts: dict[str, Contact] = {}

    async def is_record_signed(self, owner: Owner, task: StoredTask) -> bool:
        """Whether a task's record is signed with the task's identity and the connection's secret.

        False for a record of an earlier version, and for one written before the API key changed.
        """
        given = task.record.get("signature") if isinstance(task.record, Mapping) else None
        if not given:
            return False
        name = identity(task.dag_id, task.run_id, task.task_id, task.map_index)
        key = (owner.key, name, str(given))
        expires, signed = self._signed.get(key, (0.0, False))
        if expires <= self._clock():
            signed = await self._check_signature(owner, task.record, name)
            self._signed[key] = (self._clock() + SIGNATURE_TTL, signed)
            while len(self._signed) > MAX_ENTRIES:
                self._signed.popitem(last=False)
        return signed

    async def _check_signature(self, owner: Owner, record: object, name: str) -> bool:
        # A secrets backend may raise any exception; the page can still show the summary.
        try:
            hook = await asyncio.to_thread(hook_of, owner)
        except Exception as error:
            log.info("Cannot read the connection %s: %s", owner.key, error)
            return False
        return is_signed(record, name, str(hook.connection.password or ""))

    def contact(self, owner: Owner) -> Contact:
        """When the service last answered the API server."""
        return self._contacts.get(owner.key, Contact())

    async def fetch(self, owner: Owner, run_ids: Sequence[RunId]) -> Found:
        """The details of as many of these runs as the service returns in time."""
        details, batch = self._known(owner, run_ids)
        until, notice = self._paused.get(owner.key, (0.0, ""))
        if batch.own and until > self._clock():
            self._settle(batch)
            batch.notice = notice
        elif batch.own:
            await self._fetch_in_time(owner, batch)
        for key, future in batch.own.items():
            if (answer := future.result()) is not None:
                details[run_key(key[1])] = answer
        if batch.others:
            await asyncio.wait(batch.others.values(), timeout=BATCH_SECONDS)
            for name, future in batch.others.items():
                if future.done() and (answer := future.result()) is not None:
                    details[name] = answer
        return Found(details, batch.notice)

    def _known(self, owner: Owner, run_ids: Sequence[RunId]) -> tuple[dict[str, Json], _Batch]:
        details: dict[str, Json] = {}
        batch, now = _Batch(), self._clock()
        for run_id in dict.fromkeys(run_ids):
            key = (owner.key, run_id)
            expires, detail = self._kept.get(key, (0.0, {}))
            if expires > now:
                self._kept.move_to_end(key)
                details[run_key(run_id)] = detail
            elif key in self._in_flight:
                batch.others[run_key(run_id)] = self._in_flight[key]
            else:
                batch.own[key] = self._in_flight[key] = asyncio.get_running_loop().create_future()
        return details, batch

    async def _fetch_in_time(self, owner: Owner, batch: _Batch) -> None:
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                await self._fetch_all(owner, batch)
            self._contacts[owner.key] = Contact(time.time())
        except TimeoutError:
            batch.notice = SLOW
        except ServiceFault as fault:
            batch.notice = self._pause(owner, _describe_fault(fault))
        except RequestInvalid as error:
            batch.notice = self._pause(owner, f"The connection {owner.conn_id!r} cannot be used. {error}")
        # A deleted connection or a failing secrets backend: the page can still show the summary.
        except Exception as error:
            log.info("Cannot fetch runs through %s: %s", owner.key, error)
            batch.notice = self._pause(owner, f"{UNREADABLE}:{owner.conn_id}")
        finally:
            self._settle(batch)

    async def _fetch_all(self, owner: Owner, batch: _Batch) -> None:
        # Reading a connection is synchronous: in the API server it queries the database or a secrets backend.
        hook = await asyncio.to_thread(hook_of, owner)
        service = hook.service()
        send, close = hook.async_asker()

        async def fetch_one(key: tuple[str, RunId], future: asyncio.Future[Json | None]) -> None:
            async with self._slots:
                try:
                    run = (await send(service.fetch(key[1]))).value
                except ServiceFault as fault:
                    if fault.kind not in (FaultKind.NOT_FOUND, FaultKind.REFUSED, FaultKind.CONFLICT):
                        raise
                    batch.notice = GONE
                    return
            detail = await asyncio.to_thread(run_detail, run)
            self._keep(key, run, detail)
            future.set_result(detail)

        try:
            async with asyncio.TaskGroup() as group:
                for key, future in batch.own.items():
                    group.create_task(fetch_one(key, future))
        except ExceptionGroup as failures:
            # One failure speaks for all: the requests share a connection and a service.
            raise failures.exceptions[0] from None
        finally:
            await close()

    def _settle(self, batch: _Batch) -> None:
        for key, future in batch.own.items():
            self._in_flight.pop(key, None)
            if not future.done():
                future.set_result(None)

    def _keep(self, key: tuple[str, RunId], run: RunResult, detail: Json) -> None:
        self._kept[key] = (self._clock() + (FINISHED_TTL if run.finished else ACTIVE_TTL), detail)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_ENTRIES:
            self._kept.popitem(last=False)

    def _pause(self, owner: Owner, notice: str) -> str:
        shown = line(notice, 400)
        self._paused[owner.key] = (self._clock() + PAUSE, shown)
        before = self.contact(owner)
        self._contacts[owner.key] = replace(
            before, failing_since=before.failing_since or time.time(), notice=shown
        )
        return shown


def hook_of(owner: Owner) -> ServiceHook:
    """The owner's hook, with its connection already resolved."""
    hook = owner.hook(owner.conn_id)
    if owner.team is None:
        _ = hook.connection
    else:
        hook.use(connection_of_team(owner.conn_id, owner.team))
    return hook


def _describe_fault(fault: ServiceFault) -> str:
    if fault.kind is FaultKind.DENIED:
        return DENIED
    if fault.kind is FaultKind.RATE_LIMITED:
        return RATE_LIMITED
    return SILENT
