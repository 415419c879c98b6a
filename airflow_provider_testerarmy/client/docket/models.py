"""Docket's requests and answers, as its API reference (2026) has them.

Statuses are plain strings, and of a blueprint's snapshot only the title is read: the rest of it is large and may
hold the logins of the product under test.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StrictBool

from airflow_provider_testerarmy.client.http.wire import (
    Lenient,
    LenientTuple,
    Moment,
    RequestModel,
    Text,
    WireModel,
)

#: An id is an integer and stays one; text and booleans are refused.
Id = Annotated[int, Field(strict=True, ge=1, lt=2**63)]


class DocketModel(WireModel):
    """An object in an answer: snake_case on the wire."""

    model_config = ConfigDict(alias_generator=None)


class Action(DocketModel):
    """What the agent did within a step, with pictures of the page after it and before it."""

    description: Lenient[str] = None
    type: Lenient[str] = None
    screenshot_url: Lenient[str] = None
    screenshot_url_before: Lenient[str] = None


class StepResult(DocketModel):
    """One step of an attempt; ``duration`` in seconds."""

    step_number: Lenient[int] = None
    task: Lenient[str] = None
    is_successful: Lenient[StrictBool] = None
    result: Lenient[str] = None
    duration: Lenient[float] = None
    actions: LenientTuple[Action] = ()


class Attempt(DocketModel):
    """A further attempt of a run whose blueprint allows retries."""

    results: LenientTuple[StepResult] = ()
    test_video_url: Lenient[str] = None


class BlueprintSnapshot(DocketModel):
    """The blueprint as it was when the run began."""

    title: Lenient[str] = None


class TestRunGlimpse(DocketModel):
    """As much of a test run as tells how far it is: read often."""

    __test__ = False

    id: Id
    status: str


class TestRun(TestRunGlimpse):
    """One test run: only the id and the status are vital. The URLs are signed, and expire."""

    test_blueprint_id: Lenient[Id] = None
    test_group_run_id: Lenient[Id] = None
    blueprint_metadata: Lenient[BlueprintSnapshot] = None
    results: LenientTuple[StepResult] = ()
    test_video_url: Lenient[str] = None
    test_video_download_url: Lenient[str] = None
    additional_attempts: LenientTuple[Attempt] = ()
    created_at: Lenient[Moment] = None
    updated_at: Lenient[Moment] = None


class TestRunAnswer(DocketModel):
    """The answer of ``GET /test_run/{id}``."""

    __test__ = False

    test_run: TestRun


class TestRunGlimpseAnswer(DocketModel):
    """The answer of ``GET /test_run/{id}``, of which little is read."""

    __test__ = False

    test_run: TestRunGlimpse


class StartedRun(DocketModel):
    """A test run as the answer to its trigger has it."""

    id: Id
    test_blueprint_id: Lenient[Id] = None
    test_group_run_id: Lenient[Id] = None
    is_login_test_run: Lenient[bool] = None


class GroupRun(DocketModel):
    """What a trigger started: one test run for each test."""

    id: Lenient[Id] = None
    name: Lenient[str] = None
    status: Lenient[str] = None
    test_runs: tuple[StartedRun, ...]


class GroupRunAnswer(DocketModel):
    """The answer to a trigger."""

    message: Lenient[str] = None
    test_group_run: GroupRun


class GithubContext(RequestModel):
    """The commit that a CI run tests; Docket reports its outcome there."""

    model_config = ConfigDict(alias_generator=None)

    repository: Annotated[Text, Field(pattern=r"^[^/\s]+/[^/\s]+$")]
    commit_sha: Text
    run_id: Text | None = None
    ref: Text | None = None


class CiRunRequest(RequestModel):
    """What a CI run has in its body beside the tests."""

    model_config = ConfigDict(alias_generator=None)

    github_context: GithubContext
