"""Reads request bodies up to a limit, validates them strictly, and describes errors in one line."""

import json
from typing import Any, ClassVar, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request

MAX_BODY_BYTES = 1_000_000
UUID_PATTERN = r"^(?i:[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$"


class Body(BaseModel):
    """A request body: camel-case keys, no type coercion, no null; unknown fields are ignored.

    `nullable` names the fields that may be null.
    """

    nullable: ClassVar[frozenset[str]] = frozenset()
    model_config = ConfigDict(strict=True, alias_generator=to_camel, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _refuse_null(cls, values: Any) -> Any:
        """Reject null: a field is either absent or has a value."""
        for name in cls.model_fields.keys() - cls.nullable:
            if isinstance(values, dict) and to_camel(name) in values and values[to_camel(name)] is None:
                raise ValueError(f"{to_camel(name)} must not be null")
        return values

    def sent(self) -> dict[str, Any]:
        """Return the known fields that the client sent, unchanged."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class Order(BaseModel):
    """The body of a control request; an unknown field is an error, so that typing errors are noticed."""

    model_config = ConfigDict(extra="forbid")


B = TypeVar("B", bound=Body)


async def read_body(request: Request, model: type[B]) -> B:
    """Return the validated body of a request; an empty body counts as `{}`."""
    content = await read_limited(request)
    if content and not _is_json(request):
        raise bad_request("BAD_REQUEST", "The body must be sent as application/json")
    # Pydantic instead of FastAPI's own body parsing: its 422 would not match the vendor's error format.
    try:
        return model.model_validate(_parse(content))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise bad_request("BAD_REQUEST", describe(problems)) from error


def describe(problems: Any) -> str:
    """Return one line that names each invalid field and its error."""
    lines = (f"{'.'.join(str(part) for part in p['loc']) or 'body'}: {_reason(p)}" for p in problems)
    return "; ".join(lines) or "Invalid request"


def _reason(problem: Any) -> str:
    pattern = problem.get("ctx", {}).get("pattern")
    return "must be a UUID" if pattern == UUID_PATTERN else str(problem["msg"])


async def read_object(request: Request) -> dict[str, Any]:
    """Return a JSON object with any fields; an empty body counts as `{}`."""
    content = await read_limited(request)
    if content and not _is_json(request):
        raise bad_request("BAD_REQUEST", "The body must be sent as application/json")
    document = _parse(content)
    if not isinstance(document, dict):
        raise bad_request("BAD_REQUEST", "The body must be an object")
    return document


async def read_limited(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """Return a body of at most so many bytes."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise ApiError(413, "PAYLOAD_TOO_LARGE", f"The body is larger than {most} bytes")
    return bytes(content)


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _parse(content: bytes) -> Any:
    if not content.strip():
        return {}
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request("BAD_REQUEST", "The body is not valid JSON") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
