"""Runs that write at once: no night is lost, in whatever order their steps come."""

from __future__ import annotations

import json
import random
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.memory import cells
from airflow_provider_testerarmy.runs.memory.model import Memory, Night, NightRef, Quarantine, Unreadable
from airflow_provider_testerarmy.runs.memory.ring import (
    forget,
    forget_test,
    forget_test_steps,
    load,
    remember,
    remember_steps,
    restore,
)
from tests.docs.blocks import REPOSITORY
from tests.runs.memory.store import DAY, SCOPE, START, Texts, Writer, keys, night


def interleaved(storage, writers, pick):
    """Let the writers go on, one step at a time; ``pick`` says which."""
    active = list(writers)
    while active:
        writer = active[pick(len(active))]
        writer.step(storage)
        active = [each for each in active if not each.over]


def writer(name, number=0, now=START):
    return Writer(name, remember_steps(SCOPE, night(number, key=name), now, f"token of {name}"))


@given(data=st.data(), runs=st.integers(2, 7))
@settings(max_examples=150, deadline=None)
def test_runs_that_write_at_once_never_lose_each_others_night(data, runs):
    """Every order of their steps."""
    storage = Texts()
    writers = [writer(f"r{number}") for number in range(runs)]
    interleaved(storage, writers, lambda active: data.draw(st.integers(0, active - 1)))
    assert [each.result for each in writers] == [None] * runs
    assert sorted(keys(load(storage, SCOPE, now=START))) == sorted(each.name for each in writers)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_no_night_is_lost_over_days_of_runs_that_overlap_and_die(seed):
    """Runs begin on one day and end on the next, die in the middle, and days are deleted meanwhile."""
    chance = random.Random(seed)
    storage = Texts()
    names = (f"r{number}" for number in count())
    before, done, now = [], set(), START
    for day in range(chance.randint(2, 9)):
        gap = chance.choice([1, 1, 1, 2, 5, 40])
        now += gap * DAY
        # A write takes less than a day, so what was begun earlier has died.
        before = before if gap == 1 else []
        begun = [writer(next(names), day, now) for _ in range(chance.randint(0, 3))]
        for _ in range(chance.randint(0, 150)):
            active = [each for each in (*before, *begun) if not each.over]
            if active:
                chance.choice(active).step(storage)
        for each in before:
            while chance.random() < 0.9 and not each.over:
                each.step(storage)
        done |= {each.name for each in (*before, *begun) if each.over}
        assert {each.result for each in (*before, *begun)} == {None} or not (before or begun)
        found = load(storage, SCOPE, now=now)
        assert set(keys(found)) >= done or len(done) > 20
        before = begun


def died(storage, key, number):
    """A run of that day whose worker is lost once it has stored its night, before the snapshot."""
    lost = writer(key, number, START + number * DAY)
    while not any(f"-{20_000 + number}-" in each and each.endswith("label") for each in storage.texts):
        lost.step(storage)


@pytest.mark.parametrize("steps", range(0, 60, 2))
def test_days_that_are_deleted_while_a_run_reads_them_take_nothing_along(steps):
    """What it has read half of is read again."""
    storage = Texts()
    remember(storage, SCOPE, night(0), now=START, token="0")
    died(storage, "lost", 1)
    slow, fast = writer("slow", 10, START + 10 * DAY), writer("fast", 10, START + 10 * DAY)
    for _ in range(steps):
        if not slow.over:
            slow.step(storage)
    interleaved(storage, [fast], lambda _active: 0)
    if not slow.over:
        interleaved(storage, [slow], lambda _active: 0)
    assert keys(load(storage, SCOPE, now=START + 10 * DAY)) == ["run-0", "lost", "fast", "slow"]


def test_a_run_that_was_away_for_days_takes_no_other_night_along():
    """Its own may be lost."""
    storage = Texts()
    away = writer("away")
    while not any(each.endswith("label") for each in storage.texts):
        away.step(storage)
    for number in range(1, 12):
        now = START + number * DAY
        remember(storage, SCOPE, night(number), now=now, token=str(number))
    interleaved(storage, [away], lambda _active: 0)
    found = keys(load(storage, SCOPE, now=now))
    assert found[-11:] == [f"run-{number}" for number in range(1, 12)]


@pytest.mark.parametrize("steps", range(0, 120, 3))
def test_a_run_that_dies_while_it_deletes_leaves_nothing_for_ever(steps):
    """The next one goes on."""
    storage = Texts()
    for number in range(3):
        remember(storage, SCOPE, night(0, key=f"r{number}"), now=START, token=str(number))
    dying = writer("dying", 10, START + 10 * DAY)
    for _ in range(steps):
        if not dying.over:
            dying.step(storage)
    for number in range(11, 17):
        remember(storage, SCOPE, night(number), now=START + number * DAY, token=str(number))
    assert {each.split("-")[2] for each in storage.texts} <= {
        "pointer",
        "20013",
        "20014",
        "20015",
        "20016",
        "20012",
    }


