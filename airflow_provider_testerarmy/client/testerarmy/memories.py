"""Memories of a TesterArmy project: what its agents know of the product, e.g. what changed in a release."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, Moment, RequestModel, Text, WireModel
from airflow_provider_testerarmy.client.testerarmy.fields import Deleted, call, project_path
from airflow_provider_testerarmy.client.testerarmy.operations import check_id


class ProjectMemory(WireModel):
    """A memory. ``importance`` is high, medium or low."""

    id: str
    category: Lenient[str] = None
    title: Lenient[str] = None
    content: Lenient[str] = None
    importance: Lenient[str] = None
    created_at: Lenient[Moment] = None
    updated_at: Lenient[Moment] = None


class MemoryList(WireModel):
    """The response of ``GET /projects/{projectId}/memories``; a project has at most ``max_memories``."""

    memories: tuple[ProjectMemory, ...]
    count: Lenient[int] = None
    max_memories: Lenient[int] = None


class MemoryCreated(WireModel):
    """The response to a created memory; ``pruned`` others of lower importance were deleted for it."""

    memory: ProjectMemory
    pruned: Lenient[int] = None


class MemoryRequest(RequestModel):
    """Body of ``POST /projects/{projectId}/memories``."""

    category: Literal["site_structure", "test_insights", "user_preferences"]
    title: Annotated[Text, Field(max_length=200)]
    content: Text
    importance: Literal["high", "medium", "low"]


def list_memories(project_id: str) -> Operation[MemoryList]:
    """``GET /projects/{projectId}/memories``."""
    return call("list memories", "GET", project_path(project_id, "/memories"), MemoryList)


def create_memory(project_id: str, request: MemoryRequest) -> Operation[MemoryCreated]:
    """``POST /projects/{projectId}/memories``; 409 when the project has no room for it."""
    path = project_path(project_id, "/memories")
    return call("create memory", "POST", path, MemoryCreated, request.body(), repeatable=False)


def delete_memory(project_id: str, memory_id: str) -> Operation[Deleted]:
    """``DELETE /projects/{projectId}/memories/{memoryId}``: 404 when it does not exist any more."""
    path = project_path(project_id, f"/memories/{check_id(memory_id, 'memory_id')}")
    return call("delete memory", "DELETE", path, Deleted)
