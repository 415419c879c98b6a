"""Starts runs of the peers' vendors, for operators; they end on command, all at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from benchmarks.server.http import Answer, Request
from benchmarks.server.peers import FIRST_ID, Airbyte, Databricks, DbtCloud, airbyte_job, dbt_run
from benchmarks.timeline import Timeline

#: By vendor: the end of the path that starts a run, and the body of the response for a run's id.
_STARTS: dict[type, tuple[str, Callable[[int], dict[str, Any]]]] = {
    DbtCloud: ("/run/", lambda number: dbt_run(number, 3)),
    Airbyte: ("/jobs", lambda number: airbyte_job(number, "running")),
    Databricks: ("/run-now", lambda number: {"run_id": number, "number_in_job": number}),
}


class Starting:
    """A peer's vendor that also starts runs. Runs get their numbers in the order in which they are started.

    :param kind: the class of the vendor.
    :param timeline: of all runs that can be started.
    """

    def __init__(self, kind: type[DbtCloud | Airbyte | Databricks], timeline: Timeline) -> None:
        self._vendor = kind(timeline)
        self._timeline = timeline
        self._path, self._body = _STARTS[kind]
        self._started = 0

    def respond(self, request: Request, now: float) -> Answer:
        """Start a run, or respond as the vendor does."""
        if request.method == "POST" and request.path.endswith(self._path):
            if self._started == self._timeline.count:
                return Answer(b'{"message":"no more runs"}', 404)
            self._timeline.starts[self._started] = now
            self._started += 1
            return Answer(json.dumps(self._body(FIRST_ID + self._started - 1)).encode())
        if not request.body and (given := parse_qs(request.query).get("run_id")):
            # The operators of Databricks send the id in the query, the trigger sends it in a body.
            request = request._replace(body=json.dumps({"run_id": given[0]}).encode())
        return self._vendor.respond(request, now)

    def end(self, now: float) -> int:
        """End all runs that were started; returns their number."""
        for number in range(self._started):
            self._timeline.ends[number] = min(self._timeline.ends[number], now)
        return self._started
