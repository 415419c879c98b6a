"""Measures waiting with hints against waiting without, and what a storm of forged hints costs.

One process has the triggers, one the endpoint for webhooks, and this one the sandbox, which sends the webhooks of
both vendors. A file takes the place of Airflow's Variable; see :mod:`benchmarks.push_store`.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINT_ENDLESS
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import TEST_ENDLESS
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest
from airflow_provider_testerarmy.sandbox.webhooks import WebhookSender
from benchmarks.figures import percentile
from benchmarks.push_store import FILE
from benchmarks.push_worker import CONNECTIONS
from benchmarks.stage import OUTPUT, WorkerProcess, airflow_environment, clean_environment
from benchmarks.tables import Table

INTERVAL = 10.0
#: Seconds before the window, in which the first ends prove that hints come, and seconds of the windows.
WARM_UP, WINDOW = 30.0, 60.0
#: The shares of the runs that end while warming up, and in the window.
WARMING, ENDING = 0.1, 0.2
STORM = 10_000
#: The forged deliveries that are sent at once.
WIDTH = 8
#: Seconds for the last events after the window, and for a process to answer.
AFTER = 75.0
PATIENCE = 120.0
_SECRET = "a-part-of-the-address-0123456789"  # noqa: S105
_SIGNING = "6b657920666f722074686520776562686f6f6b732e"
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Pushed:
    """The result for one vendor and mode; durations in seconds.

    :param requests: requests within the window.
    :param missed: runs that ended without an event.
    :param early: events before the end of their run.
    """

    mode: str
    vendor: str
    runs: int
    ended: int
    requests: int
    median: float
    p99: float
    missed: int
    early: int


@dataclass(frozen=True)
class Stormed:
    """What forged hints about runs of TesterArmy cost; only requests to TesterArmy are counted.

    :param accepted: forged deliveries that the endpoint took.
    :param seconds: the duration of the storm.
    :param quiet: requests per second without them.
    :param stormy: requests per second with them.
    :param verdicts: events that came in it, although no run ended.
    :param memory: the growth of the peak memory in bytes, of the waiting process and of the endpoint.
    """

    sent: int
    accepted: int
    seconds: float
    quiet: float
    stormy: float
    verdicts: int
    memory: tuple[int, int]


@dataclass
class _World:
    """The service, its runs, and when they ended."""

    service: SandboxServer
    runs: dict[str, list[tuple[Any, str]]]
    ends: dict[tuple[str, Any], float] = field(default_factory=dict)

    def end(self, vendor: str, run_id: Any) -> None:
        """Let a run pass."""
        self.ends[vendor, run_id] = time.monotonic()
        if vendor == "docket":
            self.service.control.docket.force(run_id, "passed")
        else:
            self.service.control.store.force(run_id, status="completed")

    def end_some(self, share: float, seconds: float) -> list[tuple[str, Any]]:
        """Let a share of each vendor's active runs end at random moments of this period."""
        draw = random.Random(len(self.ends))  # noqa: S311
        chosen = [
            (vendor, run_id)
            for vendor, listed in self.runs.items()
            for run_id, _ in draw.sample(
                [each for each in listed if (vendor, each[0]) not in self.ends],
                math.ceil(share * len(listed)),
            )
        ]
        draw.shuffle(chosen)
        begin, moments = time.monotonic(), sorted(draw.uniform(0, seconds) for _ in chosen)
        for (vendor, run_id), moment in zip(chosen, moments, strict=True):
            time.sleep(max(0.0, begin + moment - time.monotonic()))
            self.end(vendor, run_id)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        return chosen

    def requests(self, vendor: str) -> int:
        """The requests to a vendor so far."""
        counts = self.service.control.log.counts()
        return sum(
            number for name, number in counts.items() if name.startswith("docket_") == (vendor == "docket")
        )


