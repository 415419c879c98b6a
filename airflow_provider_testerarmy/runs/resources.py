"""The flows that create and delete what test runs need, e.g. an environment.

A creation is not idempotent. Therefore the flow looks for the object first, and again after a lost response.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, ServiceFault
from airflow_provider_testerarmy.runs.submission.setting import Setting, with_retries

T = TypeVar("T")

#: Seconds before each search for an object whose creation got no response. A gateway may still deliver the request.
LOOKS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: How often a creation is sent whose responses are lost, and that a search does not find.
MAX_SENDS: Final = 3
#: Seconds before each retry of an upload. An upload may take long, so their number is limited.
BETWEEN_SENDS: Final = (2.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Ensured(Generic[T]):
    """An object that exists now.

    :param made: whether this task may have created it; False for an object that existed before.
    """

    value: T
    made: bool


def ensure(
    setting: Setting, find: Ask[T | None], create: Ask[T], sending: Callable[[], None]
) -> Flow[Ensured[T]]:
    """Find an object, or create it.

    :param find: its response is the object, or None.
    :param sending: is called before the first request that may create the object.
    :raises ServiceFault: if it cannot be created, or if that is unknown.
    """
    found = yield from reply_to(setting, find)
    if found is not None:
        return Ensured(found, made=False)
    fault: ServiceFault | None = None
    for _ in range(MAX_SENDS):
        sending()
        reply = yield from with_retries(setting, lambda: ask(create))
        if not isinstance(reply, ServiceFault):
            return Ensured(reply.value, made=True)
        # A conflict is often the own object, from a request whose response was lost.
        if not reply.may_have_effect and reply.kind is not FaultKind.CONFLICT:
            raise reply
        setting.report(
            f"The creation of the {setting.request.label} got no clear response ({reply.message})."
        )
        found = yield from search(setting, find, LOOKS)
        if found is not None:
            return Ensured(found, made=reply.kind is not FaultKind.CONFLICT or fault is not None)
        if reply.kind is FaultKind.CONFLICT:
            raise reply
        fault = reply
    assert fault is not None  # noqa: S101
    raise fault


def search(setting: Setting, find: Ask[T | None], looks: tuple[float, ...]) -> Flow[T | None]:
    """Look for an object several times, because a list may show a new object late."""
    for seconds in looks:
        yield from pause(seconds)
        found = yield from reply_to(setting, find)
        if found is not None:
            return found
    return None


def reply_to(setting: Setting, question: Ask[T]) -> Flow[T]:
    """The response to an idempotent request, with retries.

    :raises ServiceFault: if there is none.
    """
    reply = yield from with_retries(setting, lambda: ask(question))
    if isinstance(reply, ServiceFault):
        raise reply
    return reply.value


def send(setting: Setting, prepare: Callable[[], Ask[T]], put: Callable[[T], Ask[object]]) -> Flow[T]:
    """Request an address, and send bytes there. An address may be for one attempt, so each retry requests another.

    :raises ServiceFault: if the bytes cannot be sent.
    """
    for seconds in (*BETWEEN_SENDS, None):
        address = yield from reply_to(setting, prepare())
        try:
            yield from ask(put(address))
        except ServiceFault as fault:
            if seconds is None or fault.kind is FaultKind.NOT_FOUND:
                raise
            wait = max(seconds, min(fault.retry_after or 0.0, setting.max_outage))
            setting.report(f"The upload failed ({fault.message}); sending it again in {wait:g} s.")
            yield from pause(wait)
        else:
            return address
    raise AssertionError


def remove(setting: Setting, delete: Ask[object]) -> Flow[bool]:
    """Delete an object; return False if it does not exist.

    :raises ServiceFault: if it cannot be deleted.
    """
    try:
        yield from reply_to(setting, delete)
    except ServiceFault as fault:
        if fault.kind is FaultKind.NOT_FOUND:
            return False
        raise
    return True
