"""Tasks that start at once never exceed a budget together, in whatever order their steps come."""

from __future__ import annotations

import random
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.budget import ledger
from airflow_provider_testerarmy.runs.budget.entries import Entry, LedgerUnreadable, State, Sum
from airflow_provider_testerarmy.runs.budget.ledger import Book, Refused, Reserved, Wait
from airflow_provider_testerarmy.runs.budget.rule import Limits, period_of
from airflow_provider_testerarmy.runs.memory import cells
from airflow_provider_testerarmy.runs.memory.cells import WRITERS, apply
from tests.runs.memory.store import Texts

DAY = 86_400
#: 2024-12-02.
MONDAY = 20_059
TOKENS = count()


def book(day=MONDAY, per="day", pool="nightly"):
    return Book(pool, period_of(per, day * DAY), day)


def reserve(owner, runs, limit, at=None, *, seconds=None):
    return ledger.reserve(at or book(), Limits(limit, seconds), owner, runs, f"token {next(TOKENS)}")


def do(storage, steps):
    """Do the steps without anybody else."""
    answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = None if isinstance(step, Wait) else apply(storage, step)


class Task:
    """A task that reserves, one step at a time."""

    def __init__(self, owner, runs, steps):
        self.owner, self.runs, self.steps = owner, runs, steps
        self.answer = self.result = None
        self.over = False

    def step(self, storage):
        """Do one step; returns whether the task has decided to wait."""
        try:
            step = self.steps.send(self.answer)
        except StopIteration as end:
            self.over, self.result = True, end.value
            return False
        self.answer = None if isinstance(step, Wait) else apply(storage, step)
        return isinstance(step, Wait)

    @property
    def goes(self):
        return isinstance(self.result, Reserved)


def tasks(sizes, limit, at=None):
    return [Task(f"t{n}", runs, reserve(f"t{n}", runs, limit, at)) for n, runs in enumerate(sizes)]


def interleaved(storage, writers, pick):
    active = list(writers)
    while active:
        active[pick(len(active))].step(storage)
        active = [each for each in active if not each.over]


SIZES = st.lists(st.integers(1, 5), min_size=2, max_size=6)


