"""Which watcher a trigger waits with: one for each connection in each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_testerarmy.runs.awaiting.watcher import Watcher

_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Watcher]] = WeakKeyDictionary()


def watcher_of(hook: Any) -> Watcher:
    """The watcher for a hook's connection in the running event loop; it ends with the last one who waits.

    A connection that has been changed gets another one: who waits with the old key goes on with it.

    :param hook: a :class:`~airflow_provider_testerarmy.hooks.base.ServiceHook` whose connection is loaded.
    """
    watchers = _watchers.setdefault(asyncio.get_running_loop(), {})
    key = (hook.path, hook.conn_id, hook.endpoint, hook.max_requests_per_second)
    _forget_ended(watchers)
    if key not in watchers:
        # In Airflow's triggerer other triggers can have their turn in here: reading a connection's extra asks the
        # triggerer's parent process to mask secrets, and even synchronous code gives way for that.
        put, close = hook.async_asker()
        made = Watcher(hook.service(), put, close, per_second=hook.max_requests_per_second)
        _forget_ended(watchers)
        watchers.setdefault(key, made)
    return watchers[key]


def _forget_ended(watchers: dict[Hashable, Watcher]) -> None:
    for ended in [key for key, watcher in watchers.items() if watcher.closed]:
        del watchers[ended]
