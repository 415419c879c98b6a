"""Runs in full, asked of the vendor for the tab: seldom, briefly, and once for all who look.

Every answer is kept for a while, and a question that is under way is not put a second time, so the number of
viewers does not multiply the calls. A service that does not answer is left alone for a moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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

#: Seconds for which an answer holds: that of a run that may still change, and that of one that is over.
ACTIVE_TTL: Final = 4.0
FINISHED_TTL: Final = 3600.0
#: Seconds for which it holds who wrote a record.
VOUCHED_TTL: Final = 60.0
#: Seconds for which a service that did not answer is not asked again.
PAUSE: Final = 15.0
#: Seconds for the answers to one request of the browser, and questions at a time of all of them.
BATCH_SECONDS: Final = 8.0
CONCURRENCY: Final = 10
MAX_ENTRIES: Final = 3000


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom to ask: the vendor's hook, and the Airflow connection, as the DAG's team reads it.

    :param team: None for a DAG of no team.
    """

    hook: type[ServiceHook]
    conn_id: str
    team: str | None = None

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.hook.__name__}:{self.team or ''}:{self.conn_id}"


@cache
def _hooks() -> tuple[type[ServiceHook], ...]:
    return tuple(resolve_name(each["hook-class-name"]) for each in get_provider_info()["connection-types"])


def owner_of(rendered: Mapping[str, Any], team: str | None = None) -> Owner | None:
    """Whom a task asks, from its rendered fields: only hooks of this package, named by their connection's field."""
    for hook in _hooks():
        conn_id = rendered.get(getattr(hook, "conn_name_attr", ""))
        if isinstance(conn_id, str) and conn_id:
            return Owner(hook, conn_id, team)
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to say about some runs.

    :param details: by the run's id as text; a run that was not answered is missing.
    :param notice: why some are missing, for people; empty where none are.
    """

    details: dict[str, Json]
    notice: str = ""


@dataclass(slots=True)
class _Batch:
    """The questions of one request, some of which another request has put already."""

    own: dict[tuple[str, RunId], asyncio.Future[Json | None]] = field(default_factory=dict)
    others: dict[str, asyncio.Future[Json | None]] = field(default_factory=dict)
    notice: str = ""


class RunDetails:
    """The runs in full that this process has asked for lately.

    :param clock: seconds, always going forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, RunId], tuple[float, Json]] = OrderedDict()
        self._vouched: OrderedDict[tuple[str, str, str], tuple[float, bool]] = OrderedDict()
        self._under_way: dict[tuple[str, RunId], asyncio.Future[Json | None]] = {}
        self._paused: dict[str, tuple[float, str]] = {}
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def vouches(self, owner: Owner, task: StoredTask) -> bool:
        """Whether a task's record carries the signature of that task and of the connection's secret.

        A record of the version before, or from before the key was changed, carries none.
        """
        given = task.record.get("signature") if isinstance(task.record, Mapping) else None
        if not given:
            return False
        name = identity(task.dag_id, task.run_id, task.task_id, task.map_index)
        key = (owner.key, name, str(given))
        expires, vouched = self._vouched.get(key, (0.0, False))
        if expires <= self._clock():
            vouched = await self._is_signed(owner, task.record, name)
            self._vouched[key] = (self._clock() + VOUCHED_TTL, vouched)
            while len(self._vouched) > MAX_ENTRIES:
                self._vouched.popitem(last=False)
        return vouched

    async def _is_signed(self, owner: Owner, record: object, name: str) -> bool:
        # The page still has the summary.
        try:
            hook = await asyncio.to_thread(_opened, owner)
        except Exception as error:
            log.info("The connection %s cannot be read: %s", owner.key, error)
            return False
        return is_signed(record, name, str(hook.connection.password or ""))

    async def fetch(self, owner: Owner, run_ids: Sequence[RunId]) -> Found:
        """As many of the runs as the service tells in time."""
        details, batch = self._known(owner, run_ids)
        until, notice = self._paused.get(owner.key, (0.0, ""))
        if batch.own and until > self._clock():
            self._settle(batch)
            batch.notice = notice
        elif batch.own:
            await self._ask_in_time(owner, batch)
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
            elif key in self._under_way:
                batch.others[run_key(run_id)] = self._under_way[key]
            else:
                batch.own[key] = self._under_way[key] = asyncio.get_running_loop().create_future()
        return details, batch

    async def _ask_in_time(self, owner: Owner, batch: _Batch) -> None:
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                await self._ask(owner, batch)
        except TimeoutError:
            batch.notice = "The service is slow: not every run could be read. Try again in a moment."
        except ServiceFault as fault:
            batch.notice = self._pause(owner, _explained(fault))
        except RequestInvalid as error:
            batch.notice = self._pause(owner, f"The connection {owner.conn_id!r} cannot be used. {error}")
        # A connection that is gone, a secrets backend that is down: the page still has the summary.
        except Exception as error:
            log.info("The runs of %s cannot be read: %s", owner.key, error)
            batch.notice = self._pause(owner, f"The connection {owner.conn_id!r} cannot be read here.")
        finally:
            self._settle(batch)

    async def _ask(self, owner: Owner, batch: _Batch) -> None:
        # Airflow's way to a connection may block, and does in the API server.
        hook = await asyncio.to_thread(_opened, owner)
        service = hook.service()
        put, close = hook.async_asker()

        async def one(key: tuple[str, RunId], future: asyncio.Future[Json | None]) -> None:
            async with self._slots:
                try:
                    run = (await put(service.fetch(key[1]))).value
                except ServiceFault as fault:
                    if fault.kind not in (FaultKind.NOT_FOUND, FaultKind.REFUSED, FaultKind.CONFLICT):
                        raise
                    batch.notice = "The service does not know some of the runs any more."
                    return
            detail = await asyncio.to_thread(run_detail, run)
            self._keep(key, run, detail)
            future.set_result(detail)

        try:
            async with asyncio.TaskGroup() as group:
                for key, future in batch.own.items():
                    group.create_task(one(key, future))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await close()

    def _settle(self, batch: _Batch) -> None:
        for key, future in batch.own.items():
            self._under_way.pop(key, None)
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
        return shown


def _opened(owner: Owner) -> ServiceHook:
    """The owner's hook with its connection read."""
    hook = owner.hook(owner.conn_id)
    if owner.team is None:
        _ = hook.connection
    else:
        hook.use(connection_of_team(owner.conn_id, owner.team))
    return hook


def _explained(fault: ServiceFault) -> str:
    if fault.kind is FaultKind.DENIED:
        return "The service rejected the connection's API key, so only the summary is shown."
    if fault.kind is FaultKind.RATE_LIMITED:
        return "The service is rate-limiting requests, so only the summary is shown."
    return "The service does not answer at the moment, so only the summary is shown."
