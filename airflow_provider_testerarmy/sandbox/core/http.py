"""Helpers for the routes of both vendors: the state behind a request, responses, and errors."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import describe
from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request, error_response
from airflow_provider_testerarmy.sandbox.core.service import Service


def sandbox_of(request: Request) -> Service:
    """Return the sandbox that serves a request."""
    sandbox: Service = request.scope["sandbox"]
    return sandbox


def list_lag_of(request: Request) -> float:
    """Return how long a call's new runs stay hidden, or how stale its response is, in sandbox seconds."""
    return float(request.scope["sandbox.list_lag"])


def foreign_of(request: Request) -> str | None:
    """Return the source of this call if a `foreign_run` fault makes it; None for the client under test."""
    source: str | None = request.scope.get("sandbox.foreign")
    return source


def origin_of(request: Request) -> str:
    """Return the origin that the client used to reach the sandbox."""
    return f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"


def json_answer(document: Any, status: int = 200) -> Response:
    """Return a JSON response; text that UTF-8 cannot encode is escaped."""
    return Response(json.dumps(document).encode("ascii"), status_code=status, media_type="application/json")


def add_error_handlers(app: FastAPI, respond: Callable[[ApiError], Response] = error_response) -> None:
    """Send every error of an application in the format that `respond` gives it."""

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
        return respond(ApiError(500, "INTERNAL_ERROR", f"The sandbox failed: {error!r}"))

    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_crash)
