"""One try of a task that creates or deletes what test runs need, e.g. an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_provider_testerarmy.exceptions import RunInterrupted, resource_error, submit_error
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupted, Interrupts
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs import resources
from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.service import Ask, RunRequest, ServiceFault
from airflow_provider_testerarmy.runs.submission.setting import (
    Setting,
    SubmitEnd,
    Submitted,
    not_started,
    with_retries,
)

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

T = TypeVar("T")

#: Seconds for which a task that is being stopped retries. Airflow sends SIGKILL 5 s after SIGTERM.
_BRIEF: Final = 2.0
_LOOKS: Final = (0.2, 0.8)


class ResourceTry:
    """Sends the requests of one try.

    :param label: the object in messages, e.g. ``environment 'PR 7'``.
    :param max_outage: seconds for which a request is retried.
    """

    def __init__(self, hook: ServiceHook, label: str, max_outage: float, log: Any) -> None:
        self._label = label
        self._max_outage = max_outage
        self._log = log
        self._interrupts = Interrupts()
        self._session = ServiceSession(hook, self._interrupts)
        self._sent = False

    def kill(self) -> None:
        """Request that the task stops."""
        self._interrupts.kill()

    def close(self) -> None:
        """Close the HTTP connections."""
        self._session.close()

    @contextmanager
    def guarded(self) -> Iterator[ResourceTry]:
        """A block whose faults become the task's exceptions.

        :raises TestRunError: for every failure.
        """
        try:
            yield self
        except ServiceFault as fault:
            raise resource_error(fault, self._label) from fault
        except Interrupted:
            raise RunInterrupted(f"The task was stopped, so the {self._label} is not ready.") from None
        finally:
            self.close()

    def ask(self, question: Ask[T]) -> T:
        """The response to an idempotent request."""
        return self._session.drive(resources.reply_to(self._setting(), question))

    @property
    def max_per_second(self) -> float:
        """The rate limit of the connection, in requests per second."""
        return self._session.hook.max_requests_per_second

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._session.clock()

    def pause(self, seconds: float) -> None:
        """Wait, or stop here if a stop was requested.

        :raises Interrupted: if it was.
        """
        self._session.drive(pause(seconds))

    def check(self) -> None:
        """Stop here if a stop was requested.

        :raises Interrupted: if it was.
        """
        self._interrupts.check()

    def send(self, prepare: Callable[[], Ask[T]], put: Callable[[T], Ask[Any]]) -> T:
        """Send bytes to an address of their own, which each retry requests anew.

        :param prepare: builds the request for an address.
        :param put: builds the request that sends the bytes there.
        :return: the response to ``prepare`` for the bytes that arrived.
        """
        return self._session.drive(resources.send(self._setting(), prepare, put))

    def ensure(
        self, find: Ask[T | None], create: Ask[T], delete: Callable[[T], Ask[Any]] | None
    ) -> resources.Ensured[T]:
        """Find an object or create it. A task that is stopped meanwhile deletes what it has created.

        :param delete: builds the request that deletes the object; None if the API has none.
        """
        ready: resources.Ensured[T] | None = None
        try:
            self._interrupts.check()
            ready = self._session.drive(resources.ensure(self._setting(), find, create, self._note_sending))
            self._interrupts.check()
        except Interrupted:
            if delete is not None:
                self._take_back(ready, find, delete)
            raise
        return ready

    def start_once(self, question: Ask[T]) -> T:
        """The response to a request that starts runs. It is repeated only while it cannot have had an effect.

        :raises TestRunError: if there is no response.
        """
        self._interrupts.check()
        reply = self._session.drive_to_the_end(with_retries(self._setting(), lambda: ask(question)))
        if not isinstance(reply, ServiceFault):
            return reply.value
        ended = not_started(reply)
        if reply.may_have_effect:
            ended = Submitted(SubmitEnd.UNCLEAR, message=reply.message)
        raise submit_error(ended, self._label, remembered=False)

    def remove(self, delete: Ask[Any]) -> bool:
        """Delete an object; return False if it does not exist. A stop does not interrupt it."""
        return self._session.drive_to_the_end(resources.remove(self._setting(), delete))

    def _note_sending(self) -> None:
        self._sent = True

    def _take_back(
        self, ready: resources.Ensured[T] | None, find: Ask[T | None], delete: Callable[[T], Ask[Any]]
    ) -> None:
        if not self._sent or (ready is not None and not ready.made):
            return
        try:
            value = ready.value if ready else self._to_the_end(resources.search(self._brief(), find, _LOOKS))
            if value is not None and self._to_the_end(resources.remove(self._brief(), delete(value))):
                self._log.info("The task was stopped, so the %s was deleted again.", self._label)
        except ServiceFault as fault:
            self._log.warning(
                "The task was stopped, and the %s may still exist (%s). Delete it on the dashboard.",
                *(self._label, fault.message),
            )

    def _to_the_end(self, flow: Flow[T]) -> T:
        return self._session.drive_to_the_end(flow)

    def _brief(self) -> Setting:
        return self._setting(_BRIEF)

    def _setting(self, max_outage: float | None = None) -> Setting:
        return Setting(
            self._session.service,
            RunRequest(self._label, ""),
            None,
            max_outage or self._max_outage,
            self._session.clock,
            self._log.info,
        )
