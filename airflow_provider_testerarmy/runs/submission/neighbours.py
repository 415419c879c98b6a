"""Tells whether a run of a single test belongs to another task's group.

The claim of a group is stored under one of its runs; see :mod:`airflow_provider_testerarmy.lifecycle.claims`. The
list of one test shows only one run of that group. So the runs that were created beside it are listed too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Scope, ServiceFault
from airflow_provider_testerarmy.runs.submission.setting import Setting, with_retries

#: The runs of a group are created by one request, so within this time of each other.
ONE_REQUEST: Final = timedelta(seconds=30)
#: The most runs whose claims are read: more than a group has.
MOST: Final = 300
#: Stands for the time of a run without one, which no documented answer has.
UNKNOWN: Final = datetime.fromtimestamp(0, UTC)


def is_in_anothers_group(setting: Setting, scope: Scope, run: RunResult) -> Flow[bool | None]:
    """Whether another task has claimed the run as one of a group's; None if that is unknown."""
    beside = yield from _created_beside(setting, scope, run)
    if not beside:
        return None if beside is None else False
    assert setting.claims is not None  # noqa: S101
    others = setting.claims.of_others((run.run_id, *beside), most=MOST)
    return None if others is None else run.run_id in others


def _created_beside(setting: Setting, scope: Scope, run: RunResult) -> Flow[frozenset[RunId] | None]:
    """The ids of the other runs that were created at about the same time; None if the list does not tell."""
    found: set[RunId] = set()
    moment, cursor, seen = _moment(run), "", {""}
    while True:
        question = setting.service.list_neighbours(setting.request, scope, cursor)
        if question is None:
            return frozenset()
        reply = yield from with_retries(setting, lambda question=question: ask(question))  # type: ignore[misc]
        if isinstance(reply, ServiceFault) or moment == UNKNOWN:
            return None
        times = {each.run.run_id: _moment(each.run) for each in reply.value.listed_runs}
        found |= {run_id for run_id, created in times.items() if abs(created - moment) <= ONE_REQUEST}
        cursor = reply.value.next_cursor
        if cursor in seen - {""} or len(found) > MOST:
            return None
        if not cursor or any(created < moment - ONE_REQUEST for created in times.values()):
            return frozenset(found - {run.run_id})
        seen.add(cursor)


def _moment(run: RunResult) -> datetime:
    created = run.created_at or UNKNOWN
    return created if created.tzinfo else created.replace(tzinfo=UTC)
