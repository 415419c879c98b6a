"""TesterArmy's requests and responses, from the service's OpenAPI document (July 2026).

Statuses, types and results are plain strings, so that a new value does not break parsing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, FailFast, Field, SecretStr, StringConstraints

from airflow_provider_testerarmy.client.http.wire import (
    Lenient,
    LenientTuple,
    Moment,
    NullableTuple,
    NumberOnly,
    RequestModel,
    Text,
    WireModel,
)

Uuid = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
    ),
]


def _lower_scheme(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme.lower()}://{rest}"


HttpUrl = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^(?i:https?)://[^\s/]+\S*$"),
    AfterValidator(_lower_scheme),
]

Platform = Literal["web", "ios", "android"]
DeviceModel = Literal["iphone", "ipad"]
Environment = Literal["production", "staging", "preview", "custom"]
Mode = Literal["fast", "deep"]


# `RunResponse`, `TestOutput` and so on are schemas of the OpenAPI document. It requires more fields than these
# models do: a missing detail must not fail a task whose run has a result.


class Issue(WireModel):
    """A problem that the agent reports. ``severity`` is 1 (minor) to 5 (critical); ``type`` is issue or warning."""

    type: Lenient[str] = None
    name: Lenient[str] = None
    description: Lenient[str] = None
    url: Lenient[str] = None
    severity: Lenient[int] = None
    reproduction_steps: LenientTuple[str] = ()
    expected_behavior: Lenient[str] = None
    actual_behavior: Lenient[str] = None
    screenshot_url: Lenient[str] = None
    t_ms: Lenient[float] = None


class Step(WireModel):
    """One step of a run; times are in milliseconds from the start of the run."""

    step_index: Lenient[int] = None
    title: Lenient[str] = None
    type: Lenient[str] = None
    status: Lenient[str] = None
    summary: Lenient[str] = None
    error: Lenient[str] = None
    error_code: Lenient[str] = None
    started_at_ms: Lenient[float] = None
    completed_at_ms: Lenient[float] = None


class OutputResult(WireModel):
    """The fields of ``TestOutput`` that determine the outcome of a finished run."""

    # `planner_skipped` in `PlannerSkippedOutput`, absent in `TestOutput`.
    kind: Lenient[str] = None
    # `PASS` or `FAILED`.
    result: Lenient[str] = None


class Output(OutputResult):
    """A finished run's ``TestOutput``, or the reason why nothing was tested (``planner_skipped``)."""

    reason: Lenient[str] = None
    feature_name: Lenient[str] = None
    description: Lenient[str] = None
    screenshots: LenientTuple[str] = ()
    issues: LenientTuple[Issue] = ()
    steps: LenientTuple[Step] = ()


class RunError(WireModel):
    """The error of a run that the service could not complete."""

    code: Lenient[str] = None
    message: Lenient[str] = None


class RunState(WireModel):
    """The fields of ``RunResponse`` that a poll needs. Parsing them is cheap, also for pages of 100 runs."""

    id: str
    status: str
    output: Lenient[OutputResult] = None
    completed_at: Lenient[Moment] = None


class RunStatePage(WireModel):
    """A page of ``GET /runs``, newest first, reduced to what a poll needs."""

    # Without FailFast, pydantic describes each invalid item of a list of any length.
    runs: Annotated[tuple[RunState, ...], FailFast()]
    next_cursor: Lenient[str] = None


class Run(RunState):
    """``RunResponse``; only the id and the status are required here."""

    type: Lenient[str] = None
    input: Lenient[dict[str, Any]] = None
    output: Lenient[Output] = None
    error: Lenient[RunError] = None
    platform: Lenient[str] = None
    source: Lenient[str] = None
    project_id: Lenient[str] = None
    test_id: Lenient[str] = None
    external_ref: Lenient[dict[str, Any]] = None
    auto_retry_count: Lenient[int] = None
    duration_ms: Lenient[float] = None
    created_at: Lenient[Moment] = None
    started_at: Lenient[Moment] = None


class OutputHead(OutputResult):
    """The fields of ``TestOutput`` that describe a finished run in one line."""

    reason: Lenient[str] = None
    feature_name: Lenient[str] = None


class RunHead(RunState):
    """The fields of ``RunResponse`` that tell what ran, where, and why; without issues and steps."""

    output: Lenient[OutputHead] = None
    input: Lenient[dict[str, Any]] = None
    error: Lenient[RunError] = None
    source: Lenient[str] = None
    project_id: Lenient[str] = None
    test_id: Lenient[str] = None
    created_at: Lenient[Moment] = None
    started_at: Lenient[Moment] = None


class RunHeadPage(WireModel):
    """A page of ``GET /runs``, newest first, reduced to :class:`RunHead`."""

    runs: tuple[RunHead, ...]
    next_cursor: Lenient[str] = None