@given(data=st.data(), sizes=SIZES, limit=st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_tasks_that_start_at_once_never_exceed_the_budget(data, sizes, limit):
    """Every order of their steps. The ledger then shows what goes."""
    storage = Texts()
    started = tasks(sizes, limit)
    interleaved(storage, started, lambda active: data.draw(st.integers(0, active - 1)))
    goes = sum(each.runs for each in started if each.goes)
    assert goes <= limit
    assert do(storage, ledger.usage(book())) == Sum(goes)


@given(seed=st.integers(0, 2**32), sizes=SIZES, limit=st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_no_budget_is_exceeded_by_tasks_that_die_settle_and_return(seed, sizes, limit):
    """Workers are lost anywhere; others start fewer runs than they have reserved, or none."""
    chance = random.Random(seed)
    storage, active = Texts(), tasks(sizes, limit)
    everybody, started = list(active), 0
    while active:
        task = chance.choice(active)
        if chance.random() < 0.01:
            active.remove(task)
            continue
        task.step(storage)
        if not task.over:
            continue
        active.remove(task)
        if task.goes and chance.random() < 0.5:
            task.runs = chance.randint(0, task.runs)
            task.steps, task.over = ledger.settle(book(), task.result, task.owner, task.runs), False
            do(storage, task.steps)
        started += task.runs if task.goes else 0
        assert started <= limit
    assert started == sum(each.runs for each in everybody if each.goes)
    assert do(storage, ledger.usage(book())).runs >= started


@given(seed=st.integers(0, 2**32), sizes=SIZES)
@settings(max_examples=300, deadline=None)
def test_one_task_goes_if_there_is_room_for_any_of_them(seed, sizes):
    """They do not refuse each other: a task waits until every other one has taken some steps."""
    chance = random.Random(seed)
    storage, started = Texts(), tasks(sizes, max(sizes))
    active, waiting = list(started), []
    while active or waiting:
        if not active:
            active, waiting = waiting, []
        task = chance.choice(active)
        waits = task.step(storage)
        if waits or task.over:
            active.remove(task)
        if waits:
            waiting.append(task)
    assert any(each.goes for each in started)


def test_two_tasks_that_see_each_other(monkeypatch):
    """Both have announced before either reads. The one with the earlier cell goes."""
    storage = Texts()
    first, second = tasks([3, 3], 5)
    for task in (first, second):
        while not any('"pending"' in text and f'"{task.owner}"' in text for text in storage.texts.values()):
            task.step(storage)
    for task in (first, second, first, second):
        while not task.over and not task.step(storage):
            pass
    assert [first.goes, second.goes] == [True, False]
    assert second.result == Refused(Sum(3))


def test_a_budget_is_used_to_its_end_and_not_beyond():
    """A task that does not fit takes no place, and a smaller one still fits."""
    storage = Texts()
    assert isinstance(do(storage, reserve("a", 6, 10)), Reserved)
    keys = set(storage.texts)
    assert do(storage, reserve("b", 5, 10)) == Refused(Sum(6))
    assert set(storage.texts) == keys
    assert isinstance(do(storage, reserve("c", 4, 10)), Reserved)
    assert do(storage, reserve("d", 1, 10)) == Refused(Sum(10))


def test_what_is_given_back_can_be_used_again():
    """The service refused the request, or started fewer runs."""
    storage = Texts()
    refused = do(storage, reserve("a", 6, 10))
    do(storage, ledger.settle(book(), refused, "a", 0))
    fewer = do(storage, reserve("b", 10, 10))
    do(storage, ledger.settle(book(), fewer, "b", 7))
    assert do(storage, ledger.usage(book())) == Sum(7)
    assert isinstance(do(storage, reserve("c", 3, 10)), Reserved)


def test_a_try_after_a_lost_worker_reserves_nothing_twice():
    """Its reservation covers the earlier one, and settling replaces both."""
    storage = Texts()
    do(storage, reserve("a", 6, 10))
    again = do(storage, reserve("a", 4, 10))
    assert (again.runs, len(again.stale), again.started) == (6, 1, 0)
    assert do(storage, reserve("b", 5, 10)) == Refused(Sum(6))
    do(storage, ledger.settle(book(), again, "a", 6))
    assert do(storage, ledger.usage(book())) == Sum(6)


def test_a_try_adds_to_what_the_one_before_has_settled():
    """Two parts were started, and one is left."""
    storage = Texts()
    do(storage, ledger.settle(book(), do(storage, reserve("a", 3, 10)), "a", 2))
    again = do(storage, reserve("a", 1, 3))
    assert (again.runs, again.stale, again.started) == (1, (), 2)
    assert do(storage, ledger.usage(book())) == Sum(3)


def test_a_dead_announcement_counts(monkeypatch):
    """Nobody knows what its worker did. It is better to refuse a task than to exceed the budget."""
    storage = Texts()
    (dead,) = tasks([3], 5)
    while not any('"pending"' in text for text in storage.texts.values()):
        dead.step(storage)
    assert do(storage, reserve("b", 3, 5)) == Refused(Sum(3))
    assert isinstance(do(storage, reserve("c", 2, 5)), Reserved)


def test_minutes_let_nothing_start_once_they_are_used():
    """They count when runs have ended, so a budget of minutes can be exceeded by active runs."""
    storage = Texts()
    do(storage, reserve("a", 1, None, seconds=60))
    do(storage, reserve("b", 1, None, seconds=60))
    do(storage, ledger.book_time(book(), "a", 59, "x"))
    assert isinstance(do(storage, reserve("c", 1, None, seconds=60)), Reserved)
    do(storage, ledger.book_time(book(), "b", 1, "y"))
    assert do(storage, reserve("d", 1, None, seconds=60)) == Refused(Sum(3, 60))


def test_time_is_booked_once():
    """Also when a later try judges the same runs again; and without an entry of the round."""
    storage = Texts()
    do(storage, reserve("a", 2, 10))
    for owner in ("a", "a", "lost", "lost"):
        do(storage, ledger.book_time(book(), owner, 60, f"token {next(TOKENS)}"))
    assert do(storage, ledger.usage(book())) == Sum(2, 120)


@pytest.mark.parametrize(("per", "days"), [("day", 1), ("week", 7), ("month", 31)])
def test_a_period_counts_all_of_its_days(per, days):
    """Each day starts one run; the next period begins with nothing."""
    storage, period = Texts(), period_of(per, MONDAY * DAY)
    for day in range(period.first - 2, period.last + 1):
        taken = do(storage, reserve(f"t{day}", 1, 100, book(day, per)))
        do(storage, ledger.settle(book(day, per), taken, f"t{day}", 1))
    assert do(storage, ledger.usage(book(period.last, per))) == Sum(days)
    assert do(storage, reserve("more", 1, days, book(period.last, per))) == Refused(Sum(days))
    assert do(storage, ledger.usage(book(period.last + 1, per))) == Sum()


def test_a_closed_day_is_added_up_once():
    """Three days later its entries are not read again."""
    storage = Texts()
    for number in range(20):
        taken = do(storage, reserve(f"t{number}", 1, 100, book(MONDAY, "week")))
        do(storage, ledger.settle(book(MONDAY, "week"), taken, f"t{number}", 1))
    later = book(MONDAY + 4, "week")
    assert do(storage, ledger.usage(later)) == Sum(20)
    storage.asked = 0
    assert do(storage, ledger.usage(later)) == Sum(20)
    assert storage.asked < 20


def test_old_days_are_deleted():
    """All keys of days that no period contains; a deletion that died is completed by the next one."""
    storage = Texts()
    for number in range(5):
        do(storage, reserve(f"t{number}", 1, 100, book(MONDAY)))
    do(storage, ledger.usage(book(MONDAY + 4, "month")))
    steps, answer = ledger.sweep(book(MONDAY + 40)), None
    while len([key for key in storage.texts if "-door" in key]) > 2:
        answer = apply(storage, steps.send(answer))
    do(storage, ledger.sweep(book(MONDAY + 41)))
    assert storage.texts == {}


def test_days_of_this_month_are_not_deleted():
    """A month has at most 31 days."""
    storage = Texts()
    do(storage, reserve("a", 1, 100, book(MONDAY)))
    kept = dict(storage.texts)
    for day in range(MONDAY, MONDAY + 36):
        do(storage, ledger.sweep(book(day)))
    assert storage.texts == kept


def test_a_day_has_room_for_many_tasks():
    """The second page follows when the first is full, and all of it counts."""
    storage = Texts()
    for number in range(WRITERS + 3):
        assert isinstance(do(storage, reserve(f"t{number}", 1, 1000)), Reserved)
    assert do(storage, ledger.usage(book())) == Sum(WRITERS + 3)


def test_a_day_without_room_lets_nothing_start(monkeypatch):
    """A run that no entry counts could exceed the budget."""
    monkeypatch.setattr(ledger, "PAGES", 1)
    monkeypatch.setattr(cells, "WRITERS", 2)
    monkeypatch.setattr(ledger, "WRITERS", 2)
    storage = Texts()
    for number in range(2):
        do(storage, reserve(f"t{number}", 1, 1000))
    with pytest.raises(LedgerUnreadable, match="no room for another one"):
        do(storage, reserve("t2", 1, 1000))


def test_pools_have_ledgers_of_their_own():
    """Also with odd names."""
    storage = Texts()
    for pool in ("a", "b", "a b", "ä\ud800", ""):
        assert isinstance(do(storage, reserve("t", 1, 1, book(pool=pool))), Reserved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"version": 2}',
        '{"version": 1}',
        Entry("a", State.STARTED).text().replace('"runs": 0', '"runs": -5'),
        Entry("a", State.STARTED).text().replace('"runs": 0', '"runs": true'),
        Entry("a", State.STARTED).text().replace('"runs": 0', '"runs": 1e300'),
        Entry("a", State.STARTED).text().replace("started", "gone"),
        Entry("a", State.STARTED).text().replace('"a"', "null"),
        Entry("a", State.STARTED).text().replace('"started"', "[]"),
        "[" * 100_000,
    ],
)
def test_a_ledger_that_somebody_has_changed_lets_nothing_start(text):
    """Anyone with write access may have stored it. A negative number would widen the budget."""
    storage = Texts()
    place = do(storage, reserve("a", 1, 10)).place
    storage.texts[place.key(book().prefix)] = text
    with pytest.raises(LedgerUnreadable):
        do(storage, reserve("b", 1, 10))
