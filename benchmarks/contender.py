"""One contender at work, as a process of its own: many triggers in one event loop, as in Airflow's triggerer.

It answers orders (lines of JSON on its standard input) from a second thread, because a trigger may block the loop.
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

#: The descriptor of the pipe to who started this process; its standard output belongs to Airflow and the providers.
ANSWERS = int(os.environ.get("BENCHMARK_ANSWERS", "1"))
_SLICE = 0.1


@dataclass
class Ledger:
    """What happened, for the report.

    :param events: the number of a run, the monotonic time of its event, and whether it told of success.
    :param failures: the number of a run, and how its trigger broke.
    :param pauses: the longest time in which the loop could run nothing else, within the window.
    """

    events: list[tuple[int, float, bool]] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)


class Triggers:
    """The triggers of one contender in this process's loop.

    :param spread: seconds over which they are started, one by one.
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
        """Start all triggers, tell so, and let them run until the process is ended."""
        watch = asyncio.create_task(self._watch_the_loop())
        began = time.monotonic()
        for number in range(self._count):
            ahead = began + self._spread * number / self._count - time.monotonic()
            await asyncio.sleep(max(0.0, ahead))
            trigger = self._class(**self._contender.arguments(number, self._interval))
            self._tasks.append(asyncio.create_task(self._run_one(number, trigger)))
        tell(answers, {"started": self._count, "seconds": time.monotonic() - began})
        await asyncio.gather(*self._tasks, watch)

    async def _run_one(self, number: int, trigger: Any) -> None:
        try:
            await _prepare_task()
            async for event in trigger.run():
                told = time.monotonic()
                self._ledger.events.append((number, told, self._contender.succeeded(event.payload)))
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


async def _prepare_task() -> None:
    """What Airflow's triggerer does for every trigger, so that it may call synchronous code of the SDK."""
    try:
        greenback = importlib.import_module("greenback")
    except ImportError:
        return
    await greenback.ensure_portal()


class Orders(threading.Thread):
    """Does what the benchmark asks, whatever the event loop is doing."""

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
        """Obey until the last order or the end of the standard input, then end the process."""
        for line in sys.stdin:
            order = json.loads(line)
            getattr(self, f"_{order.pop('do')}")(**order)
        os._exit(0)

    def _window(self, begin: float, end: float) -> None:
        """Measure CPU time between two moments."""
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
        # A loop that is blocked cannot even note that it is.
        last = max((moment for moment, _length in self._ledger.pauses), default=begin)
        pause = max([*pauses, min(end, time.monotonic()) - last - _SLICE])
        everybody = spent if all_before is None or all_after is None else all_after - all_before
        tell(self._answers, {"cpu": spent, "machine": everybody, "pause": pause})

    def _await(self, events: int, until: float) -> None:
        """Wait until so many triggers are done, but not for ever."""
        while len(self._ledger.events) + len(self._ledger.failures) < events and time.monotonic() < until:
            time.sleep(_SLICE)
        tell(self._answers, {"done": len(self._ledger.events) + len(self._ledger.failures)})

    def _report(self) -> None:
        grown = usage.peak_memory() - self._baseline
        report = {"events": self._ledger.events, "failures": self._ledger.failures, "memory": grown}
        tell(self._answers, report)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def tell(answers: TextIO, what: dict[str, Any]) -> None:
    """Write one line to who started this process."""
    answers.write(json.dumps(what) + "\n")
    answers.flush()


async def compete(contender: Contender, given: argparse.Namespace) -> None:
    """Run the contender's triggers."""
    answers = os.fdopen(ANSWERS, "w")
    ledger = Ledger()
    triggers = Triggers(contender, given.count, given.interval, given.spread, ledger)
    _warm_up()
    gc.collect()
    usage.forget_peak_memory()
    Orders(answers, ledger, asyncio.get_running_loop(), given.profile).start()
    await triggers.run(answers)
    await asyncio.Event().wait()


def _warm_up() -> None:
    """What a triggerer has loaded once it has run any trigger: the registry of providers."""
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_hooks()


def main() -> None:
    """Read the command line and compete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--spread", type=float, required=True)
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    # A triggerer sends log lines to a file; here nobody's are written, the chatty are spared that.
    logging.disable(logging.INFO)
    asyncio.run(compete(CONTENDERS[given.name], given))


if __name__ == "__main__":
    main()