def push(count: int) -> tuple[list[Pushed], Stormed]:
    """Wait for this many runs, half of each vendor's, without and with hints; then let the storm come."""
    with _world(count, hints=False) as (world, waiters, _):
        found = _measure(world, waiters, "poll")
    with _world(count, hints=True) as (world, waiters, endpoint):
        found += _measure(world, waiters, "push")
        return found, _storm(world, waiters, endpoint)


@contextmanager
def _world(count: int, *, hints: bool) -> Iterator[tuple[_World, WorkerProcess, tuple[WorkerProcess, str]]]:
    with TemporaryDirectory() as folder, SandboxServer(Sandbox()) as service:
        sandbox = service.control
        test = sandbox.store.catalog.tests[TEST_ENDLESS]
        armies = [sandbox.store.submit_test(test, RunRequest()) for _ in range(count // 2)]
        groups = [sandbox.docket.submit([BLUEPRINT_ENDLESS]) for _ in range(count - count // 2)]
        runs: dict[str, list[tuple[Any, str]]] = {
            "testerarmy": [(run.id, "") for run in armies],
            "docket": [(run.id, str(group.id)) for group in groups for run in group.runs],
        }
        listed = Path(folder) / "runs.json"
        listed.write_text(json.dumps(runs), encoding="utf-8")
        settings = _environment(service, Path(folder) / "hints.json" if hints else None)
        port = _free_port()
        address = f"http://127.0.0.1:{port}/hooks"
        urls = {
            "testerarmy": f"{address}/{CONNECTIONS['testerarmy']}/{_SECRET}",
            "docket": f"{address}/{CONNECTIONS['docket']}",
        }
        endpoint = _process("endpoint", settings, "--port", str(port))
        waiters = _process("waiters", settings, "--runs", str(listed), "--interval", str(INTERVAL))
        try:
            endpoint.answer(PATIENCE)
            waiters.answer(PATIENCE)
            with WebhookSender(
                sandbox,
                docket_secret=_SIGNING,
                testerarmy_url=urls["testerarmy"] if hints else "",
                docket_url=urls["docket"] if hints else "",
            ):
                yield _World(service, runs), waiters, (endpoint, urls["testerarmy"])
        finally:
            waiters.stop()
            endpoint.stop()


def _measure(world: _World, waiters: WorkerProcess, mode: str) -> list[Pushed]:
    world.end_some(WARMING, WARM_UP)
    before = {vendor: world.requests(vendor) for vendor in world.runs}
    chosen = world.end_some(ENDING, WINDOW)
    requests = {vendor: world.requests(vendor) - before[vendor] for vendor in world.runs}
    time.sleep(AFTER)
    events = _events(waiters)
    return [_judge(world, mode, vendor, chosen, events, requests[vendor]) for vendor in world.runs]


def _events(waiters: WorkerProcess) -> list[tuple[str, Any, float, bool]]:
    waiters.order("report")
    return [tuple(event) for event in waiters.answer(PATIENCE)["events"]]


def _judge(
    world: _World,
    mode: str,
    vendor: str,
    chosen: Sequence[tuple[str, Any]],
    events: Sequence[tuple[str, Any, float, bool]],
    requests: int,
) -> Pushed:
    seen = {run_id: at for name, run_id, at, finished in events if name == vendor and finished}
    delays = [
        seen.get(run_id, math.inf) - world.ends[name, run_id] for name, run_id in chosen if name == vendor
    ]
    early = sum(at < world.ends.get((vendor, run_id), math.inf) for run_id, at in seen.items())
    return Pushed(
        mode,
        vendor,
        runs=len(world.runs[vendor]),
        ended=len(delays),
        requests=requests,
        median=percentile(delays, 50),
        p99=percentile(delays, 99),
        missed=delays.count(math.inf),
        early=early,
    )


def _storm(world: _World, waiters: WorkerProcess, endpoint: tuple[WorkerProcess, str]) -> Stormed:
    """Send forged hints about all active runs by somebody who knows the secret part of the address."""
    process, url = endpoint
    active = [run_id for run_id, _ in world.runs["testerarmy"] if ("testerarmy", run_id) not in world.ends]
    events = len(_events(waiters))
    before = world.requests("testerarmy")
    time.sleep(WINDOW)
    quiet = (world.requests("testerarmy") - before) / WINDOW
    for each in (waiters, process):
        each.order("mark")
        each.answer(PATIENCE)
    before, began = world.requests("testerarmy"), time.monotonic()
    accepted = asyncio.run(_forge(url, active))
    time.sleep(max(0.0, began + WINDOW - time.monotonic()))
    seconds = time.monotonic() - began
    stormy = (world.requests("testerarmy") - before) / seconds
    grown = []
    for each in (waiters, process):
        each.order("report")
        grown.append(int(each.answer(PATIENCE)["memory"]))
    verdicts = len(_events(waiters)) - events
    return Stormed(STORM, accepted, seconds, quiet, stormy, verdicts, (grown[0], grown[1]))


async def _forge(url: str, run_ids: Sequence[str]) -> int:
    draw = random.Random(7)  # noqa: S311
    left = iter([draw.choice(run_ids) for _ in range(STORM)])
    began = time.monotonic()
    statuses: list[int] = []

    async def send(client: httpx.AsyncClient) -> None:
        for run_id in left:
            # Spread over the window, or most are refused by the endpoint's own limit.
            await asyncio.sleep(max(0.0, began + WINDOW * len(statuses) / STORM - time.monotonic()))
            answer = await client.post(url, json={"id": run_id, "status": "completed"})
            statuses.append(answer.status_code)

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        await asyncio.gather(*(send(client) for _ in range(WIDTH)))
    return statuses.count(202)


def tables(found: Sequence[Pushed], stormed: Stormed) -> list[Table]:
    """The results as tables."""
    headings = (
        "service",
        "how",
        "runs",
        "ended",
        "requests",
        "delay median s",
        "delay p99 s",
        "lost",
        "early",
    )
    rows = [
        (
            one.vendor,
            one.mode,
            f"{one.runs:,}",
            str(one.ended),
            f"{one.requests:,}",
            f"{one.median:.2f}",
            f"{one.p99:.2f}",
            str(one.missed),
            str(one.early),
        )
        for one in sorted(found, key=lambda one: (one.vendor, one.mode))
    ]
    facts = [
        ("forged deliveries, of them accepted", f"{stormed.sent:,}, {stormed.accepted:,}"),
        ("changed verdicts", str(stormed.verdicts)),
        ("duration", f"{stormed.seconds:.0f} s"),
        ("requests per second without them", f"{stormed.quiet:.2f}"),
        ("requests per second with them", f"{stormed.stormy:.2f}"),
        ("memory of the waiting process", f"{stormed.memory[0] / _MIB:.1f} MiB more"),
        ("memory of the endpoint", f"{stormed.memory[1] / _MIB:.1f} MiB more"),
    ]
    return [
        Table("Polling and hints", headings, rows),
        Table("A storm of forged hints", ("what", "measured"), facts),
    ]


def _environment(service: SandboxServer, hints: Path | None) -> dict[str, str]:
    connections = {
        "testerarmy": {"host": service.url, "extra": {"webhook_secret": _SECRET}},
        "docket": {"host": service.docket_url, "extra": {"webhook_secret": _SIGNING}},
    }
    named = {
        f"AIRFLOW_CONN_{CONNECTIONS[vendor].upper()}": json.dumps(
            {"conn_type": vendor, "password": DEFAULT_API_KEY, **fields}
        )
        for vendor, fields in connections.items()
    }
    hints_on = {"AIRFLOW__TESTERARMY__PUSH_HINTS": str(hints is not None), FILE: str(hints or "")}
    return clean_environment() | airflow_environment(OUTPUT / "airflow") | named | hints_on


def _process(part: str, environment: dict[str, str], *options: str) -> WorkerProcess:
    command = ["-m", "benchmarks.push_worker", part, *options]
    return WorkerProcess(command, environment, OUTPUT / "logs" / f"push-{part}.log")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
