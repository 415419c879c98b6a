"""Which watcher a trigger waits with: one for each connection in each event loop."""

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

#: Watchers that one wait uses up at the most; each new one begins with what its predecessor was cancelled in.
WATCHERS: Final = 20
#: Seconds between two of them.
BREATH: Final = 0.5


@dataclass(slots=True)
class _Desk:
    """The watchers of one event loop.

    :param held: by watcher, until when a ``Retry-After`` forbids its connection to ask, in monotonic seconds.
    """

    watchers: dict[Hashable, Watcher] = field(default_factory=dict)
    held: dict[Hashable, float] = field(default_factory=dict)

    def forget_ended(self) -> None:
        """Remove watchers that have ended; what the service asked of them binds the next ones."""
        now = time.monotonic()
        for key in [key for key, watcher in self.watchers.items() if watcher.closed]:
            self.held[key] = self.watchers.pop(key).held_until
        self.held = {key: until for key, until in self.held.items() if until > now}


_desks: WeakKeyDictionary[asyncio.AbstractEventLoop, _Desk] = WeakKeyDictionary()


async def wait_together(
    hook: Any, run_ids: Sequence[RunId], pace: Pace, report: Callable[[str], None]
) -> Waited:
    """Wait with the watcher of the hook's connection, and with the next one should it be cancelled.

    :raises WatcherClosed: when that happens again and again.
    """
    for _ in range(WATCHERS):
        try:
            return await watcher_of(hook).wait(run_ids, pace, report)
        except WatcherClosed:
            await asyncio.sleep(BREATH)
    return await watcher_of(hook).wait(run_ids, pace, report)


def watcher_of(hook: Any) -> Watcher:
    """The watcher for a hook's connection in the running event loop; it ends with the last one who waits.

    A connection that has been changed gets another one: who waits with the old key goes on with it.

    :param hook: a :class:`~airflow_provider_testerarmy.hooks.base.ServiceHook` whose connection is loaded.
    """
    desk = _desks.setdefault(asyncio.get_running_loop(), _Desk())
    key = (hook.path, hook.conn_id, hook.endpoint, hook.max_requests_per_second)
    desk.forget_ended()
    if key not in desk.watchers:
        # In Airflow's triggerer other triggers can have their turn in here: reading a connection's extra asks the
        # triggerer's parent process to mask secrets, and even synchronous code gives way for that.
        put, close = hook.async_asker()
        held_until = desk.held.get(key, 0.0)
        made = Watcher(
            hook.service(), put, close, per_second=hook.max_requests_per_second, held_until=held_until
        )
        desk.forget_ended()
        desk.watchers.setdefault(key, made)
    return desk.watchers[key]
