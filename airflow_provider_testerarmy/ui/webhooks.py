"""Takes webhook deliveries of the services as hints, and stores them for the triggerers.

The endpoint is open to everybody who can reach the API server, so it tells nothing: an unknown connection, a wrong
secret and an endpoint that is off have one answer. It never does what a delivery says; see
:mod:`airflow_provider_testerarmy.runs.awaiting.hints`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect

from airflow_provider_testerarmy.airflow_compat.hint_variable import are_hints_on, change_hints
from airflow_provider_testerarmy.hooks.deliveries import MAX_BODY, named_runs
from airflow_provider_testerarmy.runs.awaiting.hint_ring import MOST, add_to_ring
from airflow_provider_testerarmy.runs.awaiting.hints import hint_key
from airflow_provider_testerarmy.runs.awaiting.pace import Rate
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.ui.service import connection_hooks
from airflow_provider_testerarmy.ui.store import connection_of

log = logging.getLogger(__name__)

#: Seconds for which a connection, or that there is none, is cached.
TTL: Final = 30.0
#: The maximum number of cached names.
MOST_NAMES: Final = 256
#: The maximum length of a connection's name and of the secret part of an address.
MAX_PART: Final = 250
#: Accepted deliveries per second of one connection, and connections that are read per second.
PER_SECOND: Final = 100.0
READS_PER_SECOND: Final = 5.0
#: Seconds within which a body must arrive.
BODY_WITHIN: Final = 5.0
#: Seconds in which hints are collected before they are stored together, and attempts to store them.
COLLECT: Final = 0.2
ATTEMPTS: Final = 3

ACCEPTED, REFUSED, TOO_LARGE, TOO_MANY = 202, 404, 413, 429


class HintBuffer:
    """Collects hints and stores them together: some transactions per second, however many deliveries come.

    :param store: changes the stored hints.
    """

    def __init__(self, store: Callable[[Callable[[str | None], str]], None] = change_hints) -> None:
        self._store = store
        self._keys: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, conn_id: str, body: bytes) -> None:
        """Take the hints of a delivery. If too many wait, the oldest are lost, which delays polls at most."""
        for run_id in named_runs(body):
            self._keys[hint_key(conn_id, run_id)] = None
        while len(self._keys) > MOST:
            del self._keys[next(iter(self._keys))]
        if self._keys and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._store_soon())

    async def _store_soon(self) -> None:
        while self._keys:
            await asyncio.sleep(COLLECT)
            keys, self._keys = list(self._keys), {}
            for attempt in range(ATTEMPTS):
                try:
                    await asyncio.to_thread(self._store, lambda text: add_to_ring(text, keys, time.time()))  # noqa: B023
                    break
                except Exception as error:
                    if attempt + 1 == ATTEMPTS:
                        log.warning(
                            "Hints cannot be stored (%s). Polling goes on.", one_line(repr(error), 300)
                        )
                    await asyncio.sleep(COLLECT)


class Deliveries:
    """Decides on deliveries.

    :param buffer: takes the accepted ones.
    :param read: reads a connection; returns its hook, None if there is no such connection of this provider.
    """

    def __init__(self, buffer: HintBuffer | None = None, read: Callable[[str], Any] | None = None) -> None:
        self._buffer = buffer or HintBuffer()
        self._read = read or _read_hook
        self._hooks: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._reads = Rate(READS_PER_SECOND)
        self._rates: dict[str, Rate] = {}

    async def take(
        self, conn_id: str, part: str, headers: Mapping[str, str], chunks: AsyncIterator[bytes]
    ) -> int:
        """Take a delivery; return the status of its answer."""
        if not are_hints_on() or len(conn_id) > MAX_PART or len(part) > MAX_PART:
            return REFUSED
        body = await _body_of(chunks)
        if body is None:
            return TOO_LARGE
        hook = await self._hook(conn_id)
        try:
            accepted = hook is not None and hook.accepts_delivery(part, headers, body, time.time())
        except Exception as error:
            # For example an extra that is not a JSON object. The message may not show it.
            log.warning("The connection %r cannot verify webhooks (%s).", conn_id, type(error).__name__)
            accepted = False
        if not accepted:
            return REFUSED
        if not self._rates.setdefault(conn_id, Rate(PER_SECOND)).take(time.monotonic(), 1):
            return TOO_MANY
        self._buffer.add(conn_id, body)
        return ACCEPTED

    async def _hook(self, conn_id: str) -> Any:
        now = time.monotonic()
        read_at, hook = self._hooks.get(conn_id, (-TTL, None))
        if now - read_at < TTL:
            return hook
        # Names that somebody makes up must not read the database without limit.
        if hook is None and not self._reads.take(now, 1):
            return None
        try:
            hook = await asyncio.to_thread(self._read, conn_id)
        except Exception as error:
            log.warning("A connection for webhooks cannot be read (%s).", type(error).__name__)
        self._hooks[conn_id] = (now, hook)
        while len(self._hooks) > MOST_NAMES:
            unknown = next((name for name, (_, each) in self._hooks.items() if each is None), None)
            self._hooks.pop(unknown if unknown is not None else next(iter(self._hooks)))
        return hook


def _read_hook(conn_id: str) -> Any:
    connection = connection_of(conn_id)
    for cls in connection_hooks():
        if connection is not None and cls.conn_type == connection.conn_type:
            hook = cls(conn_id)
            hook.use(connection)
            return hook
    return None


async def _body_of(chunks: AsyncIterator[bytes]) -> bytes | None:
    """The body; None if it is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY:
                    return None
    except (TimeoutError, ClientDisconnect):
        return None
    return bytes(body)
