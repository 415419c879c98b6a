"""The server as a process: it is told what to do by lines of JSON on its standard input, and answers likewise.

It ends when its standard input does, so it never outlives who started it.
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
from pathlib import Path
from typing import Any, Protocol

from benchmarks.server.http import Answer, Connection, Counts, Desk, Limit, Request
from benchmarks.server.peers import Airbyte, Databricks, DbtCloud
from benchmarks.server.testerarmy import TesterArmy
from benchmarks.timeline import Timeline


class Vendor(Protocol):
    """A vendor's API."""

    def respond(self, request: Request, now: float) -> Answer:
        """Answer a request at a moment of the monotonic clock."""


VENDORS: dict[str, Callable[[Timeline], Vendor]] = {
    "testerarmy": TesterArmy,
    "dbt-cloud": DbtCloud,
    "airbyte": Airbyte,
    "databricks": Databricks,
}

#: Peers open thousands of connections at once; none of them shall wait for a SYN to be sent again.
BACKLOG = 8192


class Orders:
    """What the server does when it is told to."""

    def __init__(self, desk: Desk, timeline: Timeline) -> None:
        self._desk = desk
        self._timeline = timeline
        self._tasks: set[asyncio.Task[None]] = set()

    def obey(self, order: dict[str, Any]) -> None:
        """Do one thing: ``schedule`` ends of runs, ``count``, count in a ``window``, or set a ``limit``."""
        orders: dict[str, Callable[..., None]] = {
            "schedule": self._schedule,
            "window": self._window,
            "limit": self._limit,
            "count": self._count,
        }
        orders[order.pop("do")](**order)

    def _schedule(self, begin: float, end: float, ending: float) -> None:
        self._timeline.schedule(begin, end, ending)
        tell({"scheduled": True})

    def _limit(self, rate: float | None) -> None:
        self._desk.limit = None if rate is None else Limit(rate)
        tell({"limited": rate})

    def _count(self) -> None:
        tell(self._desk.counts.copy().since(Counts()))

    def _window(self, begin: float, end: float) -> None:
        async def count() -> None:
            await asyncio.sleep(begin - time.monotonic())
            before = self._desk.counts.copy()
            await asyncio.sleep(end - time.monotonic())
            tell({"window": self._desk.counts.copy().since(before), "start-up": before.since(Counts())})

        task = asyncio.get_running_loop().create_task(count())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def tell(what: dict[str, Any]) -> None:
    """Write one line to who started the server."""
    os.write(int(os.environ.get("BENCHMARK_ANSWERS", "1")), json.dumps(what).encode() + b"\n")


async def serve(vendor: str, count: int, chain: Path, key: Path) -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    timeline = Timeline(count)
    desk = Desk(VENDORS[vendor](timeline).respond)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    # asyncio turns Nagle's algorithm off only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = await loop.create_server(
        lambda: Connection(desk), sock=listener, ssl=context, backlog=BACKLOG, ssl_handshake_timeout=120
    )
    async with server:
        tell({"port": listener.getsockname()[1]})
        await _listen(Orders(desk, timeline))


async def _listen(orders: Orders) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        orders.obey(json.loads(line))


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
