"""Environments of a TesterArmy project: its deployments, against which tests run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, RequestModel, Text, WireModel
from airflow_provider_testerarmy.client.testerarmy.fields import Deleted, Url, call, project_path
from airflow_provider_testerarmy.client.testerarmy.operations import check_id


class ProjectEnvironment(WireModel):
    """A deployment of a project. ``kind`` is production, pr_preview or static; only static ones can be deleted."""

    id: str
    name: Lenient[str] = None
    slug: Lenient[str] = None
    kind: Lenient[str] = None
    url: Lenient[str] = None


class EnvironmentList(WireModel):
    """The response of ``GET /projects/{projectId}/environments``."""

    environments: tuple[ProjectEnvironment, ...]


class EnvironmentSaved(WireModel):
    """The response to a created environment."""

    environment: ProjectEnvironment


class EnvironmentRequest(RequestModel):
    """Body of ``POST /projects/{projectId}/environments``; ``url`` is an https URL that does not change."""

    name: Annotated[Text, Field(max_length=100)]
    url: Url


def list_environments(project_id: str) -> Operation[tuple[ProjectEnvironment, ...]]:
    """``GET /projects/{projectId}/environments``."""
    return call("list environments", "GET", project_path(project_id, "/environments"), EnvironmentList).then(
        lambda answer: answer.environments
    )


def create_environment(project_id: str, request: EnvironmentRequest) -> Operation[ProjectEnvironment]:
    """``POST /projects/{projectId}/environments``; 409 when the name is taken."""
    # Not repeatable: a repeat after a lost response would report the own environment as a conflict.
    path = project_path(project_id, "/environments")
    return call("create environment", "POST", path, EnvironmentSaved, request.body(), repeatable=False).then(
        lambda saved: saved.environment
    )


def delete_environment(project_id: str, environment_id: str) -> Operation[Deleted]:
    """``DELETE /projects/{projectId}/environments/{environmentId}``: 404 when it does not exist any more."""
    path = project_path(project_id, f"/environments/{check_id(environment_id, 'environment_id')}")
    return call("delete environment", "DELETE", path, Deleted)
