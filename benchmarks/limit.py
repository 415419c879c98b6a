"""Measures waiting for many runs at a server with a low rate limit: no event may be lost."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import OURS
from benchmarks.measure import judge
from benchmarks.stage import DiedError, OverdueError, Stage, WorkerProcess
from benchmarks.timeline import Timeline


@dataclass(frozen=True)
class LimitSetting:
    """The settings of the measurement; all durations in seconds.

    :param count: the number of runs to wait for.
    :param start_limit: the time limit for starting the triggers.
    :param rate: the requests per second that the server accepts.
    :param ending: the share of the runs that end while the limit is in force.
    :param over: the period over which they end.
    :param patience: the time limit for their events after that period.
    :param rest: the time limit for the events of all other runs, which end when the limit is lifted.
    """

    count: int = 2000
    rate: float = 5.0
    interval: float = 5.0
    start_limit: float = 150.0
    ending: float = 0.1
    over: float = 30.0
    patience: float = 90.0
    rest: float = 60.0


@dataclass(frozen=True)
class Limited:
    """The result of the measurement.

    :param ended: runs that ended while the limit was in force.
    :param missed: runs, out of all, whose event never came.
    :param failed: triggers, out of all, that raised or reported anything but success.
    :param requests: requests under the limit, since the triggers were started.
    :param refused: requests that got a 429.
    :param seconds: the time from the first end under the limit to the last event of those runs; infinite if one
        never came.
    :param cpu: CPU-seconds while those runs ended.
    """

    count: int
    rate: float
    ended: int = 0
    missed: int = 0
    failed: int = 0
    requests: int = 0
    refused: int = 0
    median: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0
    note: str = ""


def limited(stage: Stage, setting: LimitSetting) -> Limited:
    """Measure this provider's trigger under the rate limit."""
    with stage.server(OURS.name, setting.count) as (server, port):
        server.order("limit", rate=setting.rate)
        server.answer(setting.interval)
        with stage.contender(
            OURS, setting.count, port, interval=setting.interval, spread=setting.interval
        ) as triggers:
            try:
                triggers.answer(setting.start_limit)
                return _watch(server, triggers, setting)
            except (DiedError, OverdueError) as error:
                return Limited(setting.count, setting.rate, note=str(error))


def _watch(server: WorkerProcess, triggers: WorkerProcess, setting: LimitSetting) -> Limited:
    begin = time.monotonic() + setting.interval + 1
    timeline = Timeline(setting.count)
    end = begin + setting.over
    first = timeline.schedule(begin, end, setting.ending)
    server.order("schedule", begin=begin, end=end, ending=setting.ending)
    server.answer(setting.interval)
    triggers.order("window", begin=begin, end=end)
    spent = triggers.answer(2 * setting.over + setting.patience)
    triggers.order("await", events=len(first), until=end + setting.patience)
    triggers.answer(2 * setting.patience)
    server.order("count")
    counted = server.answer(setting.patience)
    server.order("limit", rate=None)
    server.answer(setting.interval)
    lifted = time.monotonic()
    timeline.schedule(lifted, lifted + setting.interval, 1.0)
    server.order("schedule", begin=lifted, end=lifted + setting.interval, ending=1.0)
    server.answer(setting.interval)
    triggers.order("await", events=setting.count, until=lifted + setting.interval + setting.rest)
    triggers.answer(2 * setting.rest)
    triggers.order("report")
    report = triggers.answer(setting.rest)
    under = judge(timeline, first, {"failures": [], "events": _of(report["events"], first, lifted)})
    whole = judge(timeline, range(setting.count), report)
    last = max((at for _number, at, _ok in _of(report["events"], first, lifted)), default=begin)
    return Limited(
        setting.count,
        setting.rate,
        ended=len(first),
        missed=whole["missed"],
        failed=whole["failed"],
        requests=counted["requests"],
        refused=counted["refused"],
        median=under["median"],
        seconds=math.inf if under["missed"] else last - begin,
        cpu=spent["cpu"],
    )


def _of(events: list[tuple[int, float, bool]], numbers: list[int], until: float) -> list[Any]:
    wanted = set(numbers)
    return [event for event in events if event[0] in wanted and event[1] <= until]
