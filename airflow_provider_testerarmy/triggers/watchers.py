"""Finds the watcher for a trigger: there is one for each connection in each event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.wait_end import Waited
from airflow_provider_testerarmy.runs.awaiting.watcher import Watcher, WatcherClosed
from airflow_provider_testerarmy.runs.results import RunId

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

    watchers: dict[Hashable, Watcher] = field(default_factory=dict)
    held: dict[Hashable, float] = field(default_factory=dict)

    def forget_ended(self) -> None:
        """Remove watchers that have ended, but keep their ``Retry-After`` for the next ones."""
        now = time.monotonic()
        for key in [key for key, watcher in self.watchers.items() if watcher.closed]:
            self.held[key] = self.watchers.pop(key).held_until
        self.held = {key: until for key, until in self.held.items() if until > now}


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopWatchers] = WeakKeyDictionary()


async def wait_together(
    hook: Any, run_ids: Sequence[RunId], pace: Pace, report: Callable[[str], None]
) -> Waited:
    """Wait with the watcher of the hook's connection, or with a new one if it is cancelled.

    :raises WatcherClosed: if that happens :data:`WATCHERS` times.
    """
    for _ in range(WATCHERS):
        try:
            return await watcher_of(hook).wait(run_ids, pace, report)
        except WatcherClosed:
            await asyncio.sleep(PAUSE)
    return await watcher_of(hook).wait(run_ids, pace, report)


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
            hook.service(), put, close, per_second=hook.max_requests_per_second, held_until=held_until
        )
        loop_watchers.forget_ended()
        loop_watchers.watchers.setdefault(key, made)
    return loop_watchers.watchers[key]
