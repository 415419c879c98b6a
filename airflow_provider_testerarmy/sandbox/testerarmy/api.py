"""TesterArmy's API: operation names, authentication and errors."""

from functools import cache

from fastapi import Depends, FastAPI
from starlette.requests import Request

from airflow_provider_testerarmy.sandbox.core.errors import ApiError
from airflow_provider_testerarmy.sandbox.core.http import add_error_handlers, sandbox_of
from airflow_provider_testerarmy.sandbox.core.service import FORBIDDEN_KEY_PREFIX
from airflow_provider_testerarmy.sandbox.core.vendor import Operation, Vendor
from airflow_provider_testerarmy.sandbox.testerarmy import catalog_api, groups_api, runs_api

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
    for router in (runs_api.router, catalog_api.router, groups_api.router):
        app.include_router(router, dependencies=[Depends(authorize)])
    add_error_handlers(app)
    return Vendor(PREFIX, app, OPERATIONS)