class RunPage(WireModel):
    """A page of ``GET /runs``, newest first."""

    runs: tuple[Run, ...]
    next_cursor: Lenient[str] = None


class TestRunQueued(WireModel):
    """The response of ``POST /tests/{testId}/runs``."""

    __test__ = False

    status: str
    # Required: without it, nothing could poll or cancel the run.
    run_id: str
    test_id: Lenient[str] = None


class GroupRunQueued(WireModel):
    """The response to a group run or a batch rerun: which runs were accepted and which were rejected."""

    # `queued` if at least one run was accepted, `cancelled` if the service rejected every run.
    status: str
    batch_id: str
    group_id: Lenient[str] = None
    run_ids: NullableTuple[str]
    queued_run_ids: LenientTuple[str] = ()
    # Runs that the service cancelled immediately: duplicates of runs in flight, or over a quota.
    cancelled_run_ids: LenientTuple[str] = ()
    # Only in the response to a rerun: deleted, disabled or malformed tests.
    skipped_test_ids: LenientTuple[str] = ()


class PromptRunQueued(WireModel):
    """The response of ``POST /runs``."""

    id: str
    status: str
    created_at: Lenient[Moment] = None


class RunCancelled(WireModel):
    """The response of ``POST /runs/{id}/cancel``."""

    id: str
    status: str


class BatchCancelled(WireModel):
    """The response of ``POST /batches/{batchId}/cancel``."""

    batch_id: str
    cancelled_run_ids: LenientTuple[str] = ()
    already_finished_run_ids: LenientTuple[str] = ()


class Project(WireModel):
    """A project of the key's team; dashboard links contain its ``short_id``."""

    id: str
    name: Lenient[str] = None
    short_id: Lenient[str] = None
    url: Lenient[str] = None


class ProjectList(WireModel):
    """The response of ``GET /projects``."""

    projects: NullableTuple[Project]


class TestDefinition(WireModel):
    """A saved test."""

    __test__ = False

    id: str
    title: Lenient[str] = None
    enabled: Lenient[bool] = None
    platform: Lenient[str] = None
    project_id: Lenient[str] = None


class TestPage(WireModel):
    """A page of ``GET /tests``."""

    __test__ = False

    tests: tuple[TestDefinition, ...]
    next_cursor: Lenient[str] = None


class Group(WireModel):
    """A test group."""

    id: str
    name: Lenient[str] = None
    project_id: Lenient[str] = None
    run_mode: Lenient[str] = None
    # The service may run this test before the others, without listing it among the group's tests.
    prep_test_id: Lenient[str] = None


class GroupCreated(WireModel):
    """The response of ``POST /groups``."""

    group: Group


class GroupChanged(WireModel):
    """The response to a deleted group, or to a test that was added to a group; no field of it is needed."""


class GroupList(WireModel):
    """The response of ``GET /groups``."""

    groups: NullableTuple[Group]


class MobileBuild(RequestModel):
    """The build of a mobile app that a group run tests: an uploaded app, or an artifact to download."""

    app_id: Uuid | None = None
    bundle_id: Text | None = None
    artifact_url: HttpUrl | None = None
    artifact_filename: Text | None = None
    build_id: Text | None = None


class TestRunRequest(RequestModel):
    """Body of ``POST /tests/{testId}/runs``."""

    __test__ = False

    mode: Mode | None = None
    platform: Platform | None = None
    device_model: DeviceModel | None = None
    app_id: Uuid | None = None
    project_environment_id: Uuid | None = None


class GroupWebhookRequest(RequestModel):
    """Body of ``POST /groups/webhook/{webhookId}/{secret}``."""

    platform: Platform | None = None
    device_model: DeviceModel | None = None
    project_environment_id: Uuid | None = None
    target_url: HttpUrl | None = None
    environment: Environment | None = None
    mobile: MobileBuild | None = None
    commit_sha: Text | None = None


class GroupRunRequest(GroupWebhookRequest):
    """Body of ``POST /groups/{groupId}/runs``."""

    pr_number: Annotated[int, NumberOnly, Field(gt=0)] | None = None


class PromptCredential(RequestModel):
    """A login that the agent may use; ``repr`` and errors do not show the password."""

    username: Text
    password: SecretStr


class PromptRunRequest(RequestModel):
    """Body of ``POST /runs``, which the vendor documents outside its OpenAPI document."""

    prompt: Text
    credentials: tuple[PromptCredential, ...] | None = None
    webhook_url: HttpUrl | None = None

    def body(self) -> dict[str, Any]:
        """The JSON body with plain-text passwords; send it to the service only, and never log it."""
        body = super().body()
        for shown, real in zip(body.get("credentials", ()), self.credentials or (), strict=True):
            shown["password"] = real.password.get_secret_value()
        return body
