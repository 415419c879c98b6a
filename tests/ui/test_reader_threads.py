"""Reads that never return block their own threads only."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from airflow_provider_testerarmy.ui.reader_threads import Readers


@pytest.fixture
def pipe(tmp_path):
    """A named pipe: reading it hangs, like a hung mount, until the test ends."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    yield path
    # Opening the pipe for writing releases every reader that still waits.
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.close(writer)


def hang(path: Path) -> bytes:
    return path.read_bytes()


def threads() -> int:
    return sum(thread.name == "test-run-files" for thread in threading.enumerate())


def test_a_place_that_hangs_holds_up_no_other(pipe):
    """Many reads of a place that hangs do not delay a read of another place."""

    async def scene():
        readers = Readers(threads=4, per_place=2, seconds=0.3)
        before = threads()
        stuck = [asyncio.create_task(readers.read("/mnt", lambda: hang(pipe), b"none")) for _ in range(9)]
        await asyncio.sleep(0)
        other = await readers.read("/disk", lambda: b"content", b"none")
        assert [await each for each in stuck] == [b"none"] * 9
        return other, await readers.read("/disk", lambda: b"more", b"none"), threads() - before

    assert asyncio.run(scene()) == (b"content", b"more", 4)


def test_a_place_that_hung_is_not_read_again_until_it_answers(pipe):
    """While a read of a place hangs, no further read starts there."""

    async def scene():
        readers = Readers(threads=2, per_place=1, seconds=0.2)
        assert await readers.read("/mnt", lambda: hang(pipe), b"none") == b"none"
        asked: list[int] = []
        assert await readers.read("/mnt", lambda: asked.append(1), None) is None
        assert asked == []
        with pipe.open("wb") as writer:
            writer.write(b"late")
        for _ in range(100):
            if await readers.read("/mnt", lambda: b"again", b"none") == b"again":
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the place is never read again")

    asyncio.run(scene())


def test_a_pool_that_is_stuck_as_a_whole_says_so_at_once(pipe):
    """When every thread hangs, a read returns at once instead of waiting for a thread."""

    async def scene():
        readers = Readers(threads=2, per_place=1, seconds=0.2)
        places = ("/a", "/b")
        await asyncio.gather(*(readers.read(place, lambda: hang(pipe), b"none") for place in places))
        readers._seconds = 60.0
        return await asyncio.wait_for(readers.read("/c", lambda: b"content", b"none"), 5)

    assert asyncio.run(scene()) == b"none"


def test_an_error_is_its_readers(tmp_path):
    """The caller gets the exception, and the thread goes on to the next read."""

    def fail():
        raise ValueError("no")

    async def scene():
        readers = Readers(threads=1)
        with pytest.raises(ValueError, match="no"):
            await readers.read("/a", fail, None)
        return await readers.read("/a", lambda: 1, 0)

    assert asyncio.run(scene()) == 1
