"""Reads hints from message queues with Airflow's common messaging provider, each queue in a thread of its own.

A thread, because the triggers of message queues connect, subscribe and read connections with blocking calls. In the
triggerer's event loop, a broker that does not respond would block all other triggers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from contextvars import Context
from typing import Any, Final

from airflow_provider_testerarmy.airflow_compat.features import QUEUE_HINTS
from airflow_provider_testerarmy.hooks.deliveries import queued_runs
from airflow_provider_testerarmy.runs.awaiting.hints import hint_key
from airflow_provider_testerarmy.runs.awaiting.watcher import Watcher
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.triggers.hint_brokers import open_queue

log = logging.getLogger(__name__)

#: Seconds between two messages: at most 100 per second.
PAUSE: Final = 0.01
#: Seconds before the first and between later attempts after faults.
AFTER_FAULT: Final = (5.0, 300.0)
#: Seconds between two checks whether the queue is still needed.
CHECK_EVERY: Final = 1.0
#: Seconds for which no more messages are logged that name no run.
QUIET: Final = 300.0

#: The watchers of a queue, with the id of the connection of each.
Users = Callable[[], Iterable[tuple[str, Watcher]]]


class QueueReader:
    """Reads one queue until it has no more watchers. It never fails anything: without it, runs are polled as usual.

    :param settings: the arguments of the trigger.
    :param users: returns the watchers; called in the event loop.
    :param open_queue: makes the trigger.
    """

    def __init__(
        self, settings: Mapping[str, Any], users: Users, open_queue: Callable[[Mapping[str, Any]], Any]
    ) -> None:
        self._settings = dict(settings)
        self._users = users
        self._open_queue = open_queue
        self._loop = asyncio.get_running_loop()
        self._conn_ids: tuple[str, ...] = ()
        self._faults = 0
        self._quiet_until = 0.0
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._reading: asyncio.Task[None] | None = None
        self._stopped = threading.Event()

    async def run(self) -> None:
        """Read while there are watchers."""
        thread = threading.Thread(target=self._work, name="testerarmy hints", daemon=True)
        self._conn_ids = tuple(conn_id for conn_id, _ in self._users())
        thread.start()
        try:
            while users := list(self._users()):
                self._conn_ids = tuple(conn_id for conn_id, _ in users)
                await asyncio.sleep(CHECK_EVERY)
        finally:
            self._stop()

    def _stop(self) -> None:
        # A thread in a blocking call ends after it. It is a daemon, so it holds up nothing.
        self._stopped.set()
        if self._own_loop is not None and self._reading is not None:
            # The thread may have ended.
            with suppress(RuntimeError):
                self._own_loop.call_soon_threadsafe(self._reading.cancel)

    # -- in the event loop of the watchers

    def _hear(self, keys: Mapping[str, list[str]]) -> None:
        for conn_id, watcher in self._users():
            watcher.hear(keys.get(conn_id, ()), conn_id)

    def _stop_hearing(self) -> None:
        for _, watcher in self._users():
            watcher.stop_hearing()

    # -- in the thread

    def _work(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._read())

    async def _read(self) -> None:
        from asgiref.sync import ThreadSensitiveContext

        self._own_loop, self._reading = asyncio.get_running_loop(), asyncio.current_task()
        # Without this, a blocking call of the trigger would hold up those of all other triggers of the process.
        async with ThreadSensitiveContext():
            while not self._stopped.is_set():
                try:
                    await self._read_once()
                    await asyncio.sleep(PAUSE)
                except Exception as error:
                    await asyncio.sleep(self._note_fault(error))

    async def _read_once(self) -> None:
        """Run the trigger. Those of most brokers end after one message, or one batch."""
        trigger = self._open_queue(self._settings)
        try:
            async with aclosing(trigger.run()) as events:
                async for event in events:
                    if self._stopped.is_set():
                        return
                    self._faults = 0
                    self._pass_on(event.payload)
                    await asyncio.sleep(PAUSE)
        finally:
            # Airflow's trigger for all brokers does not pass this on to the one that it uses.
            for each in (getattr(trigger, "trigger", None), trigger):
                if (clean_up := getattr(each, "cleanup", None)) is not None:
                    await clean_up()

    def _pass_on(self, message: Any) -> None:
        run_ids = queued_runs(message)
        if not run_ids:
            now = asyncio.get_running_loop().time()
            if now >= self._quiet_until:
                self._quiet_until = now + QUIET
                log.warning(
                    "A message of the queue of hints names no run, or is too large. It has no effect."
                )
            return
        keys = {conn_id: [hint_key(conn_id, each) for each in run_ids] for conn_id in self._conn_ids}
        self._call(self._hear, keys)

    def _note_fault(self, error: Exception) -> float:
        """Log the first fault, let polls go on as usual, and return the seconds until the next attempt."""
        first, longest = AFTER_FAULT
        self._faults += 1
        if self._faults == 1:
            text = f"{type(error).__name__}: {error}"
            if isinstance(error, ImportError):
                text += "; install airflow-provider-testerarmy[queue] and the provider of the broker"
            log.warning(
                "The queue of hints cannot be read (%s). Runs are polled at their usual interval.",
                one_line(text, 400),
            )
        self._call(self._stop_hearing)
        return min(longest, first * 2.0 ** (self._faults - 1))

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The event loop of the watchers has ended.
            self._stopped.set()


class QueueReaders:
    """One reader for each queue, whatever the number of connections and tasks.

    :param watchers: returns the connection id and the watcher of each connection in use.
    :param open_queue: makes the trigger of a queue.
    """

    def __init__(self, watchers: Users, open_queue: Callable[[Mapping[str, Any]], Any] = open_queue) -> None:
        self._watchers = watchers
        self._open_queue = open_queue
        self._queue_of: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ensure(self, conn_id: str, settings: Mapping[str, Any] | None) -> None:
        """Read a connection's queue, if it has one, as long as the connection has a watcher."""
        if settings is None:
            self._queue_of.pop(conn_id, None)
            return
        if not QUEUE_HINTS.available:
            log.warning(
                "hints_queue of the connection %r needs Airflow %s. Runs are polled at their usual interval.",
                conn_id,
                QUEUE_HINTS.version,
            )
            return
        key = json.dumps(settings, sort_keys=True)
        self._queue_of[conn_id] = key
        self._tasks = {name: task for name, task in self._tasks.items() if not task.done()}
        if key not in self._tasks:
            reader = QueueReader(settings, lambda: self._users(key), self._open_queue)
            # It works for all tasks. In an empty context, its log lines go to no task's log.
            self._tasks[key] = asyncio.create_task(reader.run(), context=Context())

    def _users(self, key: str) -> list[tuple[str, Watcher]]:
        return [
            (conn_id, watcher) for conn_id, watcher in self._watchers() if self._queue_of.get(conn_id) == key
        ]
