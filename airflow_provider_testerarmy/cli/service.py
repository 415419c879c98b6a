"""The service of a connection, for commands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.cli.command import CommandFailed
from airflow_provider_testerarmy.client.http.errors import NotFound
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.runs.flow import Flow, drive, side_by_side
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Ask, Page, Reply
from airflow_provider_testerarmy.runs.text import one_line

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

R = TypeVar("R")


def hook_for(connection: Any, conn_id: str) -> ServiceHook:
    """The hook of a connection that has been read.

    :raises CommandFailed: if it is a connection of another type.
    """
    types = {
        each["connection-type"]: each["hook-class-name"] for each in get_provider_info()["connection-types"]
    }
    if connection.conn_type not in types:
        raise CommandFailed(
            f"The connection {conn_id!r} has the type {one_line(str(connection.conn_type), 50)!r}. "
            f"Set it to {' or '.join(types)}."
        )
    hook: ServiceHook = resolve_name(types[connection.conn_type])(conn_id)
    hook.use(connection)
    return hook


def open_hook(conn_id: str, dag_id: str | None = None) -> ServiceHook:
    """The hook of an Airflow connection.

    :param dag_id: reads the connection as a task of this DAG does.
    :raises CommandFailed: if there is no such connection, or one of another type.
    """
    try:
        connection = airflow_compat.read_connection(conn_id, dag_id)
    except airflow_compat.AirflowNotFoundException:
        raise CommandFailed(
            f"There is no connection {conn_id!r}. Create it in Airflow, or name another one with --conn-id."
        ) from None
    return hook_for(connection, conn_id)


def as_run_id(hook: ServiceHook, text: str) -> RunId:
    """A run id from the command line in the form that the service uses.

    :raises CommandFailed: for Docket, if it is not a number.
    """
    if hook.conn_type != "docket":
        return text.strip()
    if not text.strip().isdecimal():
        raise CommandFailed(f"{one_line(text, 50)!r} is not a run of Docket: its ids are numbers.")
    return int(text)


class Requests:
    """Sends the requests of a flow through a hook.

    :param seen: receives each run that an answer shows.
    """

    def __init__(self, hook: ServiceHook, seen: Callable[[RunResult], None] = lambda _run: None) -> None:
        self.service = hook.service()
        self._send, self._close = hook.asker()
        self._seen = seen

    def send(self, question: Ask[Any]) -> Reply[Any]:
        """Send one request.

        :raises ServiceFault: if it fails.
        """
        reply = self._send(question)
        if isinstance(reply.value, RunResult):
            self._seen(reply.value)
        elif isinstance(reply.value, Page):
            for listed in reply.value.listed_runs:
                self._seen(listed.run)
        return reply

    def drive(self, flow: Flow[R], sleep: Callable[[float], None] = time.sleep) -> R:
        """Run a flow to its end."""
        return drive(flow, self.send, sleep, lambda _send, questions: side_by_side(self.send, questions))

    def close(self) -> None:
        """Close the HTTP connections."""
        self._close()


@contextmanager
def requests_to(
    hook: ServiceHook, seen: Callable[[RunResult], None] = lambda _run: None
) -> Iterator[Requests]:
    """The requests through a hook, whose connections are closed at the end."""
    requests = Requests(hook, seen)
    try:
        yield requests
    finally:
        requests.close()


def fetch_runs(hook: ServiceHook, run_ids: Sequence[str | int]) -> list[RunResult]:
    """The runs with all of their details, in order. Each request is retried.

    :raises CommandFailed: if the service does not know one of them.
    :raises ClientError: if a request fails.
    """
    service, found = hook.service(), []
    try:
        for run_id in dict.fromkeys(run_ids):
            known = run_id if isinstance(run_id, int) else as_run_id(hook, run_id)
            question: Any = service.fetch(known)
            try:
                found.append(hook.send(question))
            except NotFound:
                raise CommandFailed(
                    f"{service.vendor} does not know the run {one_line(str(run_id), 100)}. Check the id, and "
                    f"that the connection {hook.conn_id!r} belongs to its account."
                ) from None
    finally:
        hook.close()
    return found
