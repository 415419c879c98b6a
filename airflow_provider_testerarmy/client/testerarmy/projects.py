"""Projects of TesterArmy: requests, responses and operations."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import (
    Lenient,
    LenientTuple,
    Moment,
    RequestModel,
    WireModel,
)
from airflow_provider_testerarmy.client.testerarmy.environments import ProjectEnvironment
from airflow_provider_testerarmy.client.testerarmy.fields import (
    Deleted,
    Name,
    ProjectType,
    Url,
    call,
    project_path,
)
from airflow_provider_testerarmy.client.testerarmy.models import Project

Description = Annotated[str, StringConstraints(max_length=2000)]


class ProjectDetail(Project):
    """A project with its environments."""

    project_type: Lenient[str] = None
    description: Lenient[str] = None
    environments: LenientTuple[ProjectEnvironment] = ()
    created_at: Lenient[Moment] = None
    updated_at: Lenient[Moment] = None


class ProjectSaved(WireModel):
    """The response to a created or changed project."""

    project: ProjectDetail


class ProjectRequest(RequestModel):
    """Body of ``POST /projects``."""

    name: Name
    url: Url
    project_type: ProjectType | None = None
    description: Description | None = None


class ProjectChange(RequestModel):
    """Body of ``PATCH /projects/{projectId}``; fields that are not set keep their value."""

    name: Name | None = None
    url: Url | None = None
    description: Description | None = None


def get_project(project_id: str) -> Operation[ProjectDetail]:
    """``GET /projects/{projectId}``, by id or short id."""
    return call("get project", "GET", project_path(project_id), ProjectDetail)


def create_project(request: ProjectRequest) -> Operation[ProjectDetail]:
    """``POST /projects``; 403 when the plan's limit is reached. Names need not be unique."""
    return call("create project", "POST", "/projects", ProjectSaved, request.body(), repeatable=False).then(
        lambda saved: saved.project
    )


def update_project(project_id: str, request: ProjectChange) -> Operation[ProjectDetail]:
    """``PATCH /projects/{projectId}``."""
    return call("update project", "PATCH", project_path(project_id), ProjectSaved, request.body()).then(
        lambda saved: saved.project
    )


def delete_project(project_id: str) -> Operation[Deleted]:
    """``DELETE /projects/{projectId}``: with its groups, tests, runs and files."""
    return call("delete project", "DELETE", project_path(project_id), Deleted)
