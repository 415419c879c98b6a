"""Responses of dbt Cloud, Airbyte and Databricks for one run, with the fields that their APIs document."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.server.http import Answer, Request
from benchmarks.timeline import Timeline

_NOT_FOUND = Answer(b'{"message":"not found"}', 404)
#: The id of run 0, for vendors with integer ids.
FIRST_ID = 1000
_TIME = "2026-02-11 12:00:00.000000+00:00"


class DbtCloud:
    """``GET /api/v2/accounts/{account}/runs/{run}/`` of dbt Cloud."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._bodies: dict[tuple[int, int], bytes] = {}

    def respond(self, request: Request, now: float) -> Answer:
        """Return the run: status 1 is queued, 3 running, 10 success."""
        number = _number(request.path.rstrip("/").rpartition("/")[2], self._timeline)
        if number is None:
            return _NOT_FOUND
        status = 10 if self._timeline.ended(number, now) else 3 if self._timeline.started(number, now) else 1
        key = number, status
        if key not in self._bodies:
            self._bodies[key] = _json(dbt_run(FIRST_ID + number, status))
        return Answer(self._bodies[key])


def dbt_run(number: int, status: int) -> dict[str, Any]:
    """A job run of dbt Cloud's administrative API, version 2."""
    over = status == 10
    unset = dict.fromkeys(
        ["git_branch", "git_sha", "status_message", "owner_thread_id", "executed_by_thread_id", "deferring_run_id",
         "artifact_s3_path", "trigger", "job", "environment", "notifications_sent", "scribe_enabled"]
    )  # fmt: skip
    durations = {
        f"{name}_{suffix}": value
        for name in ("duration", "queued_duration", "run_duration")
        for suffix, value in (("humanized", "1 minute, 12 seconds"),)
    }
    data: dict[str, Any] = {
        **unset,
        **durations,
        "id": number,
        "trigger_id": number + 1,
        "account_id": 1,
        "environment_id": 25,
        "project_id": 7,
        "job_definition_id": 1000 + number,
        "status": status,
        "status_humanized": {1: "Queued", 3: "Running", 10: "Success"}[status],
        "dbt_version": "1.9.0-latest",
        "artifacts_saved": over,
        "has_docs_generated": False,
        "has_sources_generated": False,
        "created_at": _TIME,
        "updated_at": _TIME,
        "dequeued_at": None if status == 1 else _TIME,
        "started_at": None if status == 1 else _TIME,
        "finished_at": _TIME if over else None,
        "last_checked_at": None,
        "last_heartbeat_at": None,
        "should_start_at": _TIME,
        "duration": "00:01:12",
        "queued_duration": "00:00:02",
        "run_duration": "00:01:10",
        "in_progress": not over,
        "is_complete": over,
        "is_success": over,
        "is_error": False,
        "is_cancelled": False,
        "href": f"https://cloud.getdbt.com/deploy/1/projects/7/runs/{number}/",
        "run_steps": [],
    }
    status_part = {"code": 200, "is_success": True, "user_message": "Success!", "developer_message": ""}
    return {"status": status_part, "data": data}


class Airbyte:
    """``GET /v1/jobs/{job}`` of Airbyte, and its ``POST /v1/applications/token``."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def respond(self, request: Request, now: float) -> Answer:
        """Return the job, or a token."""
        if request.path.endswith("/applications/token"):
            return Answer(_json({"access_token": "bench-" * 100, "token_type": "Bearer", "expires_in": 900}))
        number = _number(request.path.rpartition("/")[2], self._timeline)
        if number is None:
            return _NOT_FOUND
        if self._timeline.ended(number, now):
            return Answer(_json(airbyte_job(FIRST_ID + number, "succeeded")))
        return Answer(
            _json(
                airbyte_job(
                    FIRST_ID + number, "running" if self._timeline.started(number, now) else "pending"
                )
            )
        )


def airbyte_job(number: int, status: str) -> dict[str, Any]:
    """A job of Airbyte's public API."""
    return {
        "jobId": number,
        "status": status,
        "jobType": "sync",
        "startTime": "2026-02-11T12:00:00Z",
        "connectionId": f"80000000-0000-4000-8000-{number:012d}",
        "lastUpdatedAt": "2026-02-11T12:01:00Z",
        "duration": "PT1M12S",
        "bytesSynced": 123_456,
        "rowsSynced": 789,
    }


class Databricks:
    """``GET /api/2.2/jobs/runs/get`` of Databricks; the provider sends the run id in a JSON body."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._bodies: dict[tuple[int, str], bytes] = {}

    def respond(self, request: Request, now: float) -> Answer:
        """Return the run."""
        given = str(json.loads(request.body or b"{}").get("run_id", ""))
        number = _number(given, self._timeline)
        if number is None or request.path != "/api/2.2/jobs/runs/get":
            return _NOT_FOUND
        status = "QUEUED"
        if self._timeline.ended(number, now):
            status = "TERMINATED"
        elif self._timeline.started(number, now):
            status = "RUNNING"
        key = number, status
        if key not in self._bodies:
            self._bodies[key] = _json(databricks_run(FIRST_ID + number, status))
        return Answer(self._bodies[key])


def databricks_run(number: int, status: str) -> dict[str, Any]:
    """A run with one task, as in version 2.2 of Databricks' Jobs API."""
    over = status == "TERMINATED"
    state: dict[str, Any] = {"life_cycle_state": status, "state_message": ""}
    if over:
        state["result_state"] = "SUCCESS"
    timing = {
        "start_time": 1_770_811_200_000,
        "setup_duration": 1000,
        "execution_duration": 70_000 if over else 0,
        "cleanup_duration": 0,
        "end_time": 1_770_811_272_000 if over else 0,
        "state": state,
    }
    notebook = {"notebook_path": "/Shared/nightly", "source": "WORKSPACE"}
    cluster = {"spark_version": "16.4.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 2}
    task = {
        **timing,
        "run_id": number + 1_000_000,
        "task_key": "nightly",
        "notebook_task": notebook,
        "new_cluster": cluster,
        "cluster_instance": {"cluster_id": "0211-120000-abcdefgh", "spark_context_id": "4348585301701786933"},
        "attempt_number": 0,
    }
    return {
        **timing,
        "job_id": 1000 + number,
        "run_id": number,
        "number_in_job": number,
        "original_attempt_run_id": number,
        "creator_user_name": "someone@example.com",
        "trigger": "ONE_TIME",
        "run_name": f"nightly {number}",
        "run_page_url": f"https://example.cloud.databricks.com/?o=1#job/{1000 + number}/run/{number}",
        "run_type": "JOB_RUN",
        "format": "MULTI_TASK",
        "status": {"state": status},
        "tasks": [task],
    }


def _number(text: str, timeline: Timeline) -> int | None:
    number = int(text) - FIRST_ID if text.isdigit() else -1
    return number if 0 <= number < timeline.count else None


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
