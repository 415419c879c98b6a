"""The routes of the TesterArmy API that start runs of pull requests and by webhooks."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import read_body, read_object
from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request, not_found
from airflow_provider_testerarmy.sandbox.core.http import foreign_of, json_answer, list_lag_of
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.calls import (
    find_group,
    find_project,
    script_in,
    store_of,
    uuid_path,
)
from airflow_provider_testerarmy.sandbox.testerarmy.project_bodies import (
    GroupWebhookBody,
    MobilePullRequestBody,
    WebPullRequestBody,
    pull_request_body,
)
from airflow_provider_testerarmy.sandbox.testerarmy.runs_api import (
    NO_GITHUB,
    check_references,
    note_submission,
    run_request,
)
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest, RunStore

router = APIRouter()
#: Routes without an API key.
webhooks = APIRouter()

WebhookId = Annotated[str, uuid_path("webhookId")]


@router.post("/projects/{projectId}/pull-request-runs")
async def trigger_pull_request(
    request: Request, project_id: Annotated[str, Path(alias="projectId")]
) -> Response:
    """Start a run of the pull-request agent; `[sandbox:NAME]` in the title selects a script."""
    body = pull_request_body(await read_object(request))
    store = store_of(request)
    project = find_project(store.catalog, project_id)
    if isinstance(body, MobilePullRequestBody) != (project.kind == "mobile"):
        raise bad_request("BAD_REQUEST", f"platform: the project is a {project.kind} project")
    run = store.submit_prompt(
        script_in(body.pull_request.title), _pull_request_options(request, store, body), project.id
    )
    note_submission(request, [run.id])
    metadata: dict[str, Any] = {"github": NO_GITHUB}
    if isinstance(body, MobilePullRequestBody):
        metadata["mobile"] = {"source": "latest" if body.mobile is None else "request"}
    answer = {"status": "queued", "runId": run.id, "projectId": project.id, "platform": run.platform}
    return json_answer(answer | {"metadata": metadata}, 202)


def _pull_request_options(
    request: Request, store: RunStore, body: WebPullRequestBody | MobilePullRequestBody
) -> RunRequest:
    app_id = body.mobile.app_id if isinstance(body, MobilePullRequestBody) and body.mobile else None
    if app_id is not None and not store.workspace.has_app(app_id):
        raise not_found(f"Mobile app {app_id} not found")
    pull_request = body.pull_request
    return RunRequest(
        body.sent(),
        platform=body.platform or "web",
        target_url=body.target_url if isinstance(body, WebPullRequestBody) else None,
        external_ref={"github": {"commitSha": pull_request.commit_sha, "prNumber": pull_request.number}},
        list_lag=list_lag_of(request),
        foreign=foreign_of(request),
    )


@webhooks.post("/groups/webhook/{webhookId}/{secret}")
async def trigger_group_webhook(request: Request, webhook_id: WebhookId, secret: str) -> Response:
    """Start all runnable tests of the webhook's group."""
    _authorize(webhook_id, secret, catalog.GROUP_WEBHOOK)
    body = await read_body(request, GroupWebhookBody)
    store = store_of(request)
    group = find_group(store.catalog, catalog.GROUP_NIGHTLY)
    check_references(body, store, group.project_id)
    batch = store.submit_group(group, run_request(request, body.sent()))
    note_submission(request, [run.id for run in batch.runs], batch.id)
    return json_answer({"received": True, "batchId": batch.id, "batchIds": [batch.id]}, 202)


@webhooks.post("/webhook/{webhookId}/{secret}")
async def trigger_webhook(request: Request, webhook_id: WebhookId, secret: str) -> Response:
    """Start a run for a successful deployment; any other event is ignored."""
    _authorize(webhook_id, secret, catalog.PROJECT_WEBHOOK)
    payload = await read_object(request)
    status = payload.get("deployment_status")
    state = status.get("state") if isinstance(status, dict) else payload.get("state")
    if state != "success":
        return json_answer({"received": True, "ignored": True, "reason": "not a successful deployment"})
    store = store_of(request)
    project = find_project(store.catalog, catalog.PROJECT_SHOP)
    asked = RunRequest(
        {"deployment": state}, list_lag=list_lag_of(request), foreign=foreign_of(request) or None
    )
    run = store.submit_prompt("passes", asked, project.id)
    note_submission(request, [run.id])
    return json_answer({"received": True, "runId": run.id})


def _authorize(webhook_id: str, secret: str, known: str) -> None:
    if (webhook_id.lower(), secret) != (known, catalog.WEBHOOK_SECRET):
        raise ApiError(401, "UNAUTHORIZED", "Unknown webhook, or a wrong secret")
