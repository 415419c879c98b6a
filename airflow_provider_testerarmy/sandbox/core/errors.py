"""TesterArmy's error responses: `{"error": CODE, "message": TEXT}` (the OpenAPI document's error schema)."""

from __future__ import annotations

import json

from starlette.responses import Response


class ApiError(Exception):
    """An error response.

    :param extra: fields of the body in addition to `error` and `message`.
    """

    def __init__(self, status: int, code: str, message: str, **extra: object) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


def bad_request(code: str, message: str) -> ApiError:
    """Return a 400."""
    return ApiError(400, code, message)


def not_found(message: str) -> ApiError:
    """Return a 404."""
    return ApiError(404, "NOT_FOUND", message)


def conflict(message: str) -> ApiError:
    """Return a 409."""
    return ApiError(409, "CONFLICT", message)


def error_body(code: str, message: str, **extra: object) -> bytes:
    """Return the body of an error."""
    # ASCII escapes, because messages may quote input that UTF-8 cannot encode.
    return json.dumps({"error": code, "message": message, **extra}).encode("ascii")


def error_response(error: ApiError) -> Response:
    """Return the response for an error."""
    body = error_body(error.code, error.message, **error.extra)
    return Response(body, status_code=error.status, media_type="application/json")