def schedules(makers):
    """Every order of the steps of some writers, each on a storage of its own."""
    pending = [()]
    while pending:
        begun = pending.pop()
        storage = Texts()
        writers = [make() for make in makers]
        for index in begun:
            writers[index].step(storage)
        active = [index for index, each in enumerate(writers) if not each.over]
        pending += [(*begun, index) for index in active]
        if not active:
            yield writers


def test_two_writers_never_get_the_same_cell():
    """All orders of their steps there are, not some."""
    makers = [lambda name=name: Writer(name, cells.claim("p", 1, name, ())) for name in "ab"]
    found = [{each.result for each in writers} for writers in schedules(makers)]
    assert len(found) > 50
    assert all(len(taken) == 2 and None not in taken for taken in found)


@given(data=st.data(), writers=st.integers(2, 12))
@settings(max_examples=200, deadline=None)
def test_a_writer_stops_in_the_triangle_of_as_many_cells_as_there_are_writers(data, writers):
    """So 64 writers of one day surely find a cell each."""
    storage = Texts()
    claims = [Writer(name, cells.claim("p", 1, str(name), ())) for name in range(writers)]
    interleaved(storage, claims, lambda active: data.draw(st.integers(0, active - 1)))
    taken = [each.result for each in claims]
    assert len(set(taken)) == writers
    assert max(cell.right + cell.down for cell in taken) < writers


def test_the_most_writes_of_a_day_are_kept_and_one_more_is_refused():
    """One after the other; it says so instead of losing one."""
    storage = Texts()
    for number in range(cells.WRITERS):
        at = START + number
        assert remember(storage, SCOPE, night(0, key=f"r{number}", at=at), now=at, token=f"{number}") is None
    assert keys(load(storage, SCOPE, now=START)) == [f"r{number}" for number in range(44, 64)]
    said = remember(storage, SCOPE, night(0, key="late"), now=START, token="late")
    assert said == "there were more than 64 writes today"
    assert remember(storage, SCOPE, night(1, key="next"), now=START + DAY, token="next") is None


def quarter(storage, days=90, every=1):
    for day in range(0, days, every):
        now = START + day * DAY
        assert remember(storage, SCOPE, night(day), now=now, token=str(day)) is None
    return now


def test_a_nightly_run_asks_little_and_keeps_little():
    """Old days are deleted; the storage does not grow."""
    storage = Texts()
    now = quarter(storage)
    size = len(storage.texts)
    assert size <= 40
    storage.asked = 0
    load(storage, SCOPE, now=now)
    assert storage.asked <= 30
    remember(storage, SCOPE, night(90), now=now + DAY, token="x")
    assert len(storage.texts) == size


@pytest.mark.parametrize("every", [1, 7, 31])
def test_the_last_twenty_nights_are_kept_however_far_apart(every):
    """Weekly and monthly runs have a memory too."""
    storage = Texts()
    now = quarter(storage, 31 * 25, every)
    assert len(keys(load(storage, SCOPE, now=now))) == 20


def test_a_try_that_runs_again_replaces_its_night():
    """A cleared DAG run is one night."""
    storage = Texts()
    remember(storage, SCOPE, night(0, {"a": "F"}, key="r"), now=START, token="1")
    remember(storage, SCOPE, night(0, {"a": "P"}, key="r", at=START + 60), now=START + 60, token="2")
    memory = load(storage, SCOPE, now=START + 60)
    assert keys(memory) == ["r"]
    assert memory.tests["a"].letters == "P"


def test_scopes_do_not_meet():
    """Group and environment are in every key."""
    storage = Texts()
    remember(storage, SCOPE, night(0), now=START, token="1")
    other = type(SCOPE)(SCOPE.target, "production")
    assert load(storage, other, now=START).empty


def test_a_storage_that_does_not_answer_is_said_and_raises_nothing():
    """The verdict goes on without it."""
    storage = Texts()
    storage.broken = True
    assert load(storage, SCOPE, now=START) == Unreadable("no connection")
    assert remember(storage, SCOPE, night(0), now=START, token="1") == "no connection"
    assert forget(storage, SCOPE, now=START) == "no connection"


@pytest.mark.parametrize(
    ("days", "reason"),
    [(-2, "yet to come"), (401, "more than 400 days old")],
)
def test_a_memory_of_another_time_is_not_believed(days, reason):
    """Nights would be looked for where there are none."""
    storage = Texts()
    remember(storage, SCOPE, night(0), now=START, token="1")
    found = load(storage, SCOPE, now=START + days * DAY)
    assert isinstance(found, Unreadable)
    assert reason in found.reason


