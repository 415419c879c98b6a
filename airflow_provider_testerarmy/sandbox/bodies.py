"""The request bodies of the TesterArmy API, checked as strictly as its OpenAPI document demands."""

import json
import re
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from airflow_provider_testerarmy.sandbox.errors import ApiError, bad_request

MAX_BODY_BYTES = 1_000_000
UUID_PATTERN = r"^(?i:[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$"


def _check_uri(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise ValueError("must be a URI") from error
    needs_host = parts.scheme in ("http", "https")
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S+$", value) or (needs_host and not parts.hostname):
        raise ValueError("must be a URI")
    return value


Uuid = Annotated[str, Field(pattern=UUID_PATTERN)]
Uri = Annotated[str, AfterValidator(_check_uri)]
Text = Annotated[str, Field(min_length=1)]
Platform = Literal["web", "ios", "android"]
DeviceModel = Literal["iphone", "ipad"]


class Body(BaseModel):
    """A request body: camel case, no coercion, no null; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _refuse_null(cls, values: Any) -> Any:
        """Refuse null: a field is either absent or has a value."""
        for name in cls.model_fields:
            if isinstance(values, dict) and to_camel(name) in values and values[to_camel(name)] is None:
                raise ValueError(f"{to_camel(name)} must not be null")
        return values

    def sent(self) -> dict[str, Any]:
        """Return the known fields that were sent, as they were sent."""
        return self.model_dump(by_alias=True, exclude_unset=True)


B = TypeVar("B", bound=Body)


class TestRunBody(Body):
    """What `POST /tests/{testId}/runs` takes."""

    __test__ = False

    mode: Literal["fast", "deep"] | None = None
    platform: Platform | None = None
    device_model: DeviceModel | None = None
    app_id: Uuid | None = None
    project_environment_id: Uuid | None = None


class MobileBuild(Body):
    """The mobile app that a group run is about."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel, extra="forbid")

    app_id: Uuid | None = None
    bundle_id: Text | None = None
    artifact_url: Uri | None = None
    artifact_filename: Text | None = None
    build_id: Text | None = None


class GroupRunBody(Body):
    """What `POST /groups/{groupId}/runs` takes."""

    platform: Platform | None = None
    device_model: DeviceModel | None = None
    project_environment_id: Uuid | None = None
    target_url: Uri | None = None
    environment: Literal["production", "staging", "preview", "custom"] | None = None
    mobile: MobileBuild | None = None
    commit_sha: Text | None = None
    pr_number: Annotated[int, Field(gt=0)] | None = None


class Credential(Body):
    """A login for the page under test."""

    username: str
    password: str


class PromptRunBody(Body):
    """What `POST /runs` takes."""

    prompt: str
    credentials: list[Credential] | None = None
    webhook_url: Uri | None = None


async def read_body(request: Request, model: type[B]) -> B:
    """Return the checked body of a request; none at all counts as `{}`."""
    content = await _read_limited(request)
    if content and not _is_json(request):
        raise bad_request("BAD_REQUEST", "The body must be sent as application/json")
    try:
        return model.model_validate(_parse(content))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise bad_request("BAD_REQUEST", describe(problems)) from error


def describe(problems: Any) -> str:
    """Return one line that says what is wrong with which field."""
    lines = (f"{'.'.join(str(part) for part in p['loc']) or 'body'}: {_reason(p)}" for p in problems)
    return "; ".join(lines) or "Invalid request"


def _reason(problem: Any) -> str:
    pattern = problem.get("ctx", {}).get("pattern")
    return "must be a UUID" if pattern == UUID_PATTERN else str(problem["msg"])


async def _read_limited(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            raise ApiError(413, "PAYLOAD_TOO_LARGE", f"The body is larger than {MAX_BODY_BYTES} bytes")
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
