"""TesterArmy in the simulated world: the sandbox's engine without its socket, and the log that the judge reads."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

from airflow_provider_testerarmy.sandbox.core.errors import ApiError
from airflow_provider_testerarmy.sandbox.testerarmy import outputs, render
from airflow_provider_testerarmy.sandbox.testerarmy.bodies import GroupBody
from airflow_provider_testerarmy.sandbox.testerarmy.calls import parse_cursor
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import PROJECTS, Catalog, Group, SavedTest
from airflow_provider_testerarmy.sandbox.testerarmy.engine import ended_at, is_active, status_at
from airflow_provider_testerarmy.sandbox.testerarmy.groups_api import add_member, new_group, remove_group
from airflow_provider_testerarmy.sandbox.testerarmy.runs_api import _batch_document
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest, RunStore
from tests.simulation.kernel import EPOCH, World

ORIGIN = "https://sandbox"
KEY = "sk_first"


class _Clock:
    def __init__(self, world: World, skew: float) -> None:
        self._world, self._skew = world, skew

    def time(self) -> float:
        return round(EPOCH + self._world.now + self._skew, 6)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


@dataclass(slots=True)
class Entry:
    """A line of the vendor's log: an accepted submission, or a cancelled run.

    :param peer: the client's address: which process of which task has sent it.
    """

    at: float
    effect: str
    peer: str
    run_ids: list[str]


@dataclass(slots=True)
class GroupEntry:
    """A line of the log of temporary groups: one was created or deleted."""

    at: float
    effect: str
    peer: str
    group_id: str


@dataclass(slots=True)
class Reply:
    """An answer on the wire."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Vendor:
    """The service, as the network reaches it.

    :param tests: the saved tests, whose scripts say how their runs go.
    :param skew: seconds by which the service's clock is ahead of true time.
    :param date_skew: seconds by which its ``Date`` header is ahead of the times in its answers.
    """

    def __init__(
        self,
        world: World,
        tests: Sequence[SavedTest],
        groups: Sequence[Group] = (),
        *,
        skew: float = 0.0,
        date_skew: float = 0.0,
    ) -> None:
        self.world = world
        self.clock = _Clock(world, skew)
        self.date_skew = date_skew
        self.store = RunStore(self.clock, Catalog(PROJECTS, tests, groups))  # type: ignore[arg-type]
        self.keys = {KEY}
        self.log: list[Entry] = []
        self.group_log: list[GroupEntry] = []
        #: Which peers have read each run by its id.
        self.readers: dict[str, set[str]] = {}
        #: Seconds that lists lag behind, and that new runs stay hidden.
        self.list_lag = 0.0
        #: Seconds that new runs stay hidden, at least.
        self.hidden = 0.0
        #: The peer that asks now.
        self._peer = ""
        self._ids = world.stream("ids")

    def uuid4(self) -> uuid.UUID:
        """Ids from the world's seed instead of the machine's chance."""
        return uuid.UUID(int=self._ids.getrandbits(128), version=4)

    def serve(self, peer: str, key: str, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
        """Answer one request."""
        self._peer = peer
        if key not in self.keys:
            return self._error(ApiError(401, "UNAUTHORIZED", "Unknown API key"))
        try:
            for verb, pattern, handler in _ROUTES:
                if verb == method and (found := pattern.fullmatch(path)):
                    return handler(self, *map(unquote, found.groups()), query=query, body=body or {})
        except ApiError as error:
            return self._error(error)
        return self._error(ApiError(404, "NOT_FOUND", path))

    def start_foreign(self, test_id: str, source: str) -> str:
        """Somebody else starts a run of the same test; its id.

        :param source: what the service says of it: ``scheduled``, or ``structured_test``, which it also says of a
            saved test's run that the API started.
        """
        request = RunRequest({"testId": test_id}, foreign=source)
        return self.store.submit_test(self.store.catalog.tests[test_id], request).id

    def error_reply(self, status: int, code: str, headers: dict[str, str] | None = None) -> Reply:
        """An error in the service's own format."""
        reply = self._error(ApiError(status, code, "a fault"))
        reply.headers.update(headers or {})
        return reply

    def html_reply(self, status: int) -> Reply:
        """The page of a proxy that stands in between."""
        return Reply(status, b"<html>no</html>", {"content-type": "text/html", "date": self._date()})

    # -- for the judge

    def runs_by(self, prefix: str) -> list[Any]:
        """The runs whose submission came from peers whose names begin so, oldest first."""
        ids = [
            run_id
            for entry in self.log
            if entry.effect == "submitted" and entry.peer.startswith(prefix)
            for run_id in entry.run_ids
        ]
        return [self.store.runs[run_id] for run_id in ids]

    def state_of(self, run_id: str) -> str:
        """The outcome of a run by now: ``active``, or how it ended."""
        run = self.store.runs[run_id]
        now = self.clock.time()
        if is_active(run, now):
            return "active"
        status = status_at(run, now)
        if status == "completed":
            return _RESULTS.get(run.outcome.output, "unknown")
        return {"failed": "errored"}.get(status, status)

    def ended_at(self, run_id: str) -> float:
        """When a run ended or will end, in the world's seconds; infinity for never."""
        return ended_at(self.store.runs[run_id]) - EPOCH - self.clock._skew

    # -- routes

    def _submit_test(self, test_id: str, query: Any, body: Any) -> Reply:
        test = self.store.catalog.tests.get(test_id)
        if test is None:
            raise ApiError(404, "NOT_FOUND", f"Test {test_id} not found")
        request = replace(self._request(body), input={"testId": test_id, **body})
        run = self.store.submit_test(test, request)
        self._note("submitted", [run.id])
        return self._json({"status": "queued", "runId": run.id, "testId": test_id}, 202)

    def _submit_group(self, group_id: str, query: Any, body: Any) -> Reply:
        group = self.store.catalog.groups.get(group_id)
        if group is None:
            raise ApiError(404, "NOT_FOUND", f"Group {group_id} not found")
        batch = self.store.submit_group(group, self._request(body))
        self._note("submitted", [run.id for run in batch.runs])
        return self._json(_batch_document(batch), 202)

    def _request(self, body: Any) -> RunRequest:
        return RunRequest(input=body, platform=body.get("platform"), list_lag=max(self.list_lag, self.hidden))

    def _cancel_run(self, run_id: str, query: Any, body: Any) -> Reply:
        run = self.store.cancel_run(run_id)
        self._note("cancelled", [run.id])
        return self._json({"id": run.id, "status": "cancelled"})

    def _cancel_batch(self, batch_id: str, query: Any, body: Any) -> Reply:
        cancelled, finished, _ = self.store.cancel_batch(batch_id)
        self._note("cancelled", cancelled)
        counts = {"cancelled": len(cancelled), "alreadyFinished": len(finished)}
        lists = {"cancelledRunIds": cancelled, "alreadyFinishedRunIds": finished}
        return self._json({"batchId": batch_id} | counts | lists)

    def _get_run(self, run_id: str, query: Any, body: Any) -> Reply:
        run, now = self.store.find_run(run_id), self.clock.time()
        if run.visible_from > now:
            raise ApiError(404, "NOT_FOUND", "not yet")
        self.readers.setdefault(run_id, set()).add(self._peer)
        return Reply(200, render.run_bytes(run, now, ORIGIN), self._headers())

    def _list_runs(self, query: Any, body: Any) -> Reply:
        now = self.clock.time() - self.list_lag
        runs, following = self.store.list_runs(
            int(query.get("limit", 20)),
            status=query.get("status"),
            project_id=query.get("projectId"),
            test_id=query.get("testId"),
            before=parse_cursor(query.get("cursor")),
            now=now,
        )
        page = b",".join(render.run_bytes(run, now, ORIGIN) for run in runs)
        text = b'{"runs":[' + page + b'],"nextCursor":' + json.dumps(following).encode() + b"}"
        return Reply(200, text, self._headers())

    def _get_test(self, test_id: str, query: Any, body: Any) -> Reply:
        test = self.store.catalog.tests.get(test_id)
        if test is None:
            raise ApiError(404, "NOT_FOUND", "no such test")
        return self._json(render.test_detail(test, self.store.catalog))

    def _get_group(self, group_id: str, query: Any, body: Any) -> Reply:
        group = self.store.catalog.groups.get(group_id)
        if group is None:
            raise ApiError(404, "NOT_FOUND", "no such group")
        return self._json(render.group_detail(group))

    def _list_groups(self, query: Any, body: Any) -> Reply:
        groups = self.store.catalog.groups.values()
        found = [render.group_summary(each) for each in groups if each.project_id == query["projectId"]]
        return self._json({"groups": found})

    def _create_group(self, query: Any, body: Any) -> Reply:
        group = new_group(self.store.catalog, str(self.uuid4()), GroupBody.model_validate(body))
        self._note_group("created", group.id)
        return self._json({"group": render.new_group(group)}, 201)

    def _add_test(self, group_id: str, query: Any, body: Any) -> Reply:
        added = add_member(self.store.catalog, group_id, body["testId"])
        return self._json({"groupId": group_id, "testId": body["testId"], "added": added}, 201)

    def _delete_group(self, group_id: str, query: Any, body: Any) -> Reply:
        remove_group(self.store.catalog, group_id)
        self._note_group("deleted", group_id)
        return self._json({"deleted": True, "id": group_id})

    def _note_group(self, effect: str, group_id: str) -> None:
        self.group_log.append(GroupEntry(self.world.now, effect, self._peer, group_id))
        self.world.note("vendor", f"{effect} group {group_id[:8]} for {self._peer}")

    def _list_tests(self, query: Any, body: Any) -> Reply:
        known = self.store.catalog
        if query.get("groupId") not in {None, *known.groups}:
            raise ApiError(404, "NOT_FOUND", "no such group")
        tests = known.tests_of(query["projectId"], query.get("groupId"))
        documents = [render.test_document(test, known) for test in tests]
        return self._json({"tests": documents, "nextCursor": None})

    def _note(self, effect: str, run_ids: list[str]) -> None:
        if run_ids:
            self.log.append(Entry(self.world.now, effect, self._peer, run_ids))
            short = ", ".join(run_id[:8] for run_id in run_ids)
            self.world.note("vendor", f"{effect} {short} for {self._peer}")

    def _json(self, document: Any, status: int = 200) -> Reply:
        return Reply(status, json.dumps(document).encode(), self._headers())

    def _error(self, error: ApiError) -> Reply:
        body = {"error": error.code, "message": error.message}
        return Reply(error.status, json.dumps(body).encode(), self._headers())

    def _headers(self) -> dict[str, str]:
        return {"content-type": "application/json", "date": self._date()}

    def _date(self) -> str:
        return format_datetime(self.clock.now() + timedelta(seconds=self.date_skew), usegmt=True)


_Handler = Callable[..., Reply]
_ROUTES: tuple[tuple[str, re.Pattern[str], _Handler], ...] = tuple(
    (verb, re.compile(pattern), handler)
    for verb, pattern, handler in (
        ("GET", r"/runs/([^/]+)", Vendor._get_run),
        ("GET", r"/runs", Vendor._list_runs),
        ("GET", r"/tests/([^/]+)", Vendor._get_test),
        ("GET", r"/tests", Vendor._list_tests),
        ("GET", r"/groups/([^/]+)", Vendor._get_group),
        ("GET", r"/groups", Vendor._list_groups),
        ("POST", r"/groups", Vendor._create_group),
        ("POST", r"/groups/([^/]+)/tests", Vendor._add_test),
        ("DELETE", r"/groups/([^/]+)", Vendor._delete_group),
        ("POST", r"/tests/([^/]+)/runs", Vendor._submit_test),
        ("POST", r"/groups/([^/]+)/runs", Vendor._submit_group),
        ("POST", r"/runs/([^/]+)/cancel", Vendor._cancel_run),
        ("POST", r"/batches/([^/]+)/cancel", Vendor._cancel_batch),
    )
)
_RESULTS = {outputs.passed: "passed", outputs.failed: "failed", outputs.skipped: "skipped"}
