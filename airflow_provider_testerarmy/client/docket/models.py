"""Docket's requests and responses, from its API reference (2026).

Statuses are plain strings, so that a new one does not break parsing. Only the title of a blueprint's snapshot is
read: the rest is large and may contain credentials for the product under test.
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

#: A positive integer; text and booleans are refused.
Id = Annotated[int, Field(strict=True, ge=1, lt=2**63)]


class DocketModel(WireModel):
    """An object in a response; Docket's JSON uses snake_case."""

    model_config = ConfigDict(alias_generator=None)


class Action(DocketModel):
    """One action of the agent within a step, with screenshots of the page before and after it."""

    description: Lenient[str] = None
    type: Lenient[str] = None
    screenshot_url: Lenient[str] = None
    screenshot_url_before: Lenient[str] = None


class StepResult(DocketModel):
    """One step of an attempt; ``duration`` is in seconds."""

    step_number: Lenient[int] = None
    task: Lenient[str] = None
    # Strict: pydantic would read "no" and 0 as False, and an unexpected value must not look like a failed step.
    is_successful: Lenient[StrictBool] = None
    result: Lenient[str] = None
    duration: Lenient[float] = None
    actions: LenientTuple[Action] = ()


class Attempt(DocketModel):
    """An additional attempt of a run whose blueprint allows retries."""

    results: LenientTuple[StepResult] = ()
    test_video_url: Lenient[str] = None


class BlueprintSnapshot(DocketModel):
    """The blueprint as it was when the run started."""

    title: Lenient[str] = None


class TestRunState(DocketModel):
    """The fields of a test run that a poll needs; parsing them is cheap."""

    __test__ = False

    id: Id
    status: str


class TestRun(TestRunState):
    """One test run. Only the id and the status are required. URLs are signed and expire."""

    test_blueprint_id: Lenient[Id] = None
    test_group_run_id: Lenient[Id] = None
    blueprint_metadata: Lenient[BlueprintSnapshot] = None
    # Null while the run is active.
    results: LenientTuple[StepResult] = ()
    test_video_url: Lenient[str] = None
    test_video_download_url: Lenient[str] = None
    additional_attempts: LenientTuple[Attempt] = ()
    created_at: Lenient[Moment] = None
    updated_at: Lenient[Moment] = None


class TestRunAnswer(DocketModel):
    """The response of ``GET /test_run/{id}``."""

    __test__ = False

    test_run: TestRun


class TestRunStateAnswer(DocketModel):
    """The response of ``GET /test_run/{id}``, reduced to what a poll needs."""

    __test__ = False

    test_run: TestRunState


class StartedRun(DocketModel):
    """A test run in the response to a trigger."""

    id: Id
    test_blueprint_id: Lenient[Id] = None
    test_group_run_id: Lenient[Id] = None
    # Docket may add a run that logs in; it is not one of the requested tests.
    is_login_test_run: Lenient[bool] = None


class GroupRun(DocketModel):
    """The group run that a trigger started, with one test run for each test."""

    id: Lenient[Id] = None
    name: Lenient[str] = None
    status: Lenient[str] = None
    # Not lenient: a dropped run would continue without anything waiting for it.
    test_runs: tuple[StartedRun, ...]


class GroupRunAnswer(DocketModel):
    """The response to a trigger."""

    message: Lenient[str] = None
    test_group_run: GroupRun


class GithubContext(RequestModel):
    """The commit that a CI run tests; Docket reports the outcome to GitHub."""

    model_config = ConfigDict(alias_generator=None)

    repository: Annotated[Text, Field(pattern=r"^[^/\s]+/[^/\s]+$")]
    commit_sha: Text
    run_id: Text | None = None
    ref: Text | None = None


class CiRunRequest(RequestModel):
    """The fields of a CI run's body besides the tests."""

    model_config = ConfigDict(alias_generator=None)

    github_context: GithubContext