HOSTILE = [
    "",
    "null",
    "[" * 40_000,
    '{"version":2,"cell":[1,0,0],"since":1}',
    '{"version":1,"cell":[1,0,0]}',
    '{"version":1,"cell":[30000000,0,0],"since":1}',
    '{"version":1,"cell":[20001,64,0],"since":1}',
    '{"version":1,"cell":[1e999,0,0],"since":1}',
    '{"version":1,"cell":[' + "9" * 5000 + ',0,0],"since":1}',
    '{"version":1,"cell":["\\ud800",0,0],"since":1}',
    '{"version":1,"at":1,"key":"\\ud800","night":1,"memory":1}',
    '{"version":1,"at":-1,"key":"x","night":1,"memory":1}',
    "x" * 100_000,
    7,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", ["pointer", "label", "memory-0", "night-0"])
def test_whatever_one_text_is_replaced_by_nothing_is_believed_and_nothing_overwritten(name, text):
    """Not a part of it either; a person may forget it and begin anew."""
    storage = Texts()
    remember(storage, SCOPE, night(0, {"a": "P"}), now=START, token="1")
    remember(storage, SCOPE, night(1, {"a": "F"}), now=START + DAY, token="2")
    if name == "night-0":
        # One that no snapshot has: its writer died before.
        dying = writer("r", 2, START + DAY)
        while not (dying.answer is None and any("-1-0-label" in key for key in storage.texts)):
            dying.step(storage)
    key = sorted(key for key in storage.texts if key.endswith(name))[-1]
    storage.texts[key] = text
    before = dict(storage.texts)
    found = load(storage, SCOPE, now=START + DAY)
    assert isinstance(found, Unreadable)
    assert found.reason
    assert remember(storage, SCOPE, night(2), now=START + DAY, token="3") == found.reason
    assert storage.texts == before
    assert forget(storage, SCOPE, now=START + DAY) is None
    assert storage.texts == {}


def test_what_was_exported_is_restored():
    """In the place of what is there."""
    storage = Texts()
    quarter(storage, 5)
    memory = load(storage, SCOPE, now=START + 4 * DAY)
    remember(storage, SCOPE, night(5), now=START + 5 * DAY, token="x")
    assert restore(storage, SCOPE, memory, now=START + 5 * DAY, token="y") is None
    assert load(storage, SCOPE, now=START + 5 * DAY) == memory
    remember(storage, SCOPE, night(6), now=START + 6 * DAY, token="z")
    assert keys(load(storage, SCOPE, now=START + 6 * DAY)) == [*keys(memory), "run-6"]


def test_nothing_is_an_empty_memory():
    """Which is not one that cannot be read."""
    assert load(Texts(), SCOPE, now=START) == Memory()


@given(data=st.data(), runs=st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_forgetting_a_test_loses_no_night_of_a_run_that_writes_at_once(data, runs):
    """Every order of their steps: at worst the test is still remembered."""
    storage = Texts()
    for number in range(2):
        one = night(number, {"a": "P", "b": "F"}, key=f"before {number}")
        remember(storage, SCOPE, one, now=START, token=f"before {number}")
    steps = forget_test_steps(SCOPE, "b", START, "token of forget")
    writers = [writer(f"r{number}", number + 2) for number in range(runs)]
    interleaved(
        storage,
        [*writers, Writer("forget", steps)],
        lambda active: data.draw(st.integers(0, active - 1)),
    )
    memory = load(storage, SCOPE, now=START)
    assert sorted(keys(memory)) == sorted(["before 0", "before 1", *(each.name for each in writers)])
    assert memory.tests["a"].letters.count("P") == runs + 2


def test_a_forgotten_test_does_not_come_back():
    """Neither its outcomes nor a note of its quarantine that is still in a cell; a later note does."""
    storage = Texts()
    remember(storage, SCOPE, night(0, {"a": "P", "b": "F"}), now=START, token="n")
    note = Quarantine.of("ada", "why", START + 5, START + DAY)
    remember(storage, SCOPE, Night(NightRef.of("note", START), {}, {"b": note}), now=START, token="o")
    assert forget_test(storage, SCOPE, "B", now=START + 1, token="p") is None
    memory = load(storage, SCOPE, now=START + 1)
    assert memory.tests["a"].letters == "P"
    assert (memory.tests["b"].letters, memory.tests["b"].quarantine.lifted) == (".", True)
    later = Quarantine.of("ada", "why", START + 9, START + DAY)
    one = Night(NightRef.of("later", START + 9), {}, {"b": later})
    remember(storage, SCOPE, one, now=START + 9, token="q")
    assert load(storage, SCOPE, now=START + 9).tests["b"].quarantine == later


def test_a_memory_from_before_nights_had_a_due_date():
    """Each night was due when it was judged, as far as such a memory tells. It is continued."""
    storage = Texts()
    storage.texts = json.loads((REPOSITORY / "tests/fixtures/memory_0_1_0.json").read_text())
    before = load(storage, SCOPE, now=START + 3 * DAY)
    assert [(one.key, one.at) for one in before.nights] == [(f"r{n}", START + n * DAY) for n in range(3)]
    assert all(one.judged == one.at for one in before.nights)
    assert remember(storage, SCOPE, night(3, key="r3"), now=START + 3 * DAY, token="t3") is None
    assert keys(load(storage, SCOPE, now=START + 3 * DAY)) == ["r0", "r1", "r2", "r3"]
