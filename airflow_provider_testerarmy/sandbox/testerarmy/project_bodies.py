"""The request bodies for projects and what belongs to one, validated as the OpenAPI document requires."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from airflow_provider_testerarmy.sandbox.core.body import Body, describe
from airflow_provider_testerarmy.sandbox.core.errors import bad_request
from airflow_provider_testerarmy.sandbox.testerarmy.bodies import (
    ClosedBody,
    GroupRunBody,
    MobileBuild,
    Name,
    ProjectType,
    Text,
    Uri,
    Url,
    Uuid,
)

Label = Annotated[str, Field(min_length=1, max_length=50)]
Branch = Annotated[str, Field(min_length=1, max_length=255)]
RemoveAfter = Annotated[int, Field(ge=60, le=604_800)]


class ProjectBody(Body):
    """The body of `POST /projects`."""

    nullable = frozenset({"description"})

    name: Name
    url: Url
    project_type: ProjectType | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None


class ProjectChangeBody(Body):
    """The body of `PATCH /projects/{projectId}`."""

    nullable = frozenset({"description"})

    name: Name | None = None
    url: Url | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None


class EnvironmentBody(ClosedBody):
    """The body of `POST /projects/{projectId}/environments`."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    url: Url


class LoginBody(ClosedBody):
    """A login with a password."""

    kind: Literal["login"]
    auth_method: Literal["password", "google", "github"] | None = None
    label: Label
    username: Annotated[str, Field(min_length=1, max_length=255)]
    password: Text


class CustomLoginBody(ClosedBody):
    """A login with instructions."""

    kind: Literal["login"]
    auth_method: Literal["custom"]
    label: Label
    auth_instructions: Annotated[str, Field(min_length=1, max_length=4000)]


class InboxBody(ClosedBody):
    """An inbox."""

    kind: Literal["inbox"]
    label: Label


def credential_body(document: dict[str, Any]) -> LoginBody | CustomLoginBody | InboxBody:
    """Return the body of `POST /projects/{projectId}/credentials`, or raise BAD_REQUEST."""
    kind: Any = CustomLoginBody if document.get("authMethod") == "custom" else LoginBody
    body: LoginBody | CustomLoginBody | InboxBody = _validated(
        InboxBody if document.get("kind") == "inbox" else kind, document
    )
    return body


class MemoryBody(Body):
    """The body of `POST /projects/{projectId}/memories`."""

    category: Literal["site_structure", "test_insights", "user_preferences"]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    content: Text
    importance: Literal["high", "medium", "low"]


class UploadBody(Body):
    """The body of `POST /projects/{projectId}/mobile/upload`."""

    filename: Text
    file_size: Annotated[int, Field(gt=0)]
    remove_after: RemoveAfter | None = None


class ConfirmBody(UploadBody):
    """The body of `POST /projects/{projectId}/mobile/upload/confirm`."""

    storage_key: Text


class PullRequest(ClosedBody):
    """A pull request."""

    provider: Literal["github"] | None = None
    number: Annotated[int, Field(gt=0)]
    title: Annotated[str, Field(min_length=1, max_length=500)]
    description: Annotated[str, Field(max_length=5000)] | None = None
    base_branch: Branch | None = None
    head_branch: Branch | None = None
    commit_sha: Annotated[str, Field(min_length=1, max_length=100)]


class WebPullRequestBody(ClosedBody):
    """The body of `POST /projects/{projectId}/pull-request-runs` for a web project."""

    target_url: Uri
    platform: Literal["web"] | None = None
    pull_request: PullRequest


class MobilePullRequestBody(ClosedBody):
    """The body of `POST /projects/{projectId}/pull-request-runs` for a mobile project."""

    platform: Literal["ios", "android"]
    pull_request: PullRequest
    mobile: MobileBuild | None = None
    simulator_region: Literal["eu-north1", "us-west1"] | None = None


def pull_request_body(document: dict[str, Any]) -> WebPullRequestBody | MobilePullRequestBody:
    """Return the body of `POST /projects/{projectId}/pull-request-runs`, or raise BAD_REQUEST."""
    mobile = document.get("platform") in ("ios", "android")
    kind: Any = MobilePullRequestBody if mobile else WebPullRequestBody
    body: WebPullRequestBody | MobilePullRequestBody = _validated(kind, document)
    return body


class _Titled(Body):
    title: str


class ActStep(_Titled):
    """A step in which the agent does something."""

    type: Literal["act"]


class AssertStep(_Titled):
    """A step in which the agent checks something."""

    type: Literal["assert"]


class LoginStep(_Titled):
    """A step in which the agent signs in."""

    type: Literal["login"]
    credential_id: Uuid | None = None
    temporary_email: bool | None = None


class FilesStep(_Titled):
    """A step in which the agent uploads files."""

    type: Literal["files"]
    file_ids: list[Uuid]


class ScreenshotStep(Body):
    """A step in which the agent takes a screenshot."""

    type: Literal["screenshot"]
    title: str | None = None


class JavascriptStep(Body):
    """A step in which the browser runs a script."""

    type: Literal["javascript"]
    title: str | None = None
    code: str


Step = ActStep | AssertStep | LoginStep | FilesStep | ScreenshotStep | JavascriptStep
Steps = Annotated[list[Step], Field(min_length=1, max_length=50)]


class TestBody(Body):
    """The body of `POST /tests`."""

    __test__ = False
    nullable = frozenset({"group_id"})

    title: Annotated[str, Field(min_length=1, max_length=500)]
    description: str | None = None
    steps: Steps
    project_id: str
    group_id: Uuid | None = None
    platform: ProjectType | None = None
    enabled: bool | None = None


class TestChangeBody(Body):
    """The body of `PATCH /tests/{testId}`."""

    __test__ = False

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: str | None = None
    steps: Steps | None = None
    enabled: bool | None = None


class GroupWebhookBody(GroupRunBody):
    """The body of `POST /groups/webhook/{webhookId}/{secret}`, in which a commit may be empty."""

    commit_sha: str | None = None


def _validated(kind: Any, document: dict[str, Any]) -> Any:
    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise bad_request("BAD_REQUEST", describe(problems)) from error
