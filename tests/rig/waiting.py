"""Polling with a deadline. All tests wait this way."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TimedOutError(AssertionError):
    """A condition did not become true in time. The message names it and the state at the deadline."""


def eventually(
    predicate: Callable[[], T | None],
    timeout: float,
    what: str,
    *,
    state: Callable[[], str] | None = None,
    retry_on: tuple[type[Exception], ...] = (),
    interval: float = 0.2,
) -> T:
    """Call `predicate` until it returns something truthy, and return that.

    Args:
        predicate: called at least once, then every `interval` seconds.
        timeout: seconds after which `TimedOutError` is raised.
        what: the awaited condition, for the error message.
        state: returns the current state as text; called only for the error message.
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
    # The caller raises the time-out. An error in the description must not replace it.
    except Exception as error:
        return f"the state could not be read: {error!r}"
