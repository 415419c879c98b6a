"""Many who wait in one event loop, and the one poller that serves them all; the service is in memory."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from airflow_provider_testerarmy.runs.awaiting.pace import Pace
from airflow_provider_testerarmy.runs.awaiting.watcher import Watcher, WatcherClosed
from airflow_provider_testerarmy.runs.awaiting.watchlist import WIDTH, WaitEnd
from airflow_provider_testerarmy.runs.service import FaultKind
from tests.runs.account import Account
from tests.runs.scripted import Answered, Port, fault, transient

PACE = Pace(poll_interval=0.02, max_outage=600)
TASK = ContextVar("TASK", default="nobody")


class Office:
    """A watcher on an account, and what it did with its client."""

    def __init__(self, **options):
        self.account = Account()
        self.closed = 0
        self.under_way = 0
        self.most = 0
        self.lines = []
        self._asked = asyncio.Event()
        self.watcher = Watcher(Port(), self.put, self.close, **options)

    async def put(self, question):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            return Answered(self.account.answer(question))
        finally:
            self.under_way -= 1
            self._asked.set()

    async def close(self):
        self.closed += 1

    def wait(self, *run_ids, pace=PACE):
        return asyncio.create_task(self.watcher.wait(run_ids, pace, self.lines.append))

    async def until_asked(self, times=1):
        """Until a run, or a list, was asked for so many times more."""
        wanted = self.account.count() + times
        while self.account.count() < wanted:
            self._asked.clear()
            await self._asked.wait()


def asynchronous(test):
    """Run a test in an event loop of its own; a test that hangs fails."""

    def run():
        async def bounded():
            async with asyncio.timeout(30):
                await test()

        asyncio.run(bounded())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@asynchronous
async def test_each_learns_of_the_end_of_its_own_runs():
    """However many wait at the same time."""
    office = Office()
    office.account.start("a", "b", "c")
    first, second = office.wait("a"), office.wait("b", "c")
    await office.until_asked(3)
    office.account.end("a")
    assert set((await first).results) == {"a"}
    office.account.end("b", "c")
    waited = await second
    assert (waited.end, set(waited.results)) == (WaitEnd.FINISHED, {"b", "c"})


@asynchronous
async def test_the_last_one_out_closes_the_client():
    """And nothing is asked from then on."""
    office = Office()
    office.account.start("a", "b")
    first, second = office.wait("a"), office.wait("b")
    await office.until_asked()
    office.account.end("a")
    await first
    assert (office.closed, office.watcher.closed) == (0, False)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (office.closed, office.watcher.closed) == (1, True)
    asked = office.account.count()
    await asyncio.sleep(0.1)
    assert (office.account.count(), office.under_way) == (asked, 0)


@asynchronous
async def test_a_closed_watcher_takes_nobody_in():
    """Whoever comes then needs another one."""
    office = Office()
    assert (await office.wait()).end is WaitEnd.FINISHED
    with pytest.raises(WatcherClosed):
        await office.wait("a")


@asynchronous
async def test_what_the_poller_dies_of_reaches_everybody():
    """Nobody is left waiting for a poller that is gone."""
    office = Office()
    office.account.start("a", "b")
    waits = [office.wait("a"), office.wait("b")]
    await office.until_asked(2)

    def explode(_question):
        raise ZeroDivisionError("a bug")

    office.account.trouble = explode
    for wait in waits:
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await wait
    assert (office.closed, office.watcher.closed) == (1, True)


@asynchronous
async def test_a_denied_key_ends_every_wait():
    office = Office()
    office.account.start("a", "b")
    waits = [office.wait("a"), office.wait("b")]
    await office.until_asked(2)
    office.account.trouble = lambda _question: fault(FaultKind.DENIED)
    assert [(await wait).end for wait in waits] == [WaitEnd.DENIED] * 2


@asynchronous
async def test_somebody_new_does_not_wait_for_the_next_round():
    """The poller is woken."""
    office = Office()
    office.account.start("old", "new")
    old = office.wait("old", pace=Pace(poll_interval=3600))
    await office.until_asked()
    office.account.end("new")
    assert (await office.wait("new")).end is WaitEnd.FINISHED
    old.cancel()


@asynchronous
async def test_an_outage_ends_each_wait_by_its_own_measure():
    """Though the service is asked for all of them together."""
    office = Office()
    office.account.start("a", "b")
    office.account.trouble = lambda _question: transient()
    short, long = office.wait("a", pace=Pace(0.02, 0.2)), office.wait("b")
    waited = await short
    assert waited.end is WaitEnd.UNAVAILABLE
    assert any("the wait goes on" in line for line in office.lines)
    office.account.trouble = lambda _question: None
    office.account.end("b")
    assert (await long).end is WaitEnd.FINISHED


@asynchronous
async def test_a_deadline_ends_one_wait_and_no_other():
    office = Office()
    office.account.start("a", "b")
    loop = office.watcher._clock
    hasty, patient = office.wait("a", pace=Pace(0.02, 600, loop() + 0.1)), office.wait("b")
    assert (await hasty).end is WaitEnd.DEADLINE
    assert not patient.done()
    patient.cancel()


@asynchronous
async def test_no_more_questions_are_under_way_than_there_are_connections():
    """However many runs are due at the same time."""
    office = Office()
    office.watcher._watch._service.active_statuses = ()
    ids = [f"run-{number}" for number in range(300)]
    office.account.start_many(ids)
    waits = [office.wait(run_id) for run_id in ids]
    await office.until_asked(300)
    office.account.end(*ids)
    assert {waited.end for waited in await asyncio.gather(*waits)} == {WaitEnd.FINISHED}
    assert 1 < office.most <= WIDTH


@asynchronous
async def test_progress_is_told_by_the_line():
    """Each who waits hears of its own runs, and of the end in any case."""
    office = Office()
    office.account.start("a", "b")
    wait = office.wait("a", "b")
    await office.until_asked(4)
    office.account.end("a", "b")
    await wait
    assert office.lines[-1] == "2/2 finished: 2 passed"
    assert len(office.lines) == len(set(office.lines))


@asynchronous
async def test_everybody_is_told_in_a_context_of_their_own():
    """By the context Airflow knows whose log a line belongs to; the poller is nobody's."""
    office = Office()
    office.account.start("a", "b")
    told, asked_by = [], set()

    def note_the_asker(_question):
        asked_by.add(TASK.get())

    async def wait(task, run_id):
        TASK.set(task)
        await office.watcher.wait([run_id], PACE, lambda line: told.append((TASK.get(), line)))

    office.account.trouble = note_the_asker
    waits = [asyncio.create_task(wait(task, run_id)) for task, run_id in (("first", "a"), ("second", "b"))]
    await office.until_asked(2)
    office.account.end("a")
    await waits[0]
    office.account.end("b")
    await waits[1]
    assert {task for task, _ in told} == {"first", "second"}
    assert [task for task, line in told if "1 passed" in line] == ["first", "second"]
    assert asked_by == {"nobody"}
