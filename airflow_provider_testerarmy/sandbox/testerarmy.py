"""TesterArmy's API as a whole: what its operations are called, who may call, how it says no."""

from collections.abc import Callable
from functools import cache

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox import catalog_api, runs_api
from airflow_provider_testerarmy.sandbox.bodies import describe
from airflow_provider_testerarmy.sandbox.calls import sandbox_of
from airflow_provider_testerarmy.sandbox.errors import ApiError, bad_request, error_response
from airflow_provider_testerarmy.sandbox.gateway import Operation, Vendor
from airflow_provider_testerarmy.sandbox.state import FORBIDDEN_KEY_PREFIX

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
)


async def authorize(request: Request) -> None:
    """Refuse calls without a valid key."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() == "bearer" and key.startswith(FORBIDDEN_KEY_PREFIX):
        raise ApiError(403, "FORBIDDEN", "This API key may not do that")
    if scheme.lower() != "bearer" or key not in sandbox_of(request).keys:
        raise ApiError(401, "UNAUTHORIZED", "Invalid or missing API key")


@cache
def create_vendor() -> Vendor:
    """Return TesterArmy's API, to be served behind the gateway; the state comes with each call."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for router in (runs_api.router, catalog_api.router):
        app.include_router(router, dependencies=[Depends(authorize)])
    add_error_handlers(app)
    return Vendor(PREFIX, app, OPERATIONS)


def add_error_handlers(app: FastAPI, respond: Callable[[ApiError], Response] = error_response) -> None:
    """Let every error of an application be told in the one shape that `respond` gives it."""

    async def on_api_error(_: Request, error: Exception) -> Response:
        return respond(error) if isinstance(error, ApiError) else await on_crash(_, error)

    async def on_validation_error(_: Request, error: Exception) -> Response:
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        return respond(bad_request("BAD_REQUEST", describe(problems)))

    async def on_http_error(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(status, "ERROR")
        return respond(ApiError(status, code, code.replace("_", " ").capitalize()))

    async def on_crash(_: Request, error: Exception) -> Response:
        return respond(ApiError(500, "INTERNAL_ERROR", f"The sandbox broke: {error!r}"))

    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_crash)
