"""Flows: logic that asks and pauses, written once as generators and driven by a sync or an async loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
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


#: A generator that yields questions and pauses, gets replies (or a ``ServiceFault`` thrown in), and returns.
Flow: TypeAlias = Generator["Ask[Any] | Pause", Any, R]


def ask(question: Ask[T]) -> Flow[Reply[T]]:
    """Put one question to the service; used with ``yield from``, it evaluates to the reply.

    :raises ServiceFault: when it gets no answer of use.
    """
    reply: Reply[T] = yield question
    return reply


def pause(seconds: float) -> Flow[None]:
    """Wait that many seconds; used with ``yield from``."""
    yield Pause(seconds)


class _Steps(Generic[R]):
    """A flow taken step by step: all that its two loops share, which is everything but the waiting."""

    result: R

    def __init__(self, flow: Flow[R]) -> None:
        self._flow = flow
        self._resume: Callable[[], Any] = partial(next, flow)

    def next(self) -> Ask[Any] | Pause | None:
        """The next step; None at the end, when ``result`` is set."""
        try:
            step: Ask[Any] | Pause = self._resume()
        except StopIteration as end:
            self.result = end.value
            return None
        self._resume = partial(self._flow.send, None)
        return step

    def answer(self, reply: Reply[Any]) -> None:
        """The step was answered."""
        self._resume = partial(self._flow.send, reply)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Whatever fault the block meets is the flow's to handle."""
        try:
            yield
        except ServiceFault as fault:
            self._resume = partial(self._flow.throw, fault)


def drive(flow: Flow[R], send: Callable[[Ask[Any]], Reply[Any]], sleep: Callable[[float], None]) -> R:
    """Run a flow to its end in a worker.

    :param send: puts a question to the service; raises ``ServiceFault``.
    :param sleep: waits that many seconds.
    """
    steps = _Steps(flow)
    while (step := steps.next()) is not None:
        if isinstance(step, Pause):
            sleep(step.seconds)
            continue
        with steps.faults():
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
            steps.answer(await send(step))
    return steps.result
