"""The two processes of the part `push` beside the service: `waiters` has the triggers, `endpoint` takes webhooks.

Both take commands as lines of JSON on standard input, and reply on a pipe, as :mod:`benchmarks.contender` does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import usage
from benchmarks.contender import ANSWERS, prepare_task, reply
from benchmarks.push_store import change_file, read_file

#: The connection of each vendor.
CONNECTIONS = {"testerarmy": "push_testerarmy", "docket": "push_docket"}
HOOKS = {
    "testerarmy": "airflow_provider_testerarmy.hooks.testerarmy.TesterArmyHook",
    "docket": "airflow_provider_testerarmy.hooks.docket.DocketHook",
}


class Orders(threading.Thread):
    """Handles commands until standard input ends, then ends the process."""

    def __init__(self, events: list[tuple[str, Any, float, bool]]) -> None:
        super().__init__(daemon=True)
        self._answers = os.fdopen(ANSWERS, "w")
        self._events = events
        self._baseline = 0

    def say(self, **what: Any) -> None:
        """Reply."""
        reply(self._answers, what)

    def run(self) -> None:
        """Handle commands."""
        for line in sys.stdin:
            getattr(self, f"_{json.loads(line)['do']}")()
        os._exit(0)

    def _mark(self) -> None:
        usage.reset_peak_memory()
        self._baseline = usage.peak_memory()
        self.say(cpu=usage.cpu_seconds())

    def _report(self) -> None:
        self.say(events=self._events, memory=usage.peak_memory() - self._baseline, cpu=usage.cpu_seconds())


async def wait(runs: dict[str, list[tuple[Any, str]]], interval: float) -> None:
    """Run a trigger for each run; the runs are ids with the id of their batch, by vendor."""
    from airflow_provider_testerarmy.airflow_compat import hint_variable
    from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger

    # There is no parent process that could read a Variable.
    hint_variable.get_variable = read_file  # type: ignore[attr-defined]
    events: list[tuple[str, Any, float, bool]] = []
    orders = Orders(events)

    async def one(vendor: str, run_id: Any, batch_id: str) -> None:
        await prepare_task()
        trigger = AwaitRunsTrigger(
            HOOKS[vendor], CONNECTIONS[vendor], [run_id], batch_id=batch_id, poll_interval=interval
        )
        async for event in trigger.run():
            done = event.payload["end"] == "finished"
            events.append((vendor, run_id, time.monotonic(), done))
        await trigger.cleanup()

    tasks = [
        asyncio.create_task(one(vendor, run_id, batch_id))
        for vendor, listed in runs.items()
        for run_id, batch_id in listed
    ]
    orders.start()
    orders.say(started=len(tasks))
    await asyncio.gather(*tasks)
    await asyncio.Event().wait()


async def take(port: int) -> None:
    """Serve the plugin's application with its endpoint for webhooks."""
    import uvicorn

    from airflow_provider_testerarmy.ui import app as module
    from airflow_provider_testerarmy.ui.webhooks import Deliveries, HintBuffer

    module.deliveries = Deliveries(HintBuffer(change_file))
    server = uvicorn.Server(uvicorn.Config(module.app, port=port, log_level="warning", access_log=False))
    orders = Orders([])
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    orders.start()
    orders.say(started=1)
    await serving


def main() -> None:
    """Read the command line and run the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["waiters", "endpoint"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--interval", type=float, default=10.0)
    given = parser.parse_args()
    # As in benchmarks.contender: nothing is logged.
    logging.disable(logging.INFO)
    if given.part == "endpoint":
        asyncio.run(take(given.port))
    else:
        asyncio.run(wait(json.loads(given.runs.read_text(encoding="utf-8")), given.interval))


if __name__ == "__main__":
    main()
