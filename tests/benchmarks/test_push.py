"""How the part `push` judges what it has measured."""

from __future__ import annotations

import math

from benchmarks.push import Pushed, Stormed, _judge, _World, tables

ENDS = {("docket", 1): 100.0, ("docket", 2): 110.0, ("testerarmy", "a"): 105.0}
RUNS = {"docket": [(1, "9"), (2, "9"), (3, "9")], "testerarmy": [("a", "")]}


def judge(events, vendor="docket"):
    return _judge(_World(None, RUNS, dict(ENDS)), "push", vendor, [*ENDS], events, 7)


def test_a_delay_is_from_the_end_to_the_event():
    found = judge([("docket", 1, 101.0, True), ("docket", 2, 113.0, True), ("testerarmy", "a", 150.0, True)])
    assert (found.median, found.p99) == (1.0, 3.0)
    assert (found.ended, found.runs, found.requests, found.missed, found.early) == (2, 3, 7, 0, 0)


def test_an_event_that_never_comes_is_lost():
    found = judge([("docket", 1, 101.0, True), ("docket", 2, 111.0, False)])
    assert (found.missed, found.p99) == (1, math.inf)


def test_an_event_before_its_end_is_early():
    assert judge([("docket", 1, 99.0, True)]).early == 1
    assert judge([("docket", 3, 120.0, True)]).early == 1


def test_the_tables():
    found = Pushed("push", "docket", 500, 100, 1234, 1.0, 1.5, 0, 0)
    polls, storm = tables([found], Stormed(10_000, 9_000, 60.0, 2.0, 2.5, 0, (0, 1024 * 1024)))
    assert polls.rows == [("docket", "push", "500", "100", "1,234", "1.00", "1.50", "0", "0")]
    assert dict(storm.rows)["memory of the endpoint"] == "1.0 MiB more"
    assert dict(storm.rows)["requests per second with them"] == "2.50"
