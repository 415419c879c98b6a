"""The server process. It takes commands as lines of JSON on standard input and replies on a pipe.

It exits when standard input ends, so it never outlives the process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from benchmarks.server.http import Answer, Connection, Counts, Limit, Request, Responder
from benchmarks.server.peers import Airbyte, Databricks, DbtCloud
from benchmarks.server.starting import Starting
from benchmarks.server.testerarmy import TesterArmy
from benchmarks.timeline import Timeline


class Vendor(Protocol):
    """A vendor's API."""

    def respond(self, request: Request, now: float) -> Answer:
        """Respond to a request; `now` is monotonic time."""


VENDORS: dict[str, Callable[[Timeline], Vendor]] = {
    "testerarmy": TesterArmy,
    "dbt-cloud": partial(Starting, DbtCloud),
    "airbyte": partial(Starting, Airbyte),
    "databricks": partial(Starting, Databricks),
}

#: Peers open thousands of connections at once; with a full backlog, some would wait for a SYN retransmission.
BACKLOG = 8192


class Commands:
    """Handles the commands that the benchmark sends."""

    def __init__(self, responder: Responder, timeline: Timeline, vendor: Vendor) -> None:
        self._responder = responder
        self._vendor = vendor
        self._timeline = timeline
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, order: dict[str, Any]) -> None:
        """Handle one command: ``schedule`` or ``end`` runs, ``count``, count in a ``window``, set a ``limit``."""
        orders: dict[str, Callable[..., None]] = {
            "schedule": self._schedule,
            "end": self._end,
            "window": self._window,
            "limit": self._limit,
            "count": self._count,
        }
        orders[order.pop("do")](**order)

    def _schedule(self, begin: float, end: float, ending: float) -> None:
        self._timeline.schedule(begin, end, ending)
        reply({"scheduled": True})

    def _end(self) -> None:
        ended = self._vendor.end(time.monotonic()) if isinstance(self._vendor, Starting) else 0
        reply({"ended": ended})

    def _limit(self, rate: float | None) -> None:
        self._responder.limit = None if rate is None else Limit(rate)
        reply({"limited": rate})

    def _count(self) -> None:
        reply(self._responder.counts.copy().since(Counts()))

    def _window(self, begin: float, end: float) -> None:
        async def count() -> None:
            await asyncio.sleep(begin - time.monotonic())
            before = self._responder.counts.copy()
            await asyncio.sleep(end - time.monotonic())
            reply({"window": self._responder.counts.copy().since(before), "start-up": before.since(Counts())})

        task = asyncio.get_running_loop().create_task(count())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def reply(what: dict[str, Any]) -> None:
    """Write one line of JSON to the process that started the server."""
    os.write(int(os.environ.get("BENCHMARK_ANSWERS", "1")), json.dumps(what).encode() + b"\n")


async def serve(vendor: str, count: int, chain: Path, key: Path) -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    timeline = Timeline(count)
    served = VENDORS[vendor](timeline)
    responder = Responder(served.respond)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    # asyncio sets TCP_NODELAY only on sockets with an explicit protocol (python/cpython#148783).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = await loop.create_server(
        lambda: Connection(responder), sock=listener, ssl=context, backlog=BACKLOG, ssl_handshake_timeout=120
    )
    async with server:
        reply({"port": listener.getsockname()[1]})
        await _listen(Commands(responder, timeline, served))


async def _listen(orders: Commands) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        orders.handle(json.loads(line))


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vendor", choices=VENDORS, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--chain", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.vendor, given.count, given.chain, given.key))


if __name__ == "__main__":
    main()
