from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from airflow_provider_testerarmy.runs.flow import adrive, ask, ask_together, drive, pause, side_by_side
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from tests.runs.scripted import Answered, Question


def drive_in_loop(flow, send, sleep):
    """Drive a flow in an event loop."""

    async def asend(question):
        return send(question)

    async def asleep(seconds):
        sleep(seconds)

    return asyncio.run(adrive(flow, asend, asleep))


@pytest.fixture(
    params=[drive, partial(drive, together=side_by_side), drive_in_loop], ids=["sync", "threads", "async"]
)
def run(request):
    """Both drivers are held to the same behaviour."""
    return request.param


def never(_):
    """Fail on a question or a pause that was not to come."""
    raise AssertionError


def test_a_flow_gets_its_answers_and_its_pauses(run):
    """In order, and its end is the result."""
    happened = []

    def flow():
        first = yield from ask(Question("one"))
        yield from pause(1.5)
        second = yield from ask(Question("two"))
        return first.value + second.value

    def send(question):
        happened.append(question.name)
        return Answered(question.name)

    assert run(flow(), send, happened.append) == "onetwo"
    assert happened == ["one", 1.5, "two"]


def test_a_flow_may_bear_a_fault(run):
    """It is thrown in where the question was put."""

    def flow():
        try:
            yield from ask(Question("one"))
        except ServiceFault as fault:
            return fault.kind

    def send(_):
        raise ServiceFault(FaultKind.DENIED, "no")

    assert run(flow(), send, never) is FaultKind.DENIED


def test_a_fault_that_is_not_borne_is_the_callers(run):
    """And so is whatever else goes wrong."""

    def flow():
        yield from ask(Question("one"))

    for error in (ServiceFault(FaultKind.DENIED, "no"), KeyboardInterrupt(), KeyError("a bug")):

        def send(_, error=error):
            raise error

        with pytest.raises(type(error)):
            run(flow(), send, never)


def test_an_interrupted_pause_ends_the_flow(run):
    """A task that is stopped does not sleep on."""

    class Stopped(Exception):
        pass

    def flow():
        yield from pause(60)
        never(None)

    def sleep(_):
        raise Stopped

    with pytest.raises(Stopped):
        run(flow(), never, sleep)


def test_a_flow_without_questions_just_ends(run):
    """With its result."""

    def flow():
        yield from ()
        return 7

    assert run(flow(), never, never) == 7


def test_questions_that_are_put_together_are_answered_in_their_order(run):
    """A fault takes the place of the answer, and does not keep the others from theirs."""

    def flow():
        names = ("one", "two", "three")
        return (yield from ask_together([Question(name) for name in names]))

    def send(question):
        if question.name == "two":
            raise ServiceFault(FaultKind.NOT_FOUND, "no")
        return Answered(question.name)

    first, second, third = run(flow(), send, never)
    assert (first.value, third.value) == ("one", "three")
    assert second.kind is FaultKind.NOT_FOUND


def test_what_else_goes_wrong_with_questions_put_together_is_the_callers(run):
    """Only faults become values; other errors are raised."""

    def flow():
        yield from ask_together([Question("one"), Question("two")])

    def send(_):
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(flow(), send, never)


def test_threads_put_questions_at_the_same_time():
    """Each waits until all others are in flight."""
    meeting = threading.Barrier(8, timeout=30)

    def send(question):
        meeting.wait()
        return Answered(question.name)

    replies = side_by_side(send, [Question(str(number)) for number in range(8)])
    assert [reply.value for reply in replies] == [str(number) for number in range(8)]


def test_who_is_interrupted_does_not_wait_for_the_threads():
    """A task that is stopped has a few seconds, and a service may hold an answer for longer."""
    held = threading.Event()

    def send(question):
        if question.name == "first":
            raise KeyboardInterrupt
        held.wait(30)
        return Answered(question.name)

    with pytest.raises(KeyboardInterrupt):
        side_by_side(send, [Question("first"), Question("second")])
    assert not held.is_set()
    held.set()
