"""Flows: generators that yield requests and pauses, so that one piece of logic runs in a sync and an async loop."""

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
    """A step that waits for a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Together:
    """Independent requests, which the driver of the flow may send concurrently.

    The flow receives a list in the same order, with a fault in place of each failed request.
    """

    questions: tuple[Ask[Any], ...]


#: A value that a flow yields.
FlowStep: TypeAlias = "Ask[Any] | Together | Pause"

#: A generator that yields requests and pauses, receives replies (or a ``ServiceFault``), and returns a result.
Flow: TypeAlias = Generator[FlowStep, Any, R]

Send: TypeAlias = Callable[[Ask[Any]], Reply[Any]]


def ask(question: Ask[T]) -> Flow[Reply[T]]:
    """Send one request; used with ``yield from``, the call evaluates to the reply.

    :raises ServiceFault: if the request fails.
    """
    reply: Reply[T] = yield question
    return reply


def ask_together(questions: Sequence[Ask[Any]]) -> Flow[list[Reply[Any] | ServiceFault]]:
    """Send several requests; used with ``yield from``, the call evaluates to their replies and faults in order."""
    replies: list[Reply[Any] | ServiceFault] = yield Together(tuple(questions))
    return replies


def pause(seconds: float) -> Flow[None]:
    """Wait for a number of seconds; use with ``yield from``."""
    yield Pause(seconds)


class _Steps(Generic[R]):
    """Runs a flow step by step. It holds everything that the sync and the async loop share."""

    result: R

    def __init__(self, flow: Flow[R]) -> None:
        self._flow = flow
        self._resume: Callable[[], Any] = partial(next, flow)

    def next(self) -> FlowStep | None:
        """The next step; None at the end, after ``result`` is set."""
        try:
            step: FlowStep = self._resume()
        except StopIteration as end:
            self.result = end.value
            return None
        # A pause has no reply, so the flow resumes with None unless `answer` or `faults` sets something else.
        self._resume = partial(self._flow.send, None)
        return step

    def answer(self, reply: Reply[Any] | list[Reply[Any] | ServiceFault]) -> None:
        """Resume the flow with this reply."""
        self._resume = partial(self._flow.send, reply)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Throw a fault that the block raises into the flow, which may handle it."""
        try:
            yield
        except ServiceFault as fault:
            self._resume = partial(self._flow.throw, fault)


def or_fault(send: Send, question: Ask[T]) -> Reply[T] | ServiceFault:
    """Send a request; return the reply, or the fault as a value."""
    try:
        return send(question)
    except ServiceFault as fault:
        return fault


async def aor_fault(
    send: Callable[[Ask[Any]], Awaitable[Reply[Any]]], question: Ask[T]
) -> Reply[T] | ServiceFault:
    """Like :func:`or_fault`, for an event loop."""
    try:
        return await send(question)
    except ServiceFault as fault:
        return fault


def one_by_one(send: Send, questions: Iterable[Ask[Any]]) -> list[Reply[Any] | ServiceFault]:
    """Send requests one after the other."""
    return [or_fault(send, question) for question in questions]


def side_by_side(send: Send, questions: Sequence[Ask[Any]]) -> list[Reply[Any] | ServiceFault]:
    """Send requests concurrently, each from its own thread; ``send`` must be thread-safe."""
    if len(questions) == 1:
        return one_by_one(send, questions)
    pool = ThreadPoolExecutor(len(questions))
    try:
        return [answer.result() for answer in [pool.submit(or_fault, send, one) for one in questions]]
    finally:
        # If a signal interrupts the task here, it must not wait for the requests in flight.
        pool.shutdown(wait=False, cancel_futures=True)


def drive(
    flow: Flow[R],
    send: Send,
    sleep: Callable[[float], None],
    together: Callable[[Send, Sequence[Ask[Any]]], list[Reply[Any] | ServiceFault]] = one_by_one,
) -> R:
    """Run a flow to its end in a worker.

    :param send: sends a request; raises ``ServiceFault``.
    :param sleep: waits for a number of seconds.
    :param together: sends independent requests.
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
    """Like :func:`drive`, for an event loop; sends independent requests concurrently."""
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
