"""Reads hints that runs have ended, for all watchers of an event loop together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import Context
from typing import Final

from airflow_provider_testerarmy.airflow_compat.hint_variable import are_hints_on, aread_hints
from airflow_provider_testerarmy.runs.awaiting.hint_ring import new_hints, parse_ring
from airflow_provider_testerarmy.runs.awaiting.watcher import Watcher
from airflow_provider_testerarmy.runs.text import one_line

log = logging.getLogger(__name__)

#: Seconds between the beginnings of two reads. In a triggerer of Airflow 3.3.2, 29 of 30 reads took under 0.1 s.
EVERY: Final = 1.0
#: The time limit of a read in seconds. The first read of a triggerer took 20 s.
WITHIN: Final = 30.0
#: Seconds after a failed read.
AFTER_FAULT: Final = 15.0


class HintReader:
    """Reads once a second while there are watchers, whatever their number. It never fails anything.

    :param watchers: returns the connection id and the watcher of each connection in use.
    :param read: reads the stored hints.
    """

    def __init__(
        self,
        watchers: Callable[[], Iterable[tuple[str, Watcher]]],
        read: Callable[[], Awaitable[str | None]] = aread_hints,
    ) -> None:
        self._watchers = watchers
        self._read = read
        self._known: Mapping[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def ensure(self) -> None:
        """Start reading, if the deployment takes hints."""
        if (self._task is None or self._task.done()) and are_hints_on():
            # It works for all tasks. In an empty context, its log lines go to no task's log.
            self._task = asyncio.create_task(self._run(), context=Context())

    async def _run(self) -> None:
        failed = False
        loop = asyncio.get_running_loop()
        while watchers := list(self._watchers()):
            began = loop.time()
            try:
                async with asyncio.timeout(WITHIN):
                    ring = parse_ring(await self._read())
            except Exception as error:
                for _, watcher in watchers:
                    watcher.stop_hearing()
                if not failed:
                    log.warning(
                        "Hints cannot be read (%s). Runs are polled at their usual interval.",
                        one_line(f"{type(error).__name__}: {error}", 300),
                    )
                failed = True
                await asyncio.sleep(AFTER_FAULT)
                continue
            failed = False
            keys, self._known = new_hints(self._known, ring), ring
            for conn_id, watcher in self._watchers():
                watcher.hear(keys, conn_id)
            await asyncio.sleep(max(0.0, EVERY - (loop.time() - began)))
