"""The routes of the TesterArmy API that change projects, and what belongs to one beside tests and apps."""

import re
import uuid
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import read_body, read_object
from airflow_provider_testerarmy.sandbox.core.errors import ApiError, bad_request, conflict, not_found
from airflow_provider_testerarmy.sandbox.core.http import json_answer
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy import render
from airflow_provider_testerarmy.sandbox.testerarmy.calls import find_project, store_of, uuid_path
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Environment, Group, Project
from airflow_provider_testerarmy.sandbox.testerarmy.project_bodies import (
    EnvironmentBody,
    MemoryBody,
    ProjectBody,
    ProjectChangeBody,
    credential_body,
)
from airflow_provider_testerarmy.sandbox.testerarmy.workspace import MOST_MEMORIES

#: The limit depends on the plan; the vendor documents the error alone.
MOST_PROJECTS = 20

#: An http URL in the characters of RFC 3986.
_URI = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%-]*)?")

ProjectPath = Annotated[str, Path(alias="projectId")]
router = APIRouter()


@router.post("/projects")
async def create_project(request: Request) -> Response:
    """Create a project with a default group and a production environment."""
    body = await read_body(request, ProjectBody)
    store = store_of(request)
    count = len(store.catalog.projects)
    if count >= MOST_PROJECTS:
        message = f"The plan has at most {MOST_PROJECTS} projects"
        raise ApiError(403, "PROJECT_LIMIT_REACHED", message, currentCount=count, limit=MOST_PROJECTS)
    now, number = iso(store.clock.time()), str(uuid.uuid4())
    project = Project(
        number,
        f"{_slug(body.name)}-{number[:6]}",
        body.name,
        _uri(body.url),
        body.project_type or "web",
        body.description,
        now,
        now,
    )
    store.catalog.save_project(project)
    store.catalog.save_environment(
        Environment(str(uuid.uuid4()), project.id, "Production", "production", "production", project.url)
    )
    group = Group(str(uuid.uuid4()), "All Tests", (), project.id, is_default=True)
    store.catalog.create_group(replace(group, created_at=now, updated_at=now))
    return json_answer({"project": render.project_detail(project, store.catalog)}, 201)


@router.patch("/projects/{projectId}")
async def update_project(request: Request, project_id: ProjectPath) -> Response:
    """Change name, URL or description of a project."""
    body = await read_body(request, ProjectChangeBody)
    store = store_of(request)
    fields = body.model_dump(exclude_unset=True)
    if "url" in fields:
        fields["url"] = _uri(fields["url"])
    project = find_project(store.catalog, project_id)
    changed = replace(project, **fields, updated_at=iso(store.clock.time()))
    store.catalog.save_project(changed)
    return json_answer({"project": render.project_detail(changed, store.catalog)})


@router.delete("/projects/{projectId}")
async def delete_project(request: Request, project_id: ProjectPath) -> Response:
    """Delete a project with everything in it."""
    store = store_of(request)
    project = find_project(store.catalog, project_id)
    store.delete_project(project.id)
    return json_answer({"deleted": True, "id": project.id})


@router.get("/projects/{projectId}/environments")
async def list_environments(request: Request, project_id: ProjectPath) -> Response:
    """List the environments of a project."""
    catalog = store_of(request).catalog
    found = catalog.environments(find_project(catalog, project_id).id)
    return json_answer({"environments": [render.environment_document(each) for each in found]})


@router.post("/projects/{projectId}/environments")
async def create_environment(request: Request, project_id: ProjectPath) -> Response:
    """Create a static environment; its name and slug are unique in the project."""
    body = await read_body(request, EnvironmentBody)
    catalog = store_of(request).catalog
    project = find_project(catalog, project_id)
    # OpenAPI: "a stable HTTPS URL".
    if not (body.url.startswith("https:") and _URI.fullmatch(body.url)):
        raise bad_request("BAD_REQUEST", "url: must be an https URL")
    slug = _slug(body.name)
    for other in catalog.environments(project.id):
        if slug == other.slug or body.name.casefold() == other.name.casefold():
            raise conflict(f"The project has an environment {other.name!r}")
    environment = Environment(str(uuid.uuid4()), project.id, body.name, slug, "static", body.url)
    catalog.save_environment(environment)
    return json_answer({"environment": render.environment_document(environment)}, 201)


@router.delete("/projects/{projectId}/environments/{environmentId}")
async def delete_environment(
    request: Request, project_id: ProjectPath, environment_id: Annotated[str, uuid_path("environmentId")]
) -> Response:
    """Delete a static environment."""
    catalog = store_of(request).catalog
    project = find_project(catalog, project_id)
    found = {each.id: each for each in catalog.environments(project.id)}.get(environment_id.lower())
    if found is None:
        raise not_found(f"Project environment {environment_id} not found")
    if found.kind != "static":
        raise bad_request("BAD_REQUEST", f"The environment {found.name} cannot be deleted")
    catalog.delete_environment(found.id)
    return json_answer({"deleted": True, "id": found.id})


@router.get("/projects/{projectId}/credentials")
async def list_credentials(request: Request, project_id: ProjectPath) -> Response:
    """List the credentials of a project, without their secrets."""
    store = store_of(request)
    project = find_project(store.catalog, project_id)
    return json_answer({"credentials": store.workspace.credentials.get(project.id, [])})


@router.post("/projects/{projectId}/credentials")
async def create_credential(request: Request, project_id: ProjectPath) -> Response:
    """Create a login or an inbox."""
    body = credential_body(await read_object(request))
    store = store_of(request)
    project = find_project(store.catalog, project_id)
    return json_answer({"credential": store.workspace.add_credential(project.id, body.sent())}, 201)


@router.get("/projects/{projectId}/memories")
async def list_memories(request: Request, project_id: ProjectPath) -> Response:
    """List the memories of a project."""
    store = store_of(request)
    found = store.workspace.memories.get(find_project(store.catalog, project_id).id, [])
    return json_answer({"memories": found, "count": len(found), "maxMemories": MOST_MEMORIES})


@router.post("/projects/{projectId}/memories")
async def create_memory(request: Request, project_id: ProjectPath) -> Response:
    """Create a memory; a full project loses one that is less important."""
    body = await read_body(request, MemoryBody)
    store = store_of(request)
    project = find_project(store.catalog, project_id)
    memory, pruned = store.workspace.add_memory(project.id, body.sent())
    return json_answer({"memory": memory, "pruned": pruned}, 201)


@router.delete("/projects/{projectId}/memories/{memoryId}")
async def delete_memory(
    request: Request, project_id: ProjectPath, memory_id: Annotated[str, uuid_path("memoryId")]
) -> Response:
    """Delete a memory."""
    store = store_of(request)
    store.workspace.delete_memory(find_project(store.catalog, project_id).id, memory_id)
    return json_answer({"deleted": True, "id": memory_id.lower()})


@router.get("/projects/{projectId}/files")
async def list_files(request: Request, project_id: ProjectPath) -> Response:
    """List the files of a project."""
    store = store_of(request)
    project = find_project(store.catalog, project_id)
    return json_answer({"files": store.workspace.files.get(project.id, [])})


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "environment"


def _uri(url: str) -> str:
    # `GET /projects` answers with `format: uri`; the request does not require it. A missing scheme is added.
    full = url if re.match(r"https?://", url) else f"https://{url}"
    if not _URI.fullmatch(full):
        raise bad_request("BAD_REQUEST", "url: must be a URL")
    return full
