"""Which watcher a trigger waits with: one for each connection in each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_testerarmy.runs.watcher import Watcher

_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Watcher]] = WeakKeyDictionary()


def watcher_of(hook: Any) -> Watcher:
    """The watcher for a hook's connection in the running event loop; it ends with the last one who waits.

    A connection that has been changed gets another one: who waits with the old key goes on with it.

    :param hook: a :class:`~airflow_provider_testerarmy.hooks.base.ServiceHook` whose connection is loaded.
    """
    watchers = _watchers.setdefault(asyncio.get_running_loop(), {})
    for ended in [key for key, watcher in watchers.items() if watcher.closed]:
        del watchers[ended]
    key = (hook.path, hook.conn_id, hook.endpoint, hook.max_requests_per_second)
    if key not in watchers:
        put, close = hook.async_asker()
        watchers[key] = Watcher(hook.service(), put, close, per_second=hook.max_requests_per_second)
    return watchers[key]
