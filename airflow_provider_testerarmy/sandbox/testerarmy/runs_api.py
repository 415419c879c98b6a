"""The routes of the TesterArmy API that start, cancel and show runs."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import Body, read_body
from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request, not_found
from airflow_provider_testerarmy.sandbox.core.http import (
    foreign_of,
    json_answer,
    list_lag_of,
    origin_of,
    sandbox_of,
)
from airflow_provider_testerarmy.sandbox.testerarmy import render
from airflow_provider_testerarmy.sandbox.testerarmy.bodies import GroupRunBody, PromptRunBody, TestRunBody
from airflow_provider_testerarmy.sandbox.testerarmy.calls import (
    Limit,
    find_group,
    find_test,
    parse_cursor,
    script_in,
    store_of,
    uuid_path,
    uuid_query,
)
from airflow_provider_testerarmy.sandbox.testerarmy.engine import Run, status_at
from airflow_provider_testerarmy.sandbox.testerarmy.store import Batch, RunRequest, RunStore

STATUS_PATTERN = r"^(?:queued|running|completed|failed|cancelled)$"

router = APIRouter()


@router.post("/tests/{testId}/runs")
async def trigger_test(request: Request, test_id: Annotated[str, uuid_path("testId")]) -> Response:
    """Start one run of a saved test."""
    body = await read_body(request, TestRunBody)
    store = store_of(request)
    test = find_test(store.catalog, test_id)
    check_references(body, store, test.project_id)
    fields = {"testId": test.id, **body.sent()}
    run = store.submit_test(test, run_request(request, fields))
    note_submission(request, [run.id])
    # The OpenAPI document allows no status but `queued` here, so a rejected run is reported as queued as well.
    return json_answer({"status": "queued", "runId": run.id, "testId": test.id}, 202)


@router.post("/groups/{groupId}/runs")
async def trigger_group(request: Request, group_id: Annotated[str, uuid_path("groupId")]) -> Response:
    """Start all runnable tests of a group."""
    body = await read_body(request, GroupRunBody)
    store = store_of(request)
    group = find_group(store.catalog, group_id)
    check_references(body, store, group.project_id)
    batch = store.submit_group(group, run_request(request, body.sent()))
    note_submission(request, [run.id for run in batch.runs], batch.id)
    metadata = {"metadata": {"github": NO_GITHUB}} if body.commit_sha or body.pr_number else {}
    return json_answer(_batch_document(batch) | metadata, 202)


NO_GITHUB = {
    "configured": False,
    "checkRunCreated": False,
    "commentTargetResolved": False,
    "status": "not_configured",
}


@router.post("/runs")
async def trigger_prompt(request: Request) -> Response:
    """Start a run of a prompt; `[sandbox:NAME]` in the prompt selects a script."""
    body = await read_body(request, PromptRunBody)
    if not body.prompt.strip():
        raise bad_request("BAD_REQUEST", "prompt: must not be empty")
    script = script_in(body.prompt)
    store = store_of(request)
    fields = {"prompt": body.prompt}  # never the credentials
    asked = RunRequest(
        fields, webhook_url=body.webhook_url, list_lag=list_lag_of(request), foreign=foreign_of(request)
    )
    run = store.submit_prompt(script, asked)
    note_submission(request, [run.id])
    status = status_at(run, run.created)
    return json_answer({"id": run.id, "status": status, "createdAt": run.created_iso}, 202)


@router.post("/batches/{batchId}/rerun")
async def rerun_batch(request: Request, batch_id: Annotated[str, uuid_path("batchId")]) -> Response:
    """Start the tests of a finished batch again."""
    batch, skipped = store_of(request).rerun_batch(batch_id.lower(), list_lag_of(request))
    note_submission(request, [run.id for run in batch.runs], batch.id)
    more = {"sourceBatchId": batch.source_batch_id, "skippedTestIds": skipped}
    return json_answer(_batch_document(batch) | more, 202)


@router.post("/runs/{id}/cancel")
async def cancel_run(request: Request, run_id: Annotated[str, uuid_path("id")]) -> Response:
    """Cancel a queued or running run."""
    sandbox = sandbox_of(request)
    run = store_of(request).cancel_run(run_id.lower())
    sandbox.log.record_effect(request.scope["sandbox.entry"], "cancelled", [run.id], run.batch_id)
    return json_answer({"id": run.id, "status": "cancelled"})


@router.post("/batches/{batchId}/cancel")
async def cancel_batch(request: Request, batch_id: Annotated[str, uuid_path("batchId")]) -> Response:
    """Cancel all active runs of a batch."""
    sandbox = sandbox_of(request)
    cancelled, finished, refused = store_of(request).cancel_batch(batch_id.lower())
    if cancelled:
        sandbox.log.record_effect(request.scope["sandbox.entry"], "cancelled", cancelled, batch_id.lower())
    counts = {
        "batchId": batch_id.lower(),
        "cancelled": len(cancelled),
        "alreadyFinished": len(finished),
        "cancelledRunIds": cancelled,
        "alreadyFinishedRunIds": finished,
    }
    # OpenAPI: a batch cancel is idempotent, and gives 409 only when some runs could not be cancelled.
    if refused:
        message = f"{len(refused)} of the batch's runs could not be cancelled"
        raise ApiError(409, "CONFLICT", message, **counts, failedRunIds=refused)
    return json_answer(counts)


@router.get("/runs")
async def list_runs(
    request: Request,
    limit: Limit = None,
    status: Annotated[str | None, Query(pattern=STATUS_PATTERN)] = None,
    project_id: Annotated[str | None, uuid_query("projectId")] = None,
    test_id: Annotated[str | None, uuid_query("testId")] = None,
    cursor: str | None = None,
) -> Response:
    """List runs, newest first."""
    store, origin = store_of(request), origin_of(request)
    # One point in time for the whole page: a run that ends meanwhile must not slip through the filter.
    now = store.clock.time() - list_lag_of(request)
    runs, following = store.list_runs(
        int(limit or 20),
        status=status,
        project_id=project_id and project_id.lower(),
        test_id=test_id and test_id.lower(),
        before=parse_cursor(cursor),
        now=now,
    )
    page = b",".join(render.run_bytes(run, now, origin) for run in runs)
    body = b'{"runs":[' + page + b'],"nextCursor":' + json.dumps(following).encode() + b"}"
    return Response(body, media_type="application/json")


@router.get("/runs/{id}")
async def get_run(request: Request, run_id: Annotated[str, uuid_path("id")]) -> Response:
    """Return a run."""
    store = store_of(request)
    run, now = store.find_run(run_id.lower()), store.clock.time() - list_lag_of(request)
    if max(run.visible_from, run.created) > now:
        raise not_found(f"Run {run_id} not found")
    return Response(render.run_bytes(run, now, origin_of(request)), media_type="application/json")


def note_submission(request: Request, run_ids: list[str], batch_id: str | None = None) -> None:
    """Record in the request log which runs a call has started."""
    if foreign_of(request):
        return
    sandbox_of(request).log.record_effect(request.scope["sandbox.entry"], "submitted", run_ids, batch_id)


def run_request(request: Request, fields: dict[str, Any]) -> RunRequest:
    """Return the options of a submission, from the fields of its body."""
    github = {name: fields[name] for name in ("commitSha", "prNumber") if name in fields}
    device = fields.get("deviceModel")
    return RunRequest(
        input=fields,
        platform=fields.get("platform"),
        # OpenAPI: "explicitly requesting the default (e.g. iphone) is equivalent to omitting it".
        device_model=None if device == "iphone" else device,
        mode=fields.get("mode", "fast"),
        target_url=fields.get("targetUrl"),
        external_ref={"github": github} if github else None,
        list_lag=list_lag_of(request),
        foreign=foreign_of(request),
    )


def _batch_document(batch: Batch) -> dict[str, Any]:
    def ids(runs: list[Run]) -> list[str]:
        return [run.id for run in runs]

    # OpenAPI: `cancelledRunIds` are runs that the server cancelled at once (duplicates, quota). The status is
    # `queued` as long as at least one run is queued.
    queued = [run for run in batch.runs if not run.outcome.is_rejected]
    return {
        "status": "queued" if queued else "cancelled",
        "groupId": batch.group.id,
        "batchId": batch.id,
        "runIds": ids(batch.runs),
        "queuedRunIds": ids(queued),
        "cancelledRunIds": ids([run for run in batch.runs if run.outcome.is_rejected]),
        "count": len(batch.runs),
    }


def check_references(body: TestRunBody | GroupRunBody, store: RunStore, project_id: str) -> None:
    """Reject environments and apps that the project does not have."""
    environment = body.project_environment_id
    known = store.catalog.environments(project_id)
    if environment is not None and all(each.id != environment.lower() for each in known):
        raise not_found(f"Project environment {environment} not found")
    holder: Body | None = body if isinstance(body, TestRunBody) else body.mobile
    app_id = getattr(holder, "app_id", None)
    if app_id is not None and not store.workspace.has_app(app_id):
        raise not_found(f"Mobile app {app_id} not found")
