"""One contender in its own process: many triggers in one event loop, as in Airflow's triggerer.

A second thread handles commands (lines of JSON on standard input), because a trigger may block the event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import importlib
import json
import logging
import os
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TextIO

from benchmarks import usage
from benchmarks.contenders import CONTENDERS, Contender

#: The file descriptor of the pipe for replies; Airflow and providers print to standard output.
ANSWERS = int(os.environ.get("BENCHMARK_ANSWERS", "1"))
_SLICE = 0.1


@dataclass
class Ledger:
    """What happened in this process, for the report.

    :param events: per event, the number of the run, the monotonic time, and whether the event reports success.
    :param failures: per failed trigger, the number of the run and the traceback.
    :param pauses: how late the event loop ran its regular check: the time of the check, and the delay in seconds.
    """

    events: list[tuple[int, float, bool]] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)


class Triggers:
    """The triggers of one contender in this process's event loop.

    :param spread: the time in seconds over which the triggers are started, one by one.
    """

    def __init__(
        self, contender: Contender, count: int, interval: float, spread: float, ledger: Ledger
    ) -> None:
        self._contender = contender
        self._class = resolve_name(contender.trigger)
        self._count = count
        self._interval = interval
        self._spread = spread
        self._ledger = ledger
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, answers: TextIO) -> None:
        """Start all triggers, reply, and let them run until the process is killed."""
        watch = asyncio.create_task(self._watch_the_loop())
        began = time.monotonic()
        for number in range(self._count):
            ahead = began + self._spread * number / self._count - time.monotonic()
            await asyncio.sleep(max(0.0, ahead))
            trigger = self._class(**self._contender.arguments(number, self._interval))
            self._tasks.append(asyncio.create_task(self._run_one(number, trigger)))
        reply(answers, {"started": self._count, "seconds": time.monotonic() - began})
        await asyncio.gather(*self._tasks, watch)

    async def _run_one(self, number: int, trigger: Any) -> None:
        try:
            await prepare_task()
            async for event in trigger.run():
                at = time.monotonic()
                self._ledger.events.append((number, at, self._contender.succeeded(event.payload)))
        except Exception:
            self._ledger.failures.append((number, traceback.format_exc(limit=-2)))
        finally:
            await trigger.cleanup()

    async def _watch_the_loop(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_SLICE)
            now = time.monotonic()
            self._ledger.pauses.append((now, now - before - _SLICE))


async def prepare_task() -> None:
    """Do what Airflow's triggerer does for every trigger, so that it can call synchronous SDK code."""
    try:
        greenback = importlib.import_module("greenback")
    except ImportError:
        return
    await greenback.ensure_portal()


class Commands(threading.Thread):
    """Handles the benchmark's commands in a thread, whatever the event loop is doing."""

    def __init__(
        self, answers: TextIO, ledger: Ledger, loop: asyncio.AbstractEventLoop, profile: Path | None
    ) -> None:
        super().__init__(daemon=True)
        self._answers = answers
        self._ledger = ledger
        self._loop = loop
        self._profile = profile
        self._baseline = usage.peak_memory()

    def run(self) -> None:
        """Handle commands until standard input ends, then end the process."""
        for line in sys.stdin:
            order = json.loads(line)
            getattr(self, f"_{order.pop('do')}")(**order)
        os._exit(0)

    def _window(self, begin: float, end: float) -> None:
        """Measure the CPU time in a window of monotonic time."""
        profiler = cProfile.Profile() if self._profile else None
        _sleep_until(begin)
        if profiler:
            self._loop.call_soon_threadsafe(profiler.enable)
        before, all_before = usage.cpu_seconds(), usage.machine_seconds()
        _sleep_until(end)
        spent, all_after = usage.cpu_seconds() - before, usage.machine_seconds()
        if profiler and self._profile:
            self._loop.call_soon_threadsafe(profiler.disable)
            time.sleep(1)
            profiler.dump_stats(self._profile)
        pauses = [length for moment, length in self._ledger.pauses if begin <= moment <= end]
        # A loop that is still blocked has not recorded its pause yet.
        last = max((moment for moment, _length in self._ledger.pauses), default=begin)
        pause = max([*pauses, min(end, time.monotonic()) - last - _SLICE])
        everybody = spent if all_before is None or all_after is None else all_after - all_before
        reply(self._answers, {"cpu": spent, "machine": everybody, "pause": pause})

    def _await(self, events: int, until: float) -> None:
        """Wait until this many triggers are done, or until the deadline."""
        while len(self._ledger.events) + len(self._ledger.failures) < events and time.monotonic() < until:
            time.sleep(_SLICE)
        reply(self._answers, {"done": len(self._ledger.events) + len(self._ledger.failures)})

    def _report(self) -> None:
        grown = usage.peak_memory() - self._baseline
        report = {"events": self._ledger.events, "failures": self._ledger.failures, "memory": grown}
        reply(self._answers, report)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def reply(answers: TextIO, what: dict[str, Any]) -> None:
    """Write one line of JSON to the process that started this one."""
    answers.write(json.dumps(what) + "\n")
    answers.flush()


async def compete(contender: Contender, given: argparse.Namespace) -> None:
    """Run the contender's triggers."""
    answers = os.fdopen(ANSWERS, "w")
    ledger = Ledger()
    triggers = Triggers(contender, given.count, given.interval, given.spread, ledger)
    _warm_up()
    gc.collect()
    usage.reset_peak_memory()
    Commands(answers, ledger, asyncio.get_running_loop(), given.profile).start()
    await triggers.run(answers)
    await asyncio.Event().wait()


def _warm_up() -> None:
    """Load the provider registry, which a triggerer has loaded after its first trigger."""
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_hooks()


def main() -> None:
    """Read the command line and run the contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--spread", type=float, required=True)
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    # A triggerer writes logs to a file. Here nothing is logged, which favours contenders that log a lot.
    logging.disable(logging.INFO)
    asyncio.run(compete(CONTENDERS[given.name], given))


if __name__ == "__main__":
    main()
