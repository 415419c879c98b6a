"""Waiting by polling with a deadline: the one way this repository waits for anything."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TimedOutError(AssertionError):
    """Something did not happen in time; the message says what, and what state things were in."""


def eventually(
    predicate: Callable[[], T | None],
    timeout: float,
    what: str,
    *,
    state: Callable[[], str] | None = None,
    retry_on: tuple[type[Exception], ...] = (),
    interval: float = 0.2,
) -> T:
    """Return the first truthy answer of `predicate`.

    Args:
        predicate: asked at least once, then every `interval` seconds.
        timeout: seconds after which `TimedOutError` is raised.
        what: what is awaited, for the error message.
        state: describes the state things are in, called only for the error message.
        retry_on: exceptions of `predicate` that mean "not yet".
        interval: seconds between two calls.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object = None
        try:
            if answer := predicate():
                return answer
            last = answer
        except retry_on as error:
            last = error
        if time.monotonic() >= deadline:
            detail = _describe(state) if state else f"last answer: {last!r}"
            raise TimedOutError(f"{what}: not within {timeout:g} s; {detail}")
        time.sleep(interval)


def _describe(state: Callable[[], str]) -> str:
    try:
        return state()
    # The time-out is the news, not this.
    except Exception as error:
        return f"and its state could not be read: {error!r}"
