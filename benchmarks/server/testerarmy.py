"""Responses of TesterArmy: the account's runs, in pages and one by one, rendered by the sandbox.

The sandbox itself is not used as the server: it logs, validates and injects faults, so it would be the bottleneck.
"""

from __future__ import annotations

import json
import math
import time
from urllib.parse import parse_qs

from airflow_provider_testerarmy.sandbox.testerarmy.catalog import PROJECT_LOAD, SavedTest, bulk_test_id
from airflow_provider_testerarmy.sandbox.testerarmy.engine import Run
from airflow_provider_testerarmy.sandbox.testerarmy.outputs import failed, passed
from airflow_provider_testerarmy.sandbox.testerarmy.render import run_document
from airflow_provider_testerarmy.sandbox.testerarmy.scripts import Outcome, Phase
from benchmarks.server.http import Answer, Request
from benchmarks.timeline import Timeline

PREFIX = "/api/v1"
#: For every 20 awaited runs, the account has one active and one ended run of other people.
FOREIGN_EVERY = 20
#: The number of older runs in the account; all have ended.
HISTORY = 500
#: Every fourth run fails; its output is larger than that of a pass.
FAILS_EVERY = 4

_TESTS = 1000
_ORIGIN = "https://tester.army"
_NOT_FOUND = Answer(b'{"error":"NOT_FOUND","message":"Run not found"}', 404)


def run_id(number: int) -> str:
    """The id of the awaited run with this number."""
    return f"70000000-0000-4000-8000-{number:012d}"


class TesterArmy:
    """The account.

    :param timeline: when the awaited runs start and end; other people's runs never change.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._numbers = {run_id(number): number for number in range(timeline.count)}
        #: All runs, newest first: an awaited run as its number, any other run as its status and body.
        self._order: list[int | tuple[str, bytes]] = []
        for number in range(timeline.count - 1, -1, -1):
            self._order.append(number)
            if number % FOREIGN_EVERY == 0:
                self._order += [_foreign(number, "running"), _foreign(number + 1, "completed")]
        self._order += [_foreign(1_000_000 + number, "completed") for number in range(HISTORY)]
        self._bodies: dict[tuple[int, str], bytes] = {}

    def respond(self, request: Request, now: float) -> Answer:
        """Respond to ``GET /runs`` and ``GET /runs/{id}``."""
        path = request.path.removeprefix(PREFIX)
        if path == "/runs":
            return self._list(request.query, now)
        number = self._numbers.get(path.removeprefix("/runs/"))
        return _NOT_FOUND if number is None else Answer(self._shown(number, now)[1])

    def _list(self, query: str, now: float) -> Answer:
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        limit, status = int(given.get("limit", "20")), given.get("status")
        page: list[bytes] = []
        following = None
        for position in range(int(given.get("cursor", "0")), len(self._order)):
            shown = self._shown(self._order[position], now)
            if status in (None, shown[0]):
                if len(page) == limit:
                    following = str(position)
                    break
                page.append(shown[1])
        return Answer(b'{"runs":[' + b",".join(page) + b'],"nextCursor":' + _json(following) + b"}")

    def _shown(self, entry: int | tuple[str, bytes], now: float) -> tuple[str, bytes]:
        """The status and the body of a run."""
        if isinstance(entry, tuple):
            return entry
        status = self._status(entry, now)
        body = self._bodies.get((entry, status))
        if body is None:
            body = self._bodies[entry, status] = _body(run_id(entry), entry, status)
        return status, body

    def _status(self, number: int, now: float) -> str:
        if self._timeline.ended(number, now):
            return "completed"
        return "running" if self._timeline.started(number, now) else "queued"


def _foreign(number: int, status: str) -> tuple[str, bytes]:
    return status, _body(f"71000000-0000-4000-8000-{number:012d}", number, status)


def _body(identifier: str, number: int, status: str) -> bytes:
    """A run as the sandbox renders it; its times are those of the first request, because nothing reads them."""
    now = time.time()
    queue = Phase("queued", math.inf if status == "queued" else 1.0)
    work = Phase("running", 90.0 if status == "completed" else math.inf)
    output = failed if number % FAILS_EVERY == 0 else passed
    outcome = Outcome((queue, work, Phase("completed")), output, auto_retry_count=0)
    test = SavedTest(bulk_test_id(number % _TESTS + 1), f"Check-out {number}", "passes", 90.0, PROJECT_LOAD)
    run = Run(
        identifier,
        now - 120.0,
        "passes",
        outcome,
        {"testId": test.id, "mode": "fast"},
        90.0,
        test=test,
        project_id=PROJECT_LOAD,
    )
    return json.dumps(run_document(run, now, _ORIGIN), separators=(",", ":")).encode("ascii")


def _json(value: str | None) -> bytes:
    return json.dumps(value).encode()
