"""The stream of ended runs that all event triggers of a connection share in a triggerer."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, Final
from weakref import WeakKeyDictionary

from airflow_provider_testerarmy.airflow_compat.event_triggers import SharedStreamProducer
from airflow_provider_testerarmy.runs.awaiting.watcher import WatcherClosed
from airflow_provider_testerarmy.runs.events.cursor import Cursor
from airflow_provider_testerarmy.runs.events.model import EventService
from airflow_provider_testerarmy.runs.events.sweep import Need, Sweep, sweep
from airflow_provider_testerarmy.runs.flow import adrive
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.triggers.watchers import watcher_of

log = logging.getLogger(__name__)

#: The minimum of seconds between two sweeps. Triggers that start one after another share the next one.
BETWEEN: Final = 1.0
#: Seconds for which a sweep is delivered again while a trigger has reported only a part of it.
REUSE: Final = 60.0
#: The first and the longest pause in seconds after a failed sweep; it doubles each time.
AFTER_FAULT: Final = (2.0, 60.0)
#: Seconds before the connection is read again after its key was rejected.
AFTER_DENIAL: Final = 30.0
#: Seconds between two warnings about an outage.
WARN_EVERY: Final = 300.0


@dataclass(eq=False, slots=True)
class Member:
    """An event trigger that takes part in a stream.

    :param poll_interval: seconds between two sweeps that suffice for it.
    :param since: the earliest creation time that it needs without a cursor; None for *from now on*.
    :param cursor: where it is; None before its first sweep.
    :param behind: whether it needs the next sweep soon.
    :param late: whether it has reported only a part of the last sweep.
    """

    poll_interval: float
    since: float | None = None
    cursor: Cursor | None = None
    behind: bool = True
    late: bool = False

    @property
    def floor(self) -> float:
        """The creation time from which it needs runs; infinite if it has no cursor and reports from now on."""
        if self.cursor is not None:
            return self.cursor.floor
        return float("inf") if self.since is None else self.since

    @property
    def open_ids(self) -> frozenset[RunId]:
        """The runs that it needs one by one."""
        return frozenset() if self.cursor is None else frozenset((*self.cursor.open, *self.cursor.announced))


@dataclass(slots=True)
class Members:
    """The event triggers of a connection in this event loop."""

    members: set[Member] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def join(self, member: Member) -> None:
        """Add a trigger; the next sweep follows soon."""
        self.members.add(member)
        self.changed.set()

    def leave(self, member: Member) -> None:
        """Remove a trigger."""
        self.members.discard(member)

    def need(self) -> Need:
        """What all of them need together."""
        return Need(
            min(member.floor for member in self.members),
            any(member.cursor is None for member in self.members),
            frozenset().union(*(member.open_ids for member in self.members)),
        )

    @property
    def late(self) -> bool:
        """Whether one of them has reported only a part of the last sweep, and all have taken part in it."""
        return any(member.late for member in self.members) and not self.changed.is_set()

    def pause(self) -> float:
        """Seconds until the next sweep."""
        if any(member.behind or member.late for member in self.members):
            return BETWEEN
        return max(BETWEEN, min((member.poll_interval for member in self.members), default=BETWEEN))


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Members]] = WeakKeyDictionary()


def members_of(key: Hashable) -> Members:
    """The triggers with this key in the running event loop."""
    return _by_loop.setdefault(asyncio.get_running_loop(), {}).setdefault(key, Members())


@dataclass(frozen=True, slots=True)
class Delivery:
    """A sweep in the stream.

    :param number: its number, starting at 1.
    :param confirmed: returns the number of the last sweep all of whose events are stored in Airflow's database.
    """

    sweep: Sweep
    number: int
    confirmed: Callable[[], int]


class RunStream(SharedStreamProducer):
    """Sweeps the service's runs for all members, and remembers which sweeps Airflow has finished.

    It never ends and never raises an error, because Airflow would fail all of its triggers.

    :param hook: the import path of the vendor's hook class.
    :param conn_id: the Airflow connection.
    """

    def __init__(self, hook: str, conn_id: str) -> None:
        self._hook_path = hook
        self._conn_id = conn_id
        self._confirmed = 0
        self._last: tuple[Sweep | None, float] = (None, 0.0)
        self._faults = 0
        self._warned_at = -WARN_EVERY

    async def open_stream(self) -> AsyncIterator[tuple[Delivery, int]]:
        """Yield each sweep with its number."""
        members = members_of((self._hook_path, self._conn_id))
        number = 0
        async with AsyncExitStack() as visit:
            put: Callable[[Any], Awaitable[Any]] | None = None
            service: Any = None
            while True:
                if not members.members:
                    await self._wait(members, BETWEEN)
                    continue
                try:
                    if put is None:
                        put, service = await self._enter(visit)
                    found = await self._sweep(service, members, put)
                except Exception as error:
                    # Any other fault than a rejected key leaves the client in use.
                    if not isinstance(error, ServiceFault) or error.kind is FaultKind.DENIED:
                        put = None
                        await visit.aclose()
                    await asyncio.sleep(self._failed(error))
                    continue
                self._recovered()
                number += 1
                yield Delivery(found, number, lambda: self._confirmed), number
                await self._wait(members, members.pause())

    async def _enter(self, visit: AsyncExitStack) -> tuple[Callable[[Any], Awaitable[Any]], EventService]:
        hook = resolve_name(self._hook_path)(self._conn_id)
        await hook.aload()
        return await visit.enter_async_context(watcher_of(hook).visit()), hook.service()

    async def _sweep(
        self, service: EventService, members: Members, put: Callable[[Any], Awaitable[Any]]
    ) -> Sweep:
        last, read_at = self._last
        # A walk through thousands of runs takes hundreds of requests, and they are reported 200 at a time.
        if last is not None and members.late and time.monotonic() - read_at < REUSE:
            return last
        members.changed.clear()
        found = await adrive(sweep(service, members.need(), time.time()), put, asyncio.sleep)
        if found.cut:
            log.warning(
                "The list of runs at %s does not end. Older runs that ended are not reported.", service.vendor
            )
        self._last = (found, time.monotonic())
        return found

    async def _wait(self, members: Members, seconds: float) -> None:
        """Wait for the next sweep; a new member shortens the wait."""
        await asyncio.sleep(BETWEEN)
        if seconds > BETWEEN:
            try:
                await asyncio.wait_for(members.changed.wait(), (seconds - BETWEEN) * random.uniform(0.9, 1))  # noqa: S311
            except TimeoutError:
                return

    def _failed(self, error: Exception) -> float:
        """Log a fault, but not each one; return the seconds to wait."""
        now = time.monotonic()
        denied = isinstance(error, ServiceFault) and error.kind is FaultKind.DENIED
        if now - self._warned_at >= WARN_EVERY and not isinstance(error, WatcherClosed):
            self._warned_at = now
            log.warning(
                "The runs of connection %r cannot be listed (%s). Events are late until it works again.%s",
                self._conn_id,
                one_line(f"{type(error).__name__}: {error}", 500),
                " Check the API key." if denied else "",
            )
        first, most = AFTER_FAULT
        seconds = AFTER_DENIAL if denied else min(most, first * 2.0 ** min(self._faults, 10))
        self._faults += 1
        return seconds

    def _recovered(self) -> None:
        if self._faults:
            log.info("The runs of connection %r can be listed again.", self._conn_id)
        self._faults, self._warned_at = 0, -WARN_EVERY

    async def advance(self, batch: Sequence[Any]) -> None:
        """Called by Airflow when the events of these sweeps are stored.

        Airflow stops a trigger whose events were not stored in time. It starts again with its stored cursor, which
        repeats them.
        """
        self.confirm(max(item.broker_payload for item in batch))

    def confirm(self, number: int) -> None:
        """Take all sweeps up to this one as finished."""
        self._confirmed = max(self._confirmed, number)
