"""What every route has in common, whosever API it is: whom a call is made to, answers, errors."""

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
    """Return the sandbox that a call is made to."""
    sandbox: Service = request.scope["sandbox"]
    return sandbox


def list_lag_of(request: Request) -> float:
    """Return for how many sandbox seconds a call's new runs stay hidden, or how old its answer is."""
    return float(request.scope["sandbox.list_lag"])


def foreign_of(request: Request) -> str | None:
    """Return who makes this call in the place of the client under test, if anybody does."""
    source: str | None = request.scope.get("sandbox.foreign")
    return source


def origin_of(request: Request) -> str:
    """Return the address under which the client reached the sandbox."""
    return f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"


def json_answer(document: Any, status: int = 200) -> Response:
    """Return an answer; text that UTF-8 cannot hold is escaped."""
    return Response(json.dumps(document).encode("ascii"), status_code=status, media_type="application/json")


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
