"""Flows: logic that asks and pauses, written once as generators and driven by a sync or an async loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_testerarmy.runs.service import Ask, Reply, ServiceFault

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Together:
    """Questions that do not depend on one another; whoever drives the flow may put them side by side.

    The answer is a list in the same order, with a fault where a question got no answer of use.
    """

    questions: tuple[Ask[Any], ...]


#: What a flow yields.
FlowStep: TypeAlias = "Ask[Any] | Together | Pause"

#: A generator that yields questions and pauses, gets replies (or a ``ServiceFault`` thrown in), and returns.
Flow: TypeAlias = Generator[FlowStep, Any, R]

Send: TypeAlias = Callable[[Ask[Any]], Reply[Any]]


def ask(question: Ask[T]) -> Flow[Reply[T]]:
    """Put one question to the service; used with ``yield from``, it evaluates to the reply.

    :raises ServiceFault: when it gets no answer of use.
    """
    reply: Reply[T] = yield question
    return reply


def ask_together(questions: Sequence[Ask[Any]]) -> Flow[list[Reply[Any] | ServiceFault]]:
    """Put several questions; used with ``yield from``, it evaluates to the replies and faults in their order."""
    replies: list[Reply[Any] | ServiceFault] = yield Together(tuple(questions))
    return replies


def pause(seconds: float) -> Flow[None]:
    """Wait that many seconds; used with ``yield from``."""
    yield Pause(seconds)


class _Steps(Generic[R]):
    """A flow taken step by step: all that its two loops share, which is everything but the waiting."""

    result: R

    def __init__(self, flow: Flow[R]) -> None:
        self._flow = flow
        self._resume: Callable[[], Any] = partial(next, flow)

    def next(self) -> FlowStep | None:
        """The next step; None at the end, when ``result`` is set."""
        try:
            step: FlowStep = self._resume()
        except StopIteration as end:
            self.result = end.value
            return None
        self._resume = partial(self._flow.send, None)
        return step

    def answer(self, reply: Reply[Any] | list[Reply[Any] | ServiceFault]) -> None:
        """The step was answered."""
        self._resume = partial(self._flow.send, reply)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Whatever fault the block meets is the flow's to handle."""
        try:
            yield
        except ServiceFault as fault:
            self._resume = partial(self._flow.throw, fault)


def or_fault(send: Send, question: Ask[T]) -> Reply[T] | ServiceFault:
    """What came of a question: the reply, or the fault as a value."""
    try:
        return send(question)
    except ServiceFault as fault:
        return fault


async def aor_fault(
    send: Callable[[Ask[Any]], Awaitable[Reply[Any]]], question: Ask[T]
) -> Reply[T] | ServiceFault:
    """As :func:`or_fault`, in an event loop."""
    try:
        return await send(question)
    except ServiceFault as fault:
        return fault


def one_by_one(send: Send, questions: Iterable[Ask[Any]]) -> list[Reply[Any] | ServiceFault]:
    """Put questions one after the other."""
    return [or_fault(send, question) for question in questions]


def side_by_side(send: Send, questions: Sequence[Ask[Any]]) -> list[Reply[Any] | ServiceFault]:
    """Put questions at the same time, each from a thread of its own; ``send`` has to bear that."""
    if len(questions) == 1:
        return one_by_one(send, questions)
    pool = ThreadPoolExecutor(len(questions))
    try:
        return [answer.result() for answer in [pool.submit(or_fault, send, one) for one in questions]]
    finally:
        # Who is told to stop meanwhile does not wait for the answers.
        pool.shutdown(wait=False, cancel_futures=True)


def drive(
    flow: Flow[R],
    send: Send,
    sleep: Callable[[float], None],
    together: Callable[[Send, Sequence[Ask[Any]]], list[Reply[Any] | ServiceFault]] = one_by_one,
) -> R:
    """Run a flow to its end in a worker.

    :param send: puts a question to the service; raises ``ServiceFault``.
    :param sleep: waits that many seconds.
    :param together: puts questions that do not depend on one another.
    """
    steps = _Steps(flow)
    while (step := steps.next()) is not None:
        if isinstance(step, Pause):
            sleep(step.seconds)
            continue
        with steps.faults():
            if isinstance(step, Together):
                steps.answer(together(send, step.questions))
            else:
                steps.answer(send(step))
    return steps.result


async def adrive(
    flow: Flow[R],
    send: Callable[[Ask[Any]], Awaitable[Reply[Any]]],
    sleep: Callable[[float], Awaitable[None]],
) -> R:
    """Run a flow to its end in an event loop; as :func:`drive`."""
    steps = _Steps(flow)
    while (step := steps.next()) is not None:
        if isinstance(step, Pause):
            await sleep(step.seconds)
            continue
        with steps.faults():
            if isinstance(step, Together):
                steps.answer(await asyncio.gather(*(aor_fault(send, one) for one in step.questions)))
            else:
                steps.answer(await send(step))
    return steps.result
