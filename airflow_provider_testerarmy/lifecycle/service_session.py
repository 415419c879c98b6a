"""The connection to the service during one try. It caches the last result of each run and can reload its key."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_testerarmy.lifecycle.interrupts import Interrupts
from airflow_provider_testerarmy.runs.flow import Flow, drive, side_by_side
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Ask, FaultKind, Reply, RunService, ServiceFault

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

R = TypeVar("R")

log = logging.getLogger(__name__)


class ServiceSession:
    """Sends requests to the service through one Airflow connection.

    :param hook: the hook of the connection.
    :param interrupts: what may interrupt a pause.
    :param follows_key: whether a rejected key makes it read the connection again. A listener reads the connection
        itself, because a plain read does not find that of a DAG's team.
    """

    #: The wall clock, in seconds since the epoch, and the function that sleeps. Tests replace both.
    clock = staticmethod(time.time)
    sleep = staticmethod(time.sleep)

    def __init__(self, hook: ServiceHook, interrupts: Interrupts, *, follows_key: bool = True) -> None:
        self.interrupts = interrupts
        self._follows_key = follows_key
        #: Whether the service rejected the key of the last request.
        self._denied = False
        #: The newest result of each run. It outlives an interrupted wait, whose return value is lost.
        self.seen: dict[RunId, RunResult] = {}
        self.hook = hook
        self.service: RunService = hook.service()
        self._send, self._close = hook.asker()

    @property
    def secret(self) -> str:
        """The API key of the connection, empty if it has none."""
        return str(self.hook.connection.password or "")

    def drive(self, flow: Flow[R]) -> R:
        """Run a flow to its end, or until a stop is requested.

        :raises Interrupted: if a stop was requested during a pause.
        """
        return drive(flow, self._ask_with_newest_key, self._interruptible_sleep, self._side_by_side)

    def drive_to_the_end(self, flow: Flow[R]) -> R:
        """Run a flow to its end, even if a stop is requested meanwhile."""
        return drive(flow, self._ask_with_newest_key, self.sleep, self._side_by_side)

    def _interruptible_sleep(self, seconds: float) -> None:
        self.interrupts.sleep(seconds, self.sleep)

    def reload(self) -> bool:
        """Read the Airflow connection again, and switch to it if its host or key has changed.

        :return: whether it has changed.
        """
        # A hook caches its connection, so reading it again takes a new hook.
        hook: ServiceHook = resolve_name(self.hook.path)(self.hook.conn_id)
        if hook.endpoint == self.hook.endpoint:
            return False
        self._close()
        self.hook = hook
        self._send, self._close = hook.asker()
        return True

    def close(self) -> None:
        """Close the HTTP connections."""
        self._close()

    def _side_by_side(self, _send: object, questions: Sequence[Ask[Any]]) -> list[Reply[Any] | ServiceFault]:
        # Each request runs in its own thread, so none of them reads the connection again.
        return side_by_side(self._ask, questions)

    def _ask_with_newest_key(self, question: Ask[Any]) -> Reply[Any]:
        """As :meth:`_ask`. The request after a rejected key uses the newest key."""
        if self._denied:
            self._follow_key()
        try:
            reply = self._ask(question)
        except ServiceFault as fault:
            self._denied = fault.kind is FaultKind.DENIED
            raise
        self._denied = False
        return reply

    def _follow_key(self) -> None:
        # A kill may interrupt a wait anywhere. Interrupting a message to Airflow would garble the next one. Waits
        # therefore follow a changed key elsewhere (worker_wait.py).
        if self.interrupts.can_cut_off or not self._follows_key:
            return
        try:
            self.reload()
        except Exception as error:
            log.info("The connection cannot be read again (%s).", error)

    def _ask(self, question: Ask[Any]) -> Reply[Any]:
        reply = self._send(question)
        if isinstance(reply.value, RunResult):
            self.seen[reply.value.run_id] = reply.value
        return reply
