"""The request bodies of the TesterArmy API, validated as strictly as its OpenAPI document requires."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from airflow_provider_testerarmy.sandbox.core.body import UUID_PATTERN, Body


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
RunMode = Literal["concurrent", "sequential"]
ProjectType = Literal["web", "mobile"]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Url = Annotated[str, Field(min_length=1, max_length=500)]


class TestRunBody(Body):
    """The body of `POST /tests/{testId}/runs`."""

    __test__ = False

    mode: Literal["fast", "deep"] | None = None
    platform: Platform | None = None
    device_model: DeviceModel | None = None
    app_id: Uuid | None = None
    project_environment_id: Uuid | None = None


class ClosedBody(Body):
    """A request object without unknown fields (`additionalProperties: false` in the OpenAPI document)."""

    model_config = ConfigDict(strict=True, alias_generator=to_camel, extra="forbid")


class MobileBuild(ClosedBody):
    """The mobile app that a group run tests."""

    app_id: Uuid | None = None
    bundle_id: Text | None = None
    artifact_url: Uri | None = None
    artifact_filename: Text | None = None
    build_id: Text | None = None


class GroupRunBody(Body):
    """The body of `POST /groups/{groupId}/runs`."""

    platform: Platform | None = None
    device_model: DeviceModel | None = None
    project_environment_id: Uuid | None = None
    target_url: Uri | None = None
    environment: Literal["production", "staging", "preview", "custom"] | None = None
    mobile: MobileBuild | None = None
    commit_sha: Text | None = None
    pr_number: Annotated[int, Field(gt=0)] | None = None


class GroupBody(Body):
    """The body of `POST /groups`."""

    nullable = frozenset({"prep_test_id"})

    project_id: str
    name: Name
    run_mode: RunMode | None = None
    prep_test_id: Uuid | None = None


class GroupChangeBody(Body):
    """The body of `PATCH /groups/{groupId}`; a null preparation test removes it."""

    nullable = frozenset({"prep_test_id"})

    name: Name | None = None
    run_mode: RunMode | None = None
    prep_test_id: Uuid | None = None


class MemberBody(Body):
    """The body of `POST /groups/{groupId}/tests`."""

    test_id: Uuid


class Credential(Body):
    """A login for the site under test."""

    username: str
    password: str


class PromptRunBody(Body):
    """The body of `POST /runs`. The reference documents this call, the OpenAPI document does not."""

    prompt: str
    credentials: list[Credential] | None = None
    webhook_url: Uri | None = None
