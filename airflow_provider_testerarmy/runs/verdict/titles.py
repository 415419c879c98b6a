"""Reads the titles of tests, which reasons and summaries show."""

from __future__ import annotations

from airflow_provider_testerarmy.runs.flow import Flow, ask
from airflow_provider_testerarmy.runs.service import RunRequest, RunService, Scope


def titles_of(service: RunService, request: RunRequest, project_id: str) -> Flow[dict[str, str]]:
    """The titles of the tests of a request, by test id.

    :raises ServiceFault: if a request fails. It is not retried, because a title is not worth a wait.
    """
    if service.list_tests(request, Scope(project_id), "") is None:
        prepared = service.prepare(request)
        if prepared is None:
            return {}
        reply = yield from ask(prepared)
        return {request.target: reply.value.title} if reply.value.title else {}
    titles: dict[str, str] = {}
    cursor = ""
    seen = {cursor}
    while question := service.list_tests(request, Scope(project_id), cursor):
        page = yield from ask(question)
        titles |= {test_id: title for test_id, title in page.value.titles.items() if title}
        cursor = page.value.next_cursor
        # A repeated cursor would loop forever; missing titles do no harm.
        if cursor in seen:
            break
        seen.add(cursor)
    return titles
