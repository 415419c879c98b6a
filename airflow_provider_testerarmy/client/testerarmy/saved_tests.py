"""Saved tests of TesterArmy with their steps; ``operations`` has what a run needs of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import (
    Lenient,
    LenientTuple,
    Moment,
    RequestModel,
    Text,
    WireModel,
)
from airflow_provider_testerarmy.client.testerarmy import operations
from airflow_provider_testerarmy.client.testerarmy.fields import Deleted, ProjectType, call
from airflow_provider_testerarmy.client.testerarmy.models import TestDefinition, Uuid
from airflow_provider_testerarmy.client.testerarmy.operations import PAGE_SIZE, check_id

Title = Annotated[Text, Field(max_length=500)]


class SavedStep(WireModel):
    """A step of a saved test. Which fields are set depends on ``type``."""

    type: Lenient[str] = None
    title: Lenient[str] = None
    credential_id: Lenient[str] = None
    temporary_email: Lenient[bool] = None
    file_ids: LenientTuple[str] = ()
    code: Lenient[str] = None


class GroupReference(WireModel):
    """A group that a test belongs to."""

    id: str
    name: Lenient[str] = None
    is_default: Lenient[bool] = None


class SavedTest(TestDefinition):
    """A saved test with its steps. Lists do not contain ``groups``."""

    description: Lenient[str] = None
    # Required: an update that repeats what was read must not delete steps that could not be read.
    steps: tuple[SavedStep, ...]
    project_url: Lenient[str] = None
    project_name: Lenient[str] = None
    groups: LenientTuple[GroupReference] = ()
    created_at: Lenient[Moment] = None
    updated_at: Lenient[Moment] = None


class SavedTestPage(WireModel):
    """A page of ``GET /tests``."""

    tests: tuple[SavedTest, ...]
    next_cursor: Lenient[str] = None


class TestSaved(WireModel):
    """The response to a created or changed test."""

    __test__ = False

    test: SavedTest


class ActStep(RequestModel):
    """The agent does something."""

    type: Literal["act"] = "act"
    title: Text


class AssertStep(RequestModel):
    """The agent checks something."""

    type: Literal["assert"] = "assert"
    title: Text


class LoginStep(RequestModel):
    """The agent signs in."""

    type: Literal["login"] = "login"
    title: Text
    credential_id: Uuid | None = None
    temporary_email: bool | None = None


class FilesStep(RequestModel):
    """The agent uploads files of the project."""

    type: Literal["files"] = "files"
    title: Text
    file_ids: tuple[Uuid, ...]


class ScreenshotStep(RequestModel):
    """The agent takes a screenshot."""

    type: Literal["screenshot"] = "screenshot"
    title: Text | None = None


class JavascriptStep(RequestModel):
    """The browser runs a script."""

    type: Literal["javascript"] = "javascript"
    title: Text | None = None
    code: Text


def _type_of(step: Any) -> str:
    """The type of a step, which selects its class; errors then concern that class alone."""
    value = step.get("type", "") if isinstance(step, dict) else getattr(step, "type", "")
    return value.strip().lower() if isinstance(value, str) else ""


StepRequest = Annotated[
    Annotated[ActStep, Tag("act")]
    | Annotated[AssertStep, Tag("assert")]
    | Annotated[LoginStep, Tag("login")]
    | Annotated[FilesStep, Tag("files")]
    | Annotated[ScreenshotStep, Tag("screenshot")]
    | Annotated[JavascriptStep, Tag("javascript")],
    Discriminator(_type_of),
]
StepRequests = Annotated[tuple[StepRequest, ...], Field(min_length=1, max_length=50)]


class TestRequest(RequestModel):
    """Body of ``POST /tests``."""

    __test__ = False

    title: Title
    description: str | None = None
    steps: StepRequests
    project_id: Text
    group_id: Uuid | None = None
    platform: ProjectType | None = None
    enabled: bool | None = None


class TestChange(RequestModel):
    """Body of ``PATCH /tests/{testId}``; fields that are not set keep their value."""

    __test__ = False

    title: Title | None = None
    description: str | None = None
    steps: StepRequests | None = None
    enabled: bool | None = None


def get_saved_test(test_id: str) -> Operation[SavedTest]:
    """``GET /tests/{testId}``, with steps and groups."""
    return operations.get_test(test_id).reading(SavedTest.model_validate)


def list_saved_tests(
    project_id: str, *, group_id: str | None = None, limit: int = PAGE_SIZE, cursor: str | None = None
) -> Operation[SavedTestPage]:
    """``GET /tests``, with steps."""
    listing = operations.list_tests(project_id, group_id=group_id, limit=limit, cursor=cursor)
    return listing.reading(SavedTestPage.model_validate)


def create_test(request: TestRequest) -> Operation[SavedTest]:
    """``POST /tests``. Titles need not be unique, so a repeat creates a second test."""
    return call("create test", "POST", "/tests", TestSaved, request.body(), repeatable=False).then(
        lambda saved: saved.test
    )


def update_test(test_id: str, request: TestChange) -> Operation[SavedTest]:
    """``PATCH /tests/{testId}``."""
    path = f"/tests/{check_id(test_id, 'test_id')}"
    return call("update test", "PATCH", path, TestSaved, request.body()).then(lambda saved: saved.test)


def delete_test(test_id: str) -> Operation[Deleted]:
    """``DELETE /tests/{testId}``: 404 when it does not exist any more."""
    return call("delete test", "DELETE", f"/tests/{check_id(test_id, 'test_id')}", Deleted)
