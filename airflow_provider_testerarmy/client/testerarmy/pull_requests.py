"""TesterArmy's pull-request agent: tests what a pull request changes, on its deployed preview or its build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, NumberOnly, RequestModel, Text, WireModel
from airflow_provider_testerarmy.client.testerarmy.fields import call, project_path
from airflow_provider_testerarmy.client.testerarmy.models import HttpUrl, MobileBuild

Branch = Annotated[Text, Field(max_length=255)]


class PullRequest(RequestModel):
    """A pull request."""

    provider: Literal["github"] | None = None
    number: Annotated[int, NumberOnly, Field(gt=0)]
    title: Annotated[Text, Field(max_length=500)]
    description: Annotated[str, Field(max_length=5000)] | None = None
    base_branch: Branch | None = None
    head_branch: Branch | None = None
    commit_sha: Annotated[Text, Field(max_length=100)]


class WebPullRequestRun(RequestModel):
    """Body of ``POST /projects/{projectId}/pull-request-runs`` for a web project."""

    target_url: HttpUrl
    platform: Literal["web"] | None = None
    pull_request: PullRequest


class MobilePullRequestRun(RequestModel):
    """Body of ``POST /projects/{projectId}/pull-request-runs`` for a mobile project."""

    platform: Literal["ios", "android"]
    pull_request: PullRequest
    mobile: MobileBuild | None = None
    simulator_region: Literal["eu-north1", "us-west1"] | None = None


class PullRequestRunQueued(WireModel):
    """The response of ``POST /projects/{projectId}/pull-request-runs``."""

    status: str
    # Required: without it, nothing could poll or cancel the run.
    run_id: str
    project_id: Lenient[str] = None
    platform: Lenient[str] = None


def request_kind(fields: dict[str, Any]) -> type[WebPullRequestRun] | type[MobilePullRequestRun]:
    """The class of the request that these fields make."""
    return MobilePullRequestRun if fields.get("platform") in ("ios", "android") else WebPullRequestRun


def trigger_pull_request_run(
    project_id: str, request: WebPullRequestRun | MobilePullRequestRun
) -> Operation[PullRequestRunQueued]:
    """``POST /projects/{projectId}/pull-request-runs``: starts (and bills) one run."""
    return trigger_with_body(project_id, request.body())


def trigger_with_body(project_id: str, body: Mapping[str, Any]) -> Operation[PullRequestRunQueued]:
    """The same with a body that was validated before."""
    path = project_path(project_id, "/pull-request-runs")
    return call("trigger pull request run", "POST", path, PullRequestRunQueued, dict(body), repeatable=False)
