"""Docket's API: routes, operation names, authentication and errors."""

import json
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import Body, read_body
from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request, not_found
from airflow_provider_testerarmy.sandbox.core.http import (
    add_error_handlers,
    foreign_of,
    json_answer,
    list_lag_of,
    origin_of,
    sandbox_of,
)
from airflow_provider_testerarmy.sandbox.core.service import FORBIDDEN_KEY_PREFIX
from airflow_provider_testerarmy.sandbox.core.vendor import Operation, Vendor
from airflow_provider_testerarmy.sandbox.docket import render as docket_render
from airflow_provider_testerarmy.sandbox.docket.store import DocketStore

PREFIX = "/docket"
OPERATIONS = (
    Operation("docket_trigger_run", "POST", "/test_group_run/trigger_run"),
    Operation("docket_trigger_ci_run", "POST", "/test_group_run/trigger_ci_run"),
    Operation("docket_get_test_run", "GET", "/test_run/{id}"),
)

router = APIRouter()


class TriggerBody(Body):
    """The body of `POST /test_group_run/trigger_run`: exactly one of the two fields."""

    model_config = ConfigDict(alias_generator=None)

    test_blueprint_ids: Annotated[list[int] | None, Field(min_length=1)] = None
    test_blueprint_category_id: int | None = None


class GithubContext(Body):
    """The commit that a CI run tests."""

    model_config = ConfigDict(alias_generator=None)

    repository: str
    commit_sha: str
    run_id: str | None = None
    ref: str | None = None


class CiTriggerBody(TriggerBody):
    """The body of `POST /test_group_run/trigger_ci_run`."""

    github_context: GithubContext


@router.post("/test_group_run/trigger_run")
async def trigger_run(request: Request) -> Response:
    """Start a run of each test."""
    return _start(request, await read_body(request, TriggerBody))


@router.post("/test_group_run/trigger_ci_run")
async def trigger_ci_run(request: Request) -> Response:
    """Start a run of each test, for a commit."""
    body = await read_body(request, CiTriggerBody)
    return _start(request, body, body.github_context.sent())


@router.get("/test_run/{id}")
async def get_test_run(request: Request, run_id: Annotated[int, Path(alias="id")]) -> Response:
    """Return a test run."""
    store = sandbox_of(request).store_of(DocketStore)
    run, now = store.find_run(run_id), store.clock.time() - list_lag_of(request)
    if max(run.visible_from, run.created) > now:
        raise not_found(f"Test run {run_id} not found")
    return json_answer({"test_run": docket_render.run_document(run, now, origin_of(request))})


def _start(request: Request, body: TriggerBody, github: dict[str, Any] | None = None) -> Response:
    sandbox = sandbox_of(request)
    store, category = sandbox.store_of(DocketStore), body.test_blueprint_category_id
    if (body.test_blueprint_ids is None) == (category is None):
        raise bad_request("BAD_REQUEST", "Send either test_blueprint_ids or test_blueprint_category_id")
    ids = body.test_blueprint_ids or (store.find_category(category) if category is not None else ())
    group = store.submit(ids, github, list_lag_of(request))
    run_ids = [run.id for run in group.runs]
    if not foreign_of(request):
        sandbox.log.record_effect(request.scope["sandbox.entry"], "submitted", run_ids, str(group.id))
    document = docket_render.group_run_document(group, group.created)
    return json_answer({"message": "Test group run triggered successfully", "test_group_run": document})


async def authorize(request: Request) -> None:
    """Reject calls without a valid API key."""
    # Docket expects the key in its own header, not as a bearer token.
    key = request.headers.get("x-api-key", "")
    if key.startswith(FORBIDDEN_KEY_PREFIX):
        raise ApiError(403, "FORBIDDEN", "This API key may not do that")
    if key not in sandbox_of(request).keys:
        raise ApiError(401, "UNAUTHORIZED", "Invalid API key")


def error_body(_code: str, message: str) -> bytes:
    """Return the body of an error; Docket's errors have no code."""
    return json.dumps({"message": message}).encode("ascii")


def _error_response(error: ApiError) -> Response:
    body = error_body(error.code, error.message)
    return Response(body, status_code=error.status, media_type="application/json")


@cache
def create_vendor() -> Vendor:
    """Return Docket's API for the gateway. It is shared; each request carries its sandbox's state."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(router, dependencies=[Depends(authorize)])
    add_error_handlers(app, _error_response)
    return Vendor(PREFIX, app, OPERATIONS, error_body)
