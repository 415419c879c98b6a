"""TesterArmy's API: operation names, authentication and errors."""

from functools import cache

from fastapi import Depends, FastAPI
from starlette.requests import Request

from airflow_provider_testerarmy.sandbox.core.errors import ApiError
from airflow_provider_testerarmy.sandbox.core.http import add_error_handlers, sandbox_of
from airflow_provider_testerarmy.sandbox.core.service import FORBIDDEN_KEY_PREFIX
from airflow_provider_testerarmy.sandbox.core.vendor import Operation, Vendor
from airflow_provider_testerarmy.sandbox.testerarmy import (
    apps_api,
    catalog_api,
    groups_api,
    projects_api,
    runs_api,
    tests_api,
    triggers_api,
)

PREFIX = "/api/v1"
OPERATIONS = (
    Operation("list_runs", "GET", "/runs"),
    Operation("get_run", "GET", "/runs/{id}"),
    Operation("trigger_test", "POST", "/tests/{testId}/runs"),
    Operation("trigger_group", "POST", "/groups/{groupId}/runs"),
    Operation("trigger_prompt", "POST", "/runs"),
    Operation("cancel_run", "POST", "/runs/{id}/cancel"),
    Operation("cancel_batch", "POST", "/batches/{batchId}/cancel"),
    Operation("rerun_batch", "POST", "/batches/{batchId}/rerun"),
    Operation("list_projects", "GET", "/projects"),
    Operation("get_project", "GET", "/projects/{projectId}"),
    Operation("list_tests", "GET", "/tests"),
    Operation("get_test", "GET", "/tests/{testId}"),
    Operation("list_groups", "GET", "/groups"),
    Operation("get_group", "GET", "/groups/{groupId}"),
    Operation("create_group", "POST", "/groups"),
    Operation("delete_group", "DELETE", "/groups/{groupId}"),
    Operation("add_group_test", "POST", "/groups/{groupId}/tests"),
    Operation("update_group", "PATCH", "/groups/{groupId}"),
    Operation("remove_group_test", "DELETE", "/groups/{groupId}/tests/{testId}"),
    Operation("create_test", "POST", "/tests"),
    Operation("update_test", "PATCH", "/tests/{testId}"),
    Operation("delete_test", "DELETE", "/tests/{testId}"),
    Operation("create_project", "POST", "/projects"),
    Operation("update_project", "PATCH", "/projects/{projectId}"),
    Operation("delete_project", "DELETE", "/projects/{projectId}"),
    Operation("list_environments", "GET", "/projects/{projectId}/environments"),
    Operation("create_environment", "POST", "/projects/{projectId}/environments"),
    Operation("delete_environment", "DELETE", "/projects/{projectId}/environments/{environmentId}"),
    Operation("list_credentials", "GET", "/projects/{projectId}/credentials"),
    Operation("create_credential", "POST", "/projects/{projectId}/credentials"),
    Operation("list_memories", "GET", "/projects/{projectId}/memories"),
    Operation("create_memory", "POST", "/projects/{projectId}/memories"),
    Operation("delete_memory", "DELETE", "/projects/{projectId}/memories/{memoryId}"),
    Operation("list_files", "GET", "/projects/{projectId}/files"),
    Operation("list_apps", "GET", "/projects/{projectId}/mobile"),
    Operation("upload_app", "POST", "/projects/{projectId}/mobile"),
    Operation("delete_app", "DELETE", "/projects/{projectId}/mobile/{appId}"),
    Operation("request_app_upload", "POST", "/projects/{projectId}/mobile/upload"),
    Operation("confirm_app_upload", "POST", "/projects/{projectId}/mobile/upload/confirm"),
    Operation("trigger_pull_request", "POST", "/projects/{projectId}/pull-request-runs"),
    Operation("trigger_webhook", "POST", "/webhook/{webhookId}/{secret}"),
    Operation("trigger_group_webhook", "POST", "/groups/webhook/{webhookId}/{secret}"),
)
ROUTERS = (
    runs_api.router,
    catalog_api.router,
    groups_api.router,
    tests_api.router,
    projects_api.router,
    apps_api.router,
    triggers_api.router,
)


async def authorize(request: Request) -> None:
    """Reject calls without a valid API key."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() == "bearer" and key.startswith(FORBIDDEN_KEY_PREFIX):
        raise ApiError(403, "FORBIDDEN", "This API key may not do that")
    if scheme.lower() != "bearer" or key not in sandbox_of(request).keys:
        raise ApiError(401, "UNAUTHORIZED", "Invalid or missing API key")


@cache
def create_vendor() -> Vendor:
    """Return TesterArmy's API for the gateway. It is shared; each request carries its sandbox's state."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    # The address of a webhook is its key.
    app.include_router(triggers_api.webhooks)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(authorize)])
    add_error_handlers(app)
    return Vendor(PREFIX, app, OPERATIONS)


@cache
def create_object_store() -> Vendor:
    """Return the object store that receives uploads, for the gateway; its URLs are their own keys."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(apps_api.object_store)
    add_error_handlers(app, apps_api.store_error)
    put = Operation("put_app", "PUT", "/{token}")
    return Vendor(apps_api.UPLOADS, app, (put,), apps_api.store_error_body)
