from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock


def test_manual_clock_stands_still():
    """Without `advance`, a manual clock never moves."""
    clock = SandboxClock(manual=True, start=100.0)
    assert clock.time() == clock.time() == 100.0


def test_advance_moves_by_sandbox_seconds():
    """`advance` adds exactly its seconds."""
    clock = SandboxClock(manual=True, start=100.0)
    clock.advance(2.5)
    assert clock.now() == datetime.fromtimestamp(102.5, UTC)


def test_speed_multiplies_real_time():
    """At a great speed, real microseconds are sandbox seconds."""
    clock = SandboxClock(speed=900_000, start=0.0)
    before = clock.time()
    while clock.time() == before:
        pass
    assert clock.time() > before


def test_skew_shifts_the_clock():
    """A skewed clock is ahead of the machine's by the skew."""
    assert SandboxClock(manual=True, start=100.0, skew=-30).time() == 70.0


def test_stopping_keeps_the_time():
    """A clock that is stopped stays where it was, and goes on from there."""
    clock = SandboxClock(start=100.0)
    clock.set_manual(True)
    stopped = clock.time()
    assert stopped >= 100.0
    assert clock.time() == stopped


@pytest.mark.parametrize("speed", [0, -1, 1e9, float("nan")])
def test_impossible_speeds_are_refused(speed):
    """The speed must be positive, so that time never stops or runs backwards."""
    with pytest.raises(ValueError, match="speed"):
        SandboxClock(speed)


def test_clock_never_goes_back():
    """A negative advance is refused."""
    with pytest.raises(ValueError, match="forward"):
        SandboxClock(manual=True).advance(-1)
