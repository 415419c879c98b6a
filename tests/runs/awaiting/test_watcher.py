"""Many waiters in one event loop share one poller; the service is in memory."""

from __future__ import annotations

import asyncio
import time
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


class Hurried:
    """A monotonic clock that is so many times faster."""

    def __init__(self, times):
        self._times = times

    def __call__(self):
        return time.monotonic() * self._times


class Office:
    """A watcher on an account, and what it did with its client."""

    def __init__(self, **options):
        self.account = Account()
        self.closed = 0
        self.under_way = 0
        self.most = 0
        self.lines = []
        self._asked = asyncio.Event()
        #: What each answer says that the service still allows.
        self.allowed = None
        self.watcher = Watcher(Port(), self.put, self.close, **options)

    async def put(self, question):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            return Answered(self.account.answer(question), requests_per_second=self.allowed)
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
    """Every wait ends when the poller does."""
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
    """When the service says so again, after a pause."""
    office = Office(monotonic=Hurried(10))
    office.account.start("a", "b")
    waits = [office.wait("a"), office.wait("b")]
    await office.until_asked(2)
    office.account.trouble = lambda _question: fault(FaultKind.DENIED)
    assert [(await wait).end for wait in waits] == [WaitEnd.DENIED] * 2


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_a_question_that_is_cancelled_leaves_nobody_waiting(error):
    """Every wait ends, and no waiter joins a poller that has ended."""

    @asynchronous
    async def cancelled():
        office = Office()
        office.account.start("a", "b")
        waits = [office.wait("a"), office.wait("b", pace=Pace(0.02, 600, office.watcher._clock() + 3600))]
        await office.until_asked(2)

        def cancel(_question):
            raise error

        office.account.trouble = cancel
        for wait in waits:
            with pytest.raises(WatcherClosed):
                await wait
        assert (office.closed, office.watcher.closed, office.under_way) == (1, True, 0)
        with pytest.raises(WatcherClosed):
            await office.wait("a")

    cancelled()


@pytest.mark.parametrize("began", [False, True])
def test_a_poller_that_is_cancelled_leaves_nobody_waiting(began):
    """Also before its first step."""

    @asynchronous
    async def cancelled():
        office = Office()
        office.account.start("a")
        wait = office.wait("a")
        if began:
            await office.until_asked()
        await asyncio.sleep(0)
        office.watcher._poller.cancel()
        with pytest.raises(WatcherClosed):
            await wait
        assert office.watcher.closed

    cancelled()


@asynchronous
async def test_a_log_that_cannot_be_written_to_concerns_its_own_task():
    """The other waiters get their results."""
    office = Office()
    office.account.start("a", "b")

    def broken(_line):
        raise OSError("the disk is full")

    mine = asyncio.create_task(office.watcher.wait(["a"], PACE, broken))
    other = office.wait("b")
    with pytest.raises(OSError, match="the disk is full"):
        await mine
    office.account.end("b")
    assert (await other).end is WaitEnd.FINISHED


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, RecursionError, OverflowError])
def test_an_answer_that_cannot_be_read_ends_nobodys_wait(error):
    """Only this request counts as failed."""

    @asynchronous
    async def odd():
        office = Office()
        office.account.start("a", "b")
        left = [error("odd")]

        def trouble(_question):
            if left:
                raise left.pop()

        office.account.trouble = trouble
        waits = [office.wait("a"), office.wait("b")]
        await office.until_asked(2)
        office.account.end("a", "b")
        assert [(await wait).end for wait in waits] == [WaitEnd.FINISHED] * 2

    odd()


@asynchronous
async def test_a_wall_clock_that_is_set_back_changes_no_interval():
    """Only deadlines go by it."""
    wall = [1e9]
    office = Office(clock=lambda: wall[0])
    office.account.start("a")
    wait = office.wait("a")
    await office.until_asked(2)
    wall[0] -= 3600
    await office.until_asked(3)
    office.account.end("a")
    assert (await wait).end is WaitEnd.FINISHED


@asynchronous
async def test_a_wall_clock_that_is_set_forward_meets_deadlines():
    wall = [1e9]
    office = Office(clock=lambda: wall[0])
    office.account.start("a")
    wait = office.wait("a", pace=Pace(0.02, 600, 1e9 + 3600))
    await office.until_asked(2)
    wall[0] += 3600
    assert (await wait).end is WaitEnd.DEADLINE


@asynchronous
async def test_two_thousand_waits_that_end_together_let_others_have_their_turn():
    """Each of them writes to a log."""
    office = Office(monotonic=Hurried(50))
    office.account.trouble = lambda _question: transient()
    waits = [office.wait(f"run-{number}", pace=Pace(1, 100)) for number in range(2000)]
    everybody = asyncio.gather(*waits)
    await office.until_asked()
    longest, before = 0.0, time.thread_time()
    while not everybody.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    assert {waited.end for waited in await everybody} == {WaitEnd.UNAVAILABLE}
    # Seconds of CPU, because the machine may be busy.
    assert longest < 0.05


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
    assert any("Waiting continues" in line for line in office.lines)
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
    """Each waiter gets reports about its own runs, and always about the end."""
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
    """Airflow finds a line's log by the context; the poller's context belongs to no task."""
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


@asynchronous
async def test_a_service_with_room_is_asked_faster():
    """At the cap of one request in 50 s, this test would not end in time."""
    office = Office(per_second=0.02, grows=True)
    office.allowed = 1000
    office.account.start("a", "b", "c")
    waits = [office.wait(run_id) for run_id in ("a", "b", "c")]
    await office.until_asked(3)
    office.account.end("a", "b", "c")
    assert {(await wait).end for wait in waits} == {WaitEnd.FINISHED}
