"""Checks of the service through a connection: address, certificate, key, clock, rate limit, targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_testerarmy.cli.doctor.faults import explain
from airflow_provider_testerarmy.cli.doctor.findings import Finding, ok, problem, warning
from airflow_provider_testerarmy.client.docket import operations as docket
from airflow_provider_testerarmy.client.http.answer import rate_limit, server_time
from airflow_provider_testerarmy.client.http.errors import (
    ClientError,
    NotFound,
    RequestInvalid,
)
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.http.sender import SyncSender
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.hooks.base import QUICK
from airflow_provider_testerarmy.runs.text import one_line, plural

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.http.operation import Operation
    from airflow_provider_testerarmy.hooks.base import ServiceHook

#: Seconds by which the clocks may differ: lifecycle/worker_wait.py tolerates as many.
MAX_SKEW: Final = 60.0


class Targets(NamedTuple):
    """Ids that a person wants to have checked; None for none."""

    project: str | None = None
    group: str | None = None
    test: str | None = None


def check_service(hook: ServiceHook, targets: Targets) -> Iterator[Finding]:
    """Send cheap requests, of at most 10 s each. None of them starts or changes anything."""
    endpoint = replace(hook.endpoint, timeouts=QUICK)
    with SyncSender(endpoint, policy=ONCE) as client:
        before = datetime.now(UTC)
        first: Operation[Any] = (
            testerarmy.list_projects() if hook.conn_type == "testerarmy" else docket.check_key()
        )
        headers: dict[str, str] = {}
        projects: Any = ()
        try:
            answer = client.send(first)
        except ClientError as error:
            accepted = hook.conn_type == "docket" and isinstance(error, NotFound) and _is_json(error)
            moment = server_time(error.response) if error.response else None
            yield from _clock(moment, before)
            if not accepted:
                yield explain(error, hook)
                return
            headers = rate_limit(error.response) if error.response else {}
        else:
            yield from _clock(answer.server_time, before)
            headers, projects = dict(answer.rate_limit), answer.value
        yield ok("key", f"{hook.service().vendor} accepts the API key.")
        shown = ", ".join(f"{name}: {one_line(value, 100)}" for name, value in headers.items())
        yield ok("rate limit", shown or "The service sends no rate-limit headers.")
        if hook.conn_type == "testerarmy":
            yield from _projects(projects, targets.project, hook)
            yield from _targets(client, targets, hook)


def _projects(projects: Any, wanted: str | None, hook: ServiceHook) -> Iterator[Finding]:
    names = ", ".join(one_line(project.name or project.id, 60) for project in projects[:5])
    more = ", ..." if len(projects) > 5 else ""
    if not projects:
        yield warning(
            "projects", "The key can access no project.", "Create a project, or use another account's key."
        )
    else:
        yield ok("projects", f"The key can access {plural(len(projects), 'project')}: {names}{more}")
    known = {value for project in projects for value in (project.id, project.short_id) if value}
    if wanted and wanted not in known:
        yield problem(
            "project",
            f"The key cannot access the project {one_line(wanted, 60)}.",
            f"Check the id, or store a key of its team in the connection {hook.conn_id!r}.",
        )


def _targets(client: SyncSender, targets: Targets, hook: ServiceHook) -> Iterator[Finding]:
    for name, given, operation in (
        ("group", targets.group, testerarmy.get_group),
        ("test", targets.test, testerarmy.get_test),
    ):
        if not given:
            continue
        try:
            question: Operation[Any] = operation(given)
            client.send(question)
        except NotFound:
            yield problem(
                name,
                f"The key cannot access the {name} {one_line(given, 60)}.",
                f"Check {name}_id in the DAG, or store a key of its team in the connection {hook.conn_id!r}.",
            )
        except RequestInvalid as error:
            yield problem(name, str(error), f"Check {name}_id in the DAG.")
        except ClientError as error:
            yield explain(error, hook)
        else:
            yield ok(name, f"The key can access the {name} {one_line(given, 60)}.")


def _clock(theirs: datetime | None, before: datetime) -> Iterator[Finding]:
    if theirs is None:
        return
    # The service answered between `before` and now, and its Date header has whole seconds.
    least = (before - theirs).total_seconds() - 1.0
    most = (datetime.now(UTC) - theirs).total_seconds()
    skew = max(0.0, least) or min(0.0, most)
    if abs(skew) <= MAX_SKEW:
        yield ok("clock", f"This machine's clock and the service's differ by {abs(skew):.0f} s.")
        return
    direction = "ahead of" if skew > 0 else "behind"
    yield problem(
        "clock",
        f"This machine's clock is {abs(skew) / 60:.1f} minutes {direction} the service's.",
        "Synchronize the clocks of all workers and triggerers (NTP). Deadlines depend on them.",
    )


def _is_json(error: ClientError) -> bool:
    return error.response is not None and "json" in error.response.headers.get("content-type", "")
