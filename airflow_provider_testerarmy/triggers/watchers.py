"""Finds the watcher for a trigger: there is one for each connection in each event loop."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from airflow_provider_testerarmy import metrics
from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited
from airflow_provider_testerarmy.runs.awaiting.watcher import Watcher, WatcherClosed
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.triggers.hint_queue import QueueReaders
from airflow_provider_testerarmy.triggers.hint_reader import HintReader

#: The maximum number of watchers that one wait uses, in case they are cancelled.
WATCHERS: Final = 20
#: Seconds between the end of one watcher and the use of the next.
PAUSE: Final = 0.5


@dataclass(slots=True)
class _LoopWatchers:
    """The watchers of one event loop.

    :param watchers: the watchers by connection.
    :param held: the time until which ``Retry-After`` forbids requests, by connection, in monotonic seconds.
    """

    watchers: dict[tuple[Any, ...], Watcher] = field(default_factory=dict)
    held: dict[Hashable, float] = field(default_factory=dict)
    reader: HintReader = field(init=False)
    queues: QueueReaders = field(init=False)

    def __post_init__(self) -> None:
        self.reader = HintReader(self.by_connection)
        self.queues = QueueReaders(self.by_connection)

    def by_connection(self) -> list[tuple[str, Watcher]]:
        """The connection id of each watcher in use."""
        return [(conn_id, each) for (_, conn_id, *_), each in self.watchers.items() if not each.closed]

    def forget_ended(self) -> None:
        """Remove watchers that have ended, but keep their ``Retry-After`` for the next ones."""
        now = time.monotonic()
        for key in [key for key, watcher in self.watchers.items() if watcher.closed]:
            self.held[key] = self.watchers.pop(key).held_until
        self.held = {key: until for key, until in self.held.items() if until > now}


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopWatchers] = WeakKeyDictionary()


async def wait_together(
    hook: Any, run_ids: Sequence[RunId], pace: Pace, report: Callable[[str], None], batch_id: str = ""
) -> Waited:
    """Wait with the watcher of the hook's connection, or with a new one if it is cancelled.

    :raises WatcherClosed: if that happens :data:`WATCHERS` times.
    """
    with (
        _counted(hook.service().vendor, len(run_ids)),
        metrics.span("testerarmy.wait", run_ids=list(run_ids)),
    ):
        for _ in range(WATCHERS):
            try:
                return await watcher_of(hook).wait(run_ids, pace, report, batch_id)
            except WatcherClosed:
                await asyncio.sleep(PAUSE)
        return await watcher_of(hook).wait(run_ids, pace, report, batch_id)


#: The number of runs that this process waits for, by service.
_waiting: Counter[str] = Counter()


@contextmanager
def _counted(service: str, runs: int) -> Iterator[None]:
    _change(service, runs)
    try:
        yield
    finally:
        _change(service, -runs)


def _change(service: str, by: int) -> None:
    _waiting[service] += by
    metrics.set_to(metrics.RUNS_WAITING, _waiting[service], service=service)


def _record_lag(service: str, seconds: float) -> None:
    metrics.took(metrics.POLL_LAG, seconds, service=service)


def watcher_of(hook: Any) -> Watcher:
    """The watcher for a hook's connection in the running event loop; it ends when its last waiter leaves.

    A changed connection gets another watcher. Waiters with the old key keep theirs.

    :param hook: a :class:`~airflow_provider_testerarmy.hooks.base.ServiceHook` whose connection is loaded.
    """
    loop_watchers = _by_loop.setdefault(asyncio.get_running_loop(), _LoopWatchers())
    key = (hook.path, hook.conn_id, hook.endpoint, hook.max_requests_per_second)
    loop_watchers.forget_ended()
    if key not in loop_watchers.watchers:
        # Other triggers may run during this call, and one of them may add a watcher. Reading a connection's extra
        # asks the triggerer's parent process to mask secrets. Airflow lets even synchronous code yield to the event
        # loop for that (with greenback, https://github.com/apache/airflow/pull/55799).
        put, close = hook.async_asker()
        held_until = loop_watchers.held.get(key, 0.0)
        made = Watcher(
            hook.service(),
            put,
            close,
            per_second=hook.max_requests_per_second,
            grows=hook.rate_grows,
            held_until=held_until,
            lag=partial(_record_lag, hook.service().vendor),
        )
        loop_watchers.forget_ended()
        loop_watchers.watchers.setdefault(key, made)
        loop_watchers.reader.ensure()
        loop_watchers.queues.ensure(hook.conn_id, hook.hints_queue)
    return loop_watchers.watchers[key]
