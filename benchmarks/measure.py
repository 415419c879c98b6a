"""One measurement: one contender waits for a number of runs, in a window of several poll intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.figures import percentile
from benchmarks.stage import DiedError, OverdueError, Stage, WorkerProcess
from benchmarks.timeline import ENDING, Timeline


@dataclass(frozen=True)
class Setting:
    """The settings of a measurement; all durations in seconds.

    :param interval: the poll interval of every trigger, and the period over which the triggers are started.
    :param intervals: the length of the window in poll intervals.
    :param start_limit: the time limit, beyond one interval, for starting the triggers.
    :param grace: the time limit for the last events after the window.
    """

    interval: float = 5.0
    intervals: int = 5
    start_limit: float = 150.0
    grace: float = 20.0

    @property
    def window(self) -> float:
        """The length of the window."""
        return self.interval * self.intervals


@dataclass(frozen=True)
class Measurement:
    """What waiting for `count` runs cost a contender within the window.

    :param connections: connections in use at any time in the window, new or kept alive.
    :param opened: connections opened in the window, each with a TLS handshake.
    :param traffic: bytes on the wire in both directions, TLS included.
    :param cpu: CPU-seconds, user and system.
    :param memory: the growth of the peak memory in bytes while the triggers ran.
    :param median: the median delay in seconds from a run's end to its event; a missing event counts as infinite.
    :param p99: the 99th percentile of the same delay.
    :param ended: runs that ended in the window.
    :param missed: runs that ended, but whose event did not come within the grace period.
    :param failed: triggers that raised, reported a failure, or reported an end before it happened.
    :param pause: the longest time in seconds that the event loop was blocked.
    :param server: the share of one core that the server used; near 1, the server is the bottleneck.
    :param others: cores that other processes used, which disturbs the measurement.
    :param note: why there is no measurement; all numbers are 0 then.
    """

    contender: str
    count: int
    requests: int = 0
    connections: int = 0
    opened: int = 0
    traffic: int = 0
    cpu: float = 0.0
    memory: int = 0
    median: float = 0.0
    p99: float = 0.0
    ended: int = 0
    missed: int = 0
    failed: int = 0
    pause: float = 0.0
    server: float = 0.0
    others: float = 0.0
    note: str = ""


def measure(
    stage: Stage, contender: Contender, count: int, setting: Setting, profile: Path | None = None
) -> Measurement:
    """Measure one contender; if it cannot start in time, the result has a note instead of numbers."""
    with (
        stage.server(contender.name, count) as (server, port),
        stage.contender(
            contender, count, port, interval=setting.interval, spread=setting.interval, profile=profile
        ) as triggers,
    ):
        limit = setting.interval + setting.start_limit
        try:
            triggers.answer(limit)
        except OverdueError:
            return Measurement(contender.name, count, note=f"did not start {count} triggers in {limit:g} s")
        except DiedError as error:
            return Measurement(contender.name, count, note=str(error))
        return _watch(server, triggers, contender, count, setting)


def _watch(
    server: WorkerProcess, triggers: WorkerProcess, contender: Contender, count: int, setting: Setting
) -> Measurement:
    # By then, every trigger of a contender that keeps up has polled at least once.
    begin = time.monotonic() + setting.interval + 1
    end = begin + setting.window
    timeline = Timeline(count)
    leaving = timeline.schedule(begin, end)
    server.order("schedule", begin=begin, end=end, ending=ENDING)
    server.answer(setting.interval)
    server.order("window", begin=begin, end=end)
    triggers.order("window", begin=begin, end=end)
    spent = triggers.answer(setting.window + 2 * setting.interval + setting.grace)
    counted = server.answer(setting.grace)["window"]
    triggers.order("await", events=len(leaving), until=end + setting.grace)
    triggers.answer(2 * setting.grace)
    triggers.order("report")
    report = triggers.answer(setting.grace)
    outcome = judge(timeline, leaving, report)
    return Measurement(
        contender=contender.name,
        count=count,
        requests=counted["requests"],
        connections=counted["connections"],
        opened=counted["opened"],
        traffic=counted["bytes_in"] + counted["bytes_out"],
        cpu=spent["cpu"],
        memory=report["memory"],
        pause=spent["pause"],
        server=counted["cpu"] / setting.window,
        others=max(0.0, spent["machine"] - spent["cpu"] - counted["cpu"]) / setting.window,
        **outcome,
    )


def judge(timeline: Timeline, leaving: Sequence[int], report: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the reported events with the real ends of the runs."""
    delays = dict.fromkeys(leaving, math.inf)
    failed = len(report["failures"])
    for number, at, succeeded in report["events"]:
        delay = at - timeline.ends[number]
        if not succeeded or delay < 0:
            failed += 1
        else:
            delays[number] = min(delays.get(number, math.inf), delay)
    values = list(delays.values())
    return {
        "median": percentile(values, 50),
        "p99": percentile(values, 99),
        "ended": len(values),
        "missed": values.count(math.inf),
        "failed": failed,
    }
