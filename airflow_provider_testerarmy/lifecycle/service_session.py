"""The line to the service during one try: it asks, remembers what it saw, and follows a changed key."""

from __future__ import annotations

import time
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_testerarmy.lifecycle.interrupts import Interrupts
from airflow_provider_testerarmy.runs.flow import Flow, drive, side_by_side
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Ask, Reply, RunService

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

R = TypeVar("R")


class ServiceSession:
    """Asks the service through one connection.

    :param hook: the connection.
    :param interrupts: may cut off a pause.
    """

    #: The time, in seconds since the epoch, and how to let some of it pass.
    clock = staticmethod(time.time)
    sleep = staticmethod(time.sleep)

    def __init__(self, hook: ServiceHook, interrupts: Interrupts) -> None:
        self.interrupts = interrupts
        #: What was last seen of each run; a wait that is cut off takes its own results along.
        self.seen: dict[RunId, RunResult] = {}
        self.hook = hook
        self.service: RunService = hook.service()
        self._send, self._close = hook.asker()

    @property
    def secret(self) -> str:
        """The connection's secret, empty where it has none."""
        return str(self.hook.connection.password or "")

    def drive(self, flow: Flow[R]) -> R:
        """Run a flow to its end, or until told to stop."""
        return drive(flow, self._ask, self._interruptible_sleep, side_by_side)

    def drive_to_the_end(self, flow: Flow[R]) -> R:
        """Run a flow to its end, whatever the task is told meanwhile."""
        return drive(flow, self._ask, self.sleep, side_by_side)

    def _interruptible_sleep(self, seconds: float) -> None:
        self.interrupts.sleep(seconds, self.sleep)

    def reload(self) -> bool:
        """Read the connection again; whether it is another one by now, which is used from here on."""
        hook: ServiceHook = resolve_name(self.hook.path)(self.hook.conn_id)
        if hook.endpoint == self.hook.endpoint:
            return False
        self._close()
        self.hook = hook
        self._send, self._close = hook.asker()
        return True

    def close(self) -> None:
        """Give the connections back."""
        self._close()

    def _ask(self, question: Ask[Any]) -> Reply[Any]:
        reply = self._send(question)
        if isinstance(reply.value, RunResult):
            self.seen[reply.value.run_id] = reply.value
        return reply
