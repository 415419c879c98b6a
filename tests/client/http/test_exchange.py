"""The limits of one exchange, with a test clock."""

from __future__ import annotations

import asyncio
import threading

import pytest

from airflow_provider_testerarmy.client.http.exchange import MAX_HEAD_BYTES, Exchange, current_exchange


class Clock:
    """Time that the test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_each_step_has_what_is_left(clock):
    """A step's own time-out counts when it is shorter."""
    exchange = Exchange(60, clock)
    assert (exchange.within(30), exchange.within(90), exchange.within(None)) == (30, 60, 60)
    clock.now += 45
    assert (exchange.within(30), exchange.within(5), exchange.expired) == (15, 5, False)
    clock.now += 15
    assert (exchange.left(), exchange.within(None), exchange.expired) == (0, 0, True)
    clock.now += 1000
    assert exchange.left() == 0


def test_a_head_has_a_limit_and_a_body_none_here():
    """Pieces of a head are small, those of a body are as large as the reader wants."""
    exchange = Exchange(60)
    assert exchange.piece(65536) == 4096
    assert exchange.received(MAX_HEAD_BYTES)
    assert not exchange.received(1)
    exchange.head_complete()
    assert exchange.piece(65536) == 65536
    assert exchange.received(10**9)


def test_an_exchange_belongs_to_one_thread():
    """Another thread has none, or its own."""
    seen = []
    with Exchange(60).current() as exchange:
        assert current_exchange() is exchange
        other = threading.Thread(target=lambda: seen.append(current_exchange()))
        other.start()
        other.join()
    assert (seen, current_exchange()) == ([None], None)


def test_an_exchange_belongs_to_one_task():
    """Tasks of one loop take turns and do not mix theirs up."""

    async def one(total):
        with Exchange(total).current():
            await asyncio.sleep(0)
            return current_exchange().total

    async def both():
        return await asyncio.gather(one(1), one(2))

    assert asyncio.run(both()) == [1, 2]


def test_the_loop_gets_a_turn_when_one_is_due(clock):
    """It does not yield too often, because each time costs time."""

    async def turns(seconds):
        exchange, others = Exchange(60, clock), []
        clock.now += seconds
        asyncio.get_running_loop().call_soon(others.append, 1)
        await exchange.yield_to_loop()
        return len(others)

    assert asyncio.run(turns(0.001)) == 0
    assert asyncio.run(turns(0.1)) == 1
