"""The hook's methods for TesterArmy's projects: environments, credentials, memories and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.hooks.base import ServiceHook
from airflow_provider_testerarmy.hooks.lazy import lazy_module

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.testerarmy import (
        credentials,
        environments,
        files,
        memories,
        models,
        operations,
        projects,
    )
else:
    credentials = lazy_module("airflow_provider_testerarmy.client.testerarmy.credentials")
    environments = lazy_module("airflow_provider_testerarmy.client.testerarmy.environments")
    files = lazy_module("airflow_provider_testerarmy.client.testerarmy.files")
    memories = lazy_module("airflow_provider_testerarmy.client.testerarmy.memories")
    models = lazy_module("airflow_provider_testerarmy.client.testerarmy.models")
    operations = lazy_module("airflow_provider_testerarmy.client.testerarmy.operations")
    projects = lazy_module("airflow_provider_testerarmy.client.testerarmy.projects")


class ProjectMethods(ServiceHook):
    """Methods for projects and what belongs to one."""

    def list_projects(self) -> tuple[models.Project, ...]:
        """The projects of the key's team."""
        return self.send(operations.list_projects())

    async def alist_projects(self) -> tuple[models.Project, ...]:
        """Like :meth:`list_projects`, for an event loop."""
        return await self.asend(operations.list_projects())

    def get_project(self, project_id: str) -> projects.ProjectDetail:
        """A project by its id or short id, with its environments."""
        return self.send(projects.get_project(project_id))

    async def aget_project(self, project_id: str) -> projects.ProjectDetail:
        """Like :meth:`get_project`, for an event loop."""
        return await self.asend(projects.get_project(project_id))

    def create_project(self, **fields: Any) -> projects.ProjectDetail:
        """Create a project. The fields are those of ``ProjectRequest``: name, url, project_type, description."""
        return self.send(projects.create_project(build_request(projects.ProjectRequest, **fields)))

    async def acreate_project(self, **fields: Any) -> projects.ProjectDetail:
        """Like :meth:`create_project`, for an event loop."""
        return await self.asend(projects.create_project(build_request(projects.ProjectRequest, **fields)))

    def update_project(self, project_id: str, **fields: Any) -> projects.ProjectDetail:
        """Change a project. The fields are those of ``ProjectChange``: name, url, description."""
        return self.send(projects.update_project(project_id, build_request(projects.ProjectChange, **fields)))

    async def aupdate_project(self, project_id: str, **fields: Any) -> projects.ProjectDetail:
        """Like :meth:`update_project`, for an event loop."""
        return await self.asend(
            projects.update_project(project_id, build_request(projects.ProjectChange, **fields))
        )

    def delete_project(self, project_id: str) -> None:
        """Delete a project with its groups, tests, runs and files."""
        self.send(projects.delete_project(project_id))

    async def adelete_project(self, project_id: str) -> None:
        """Like :meth:`delete_project`, for an event loop."""
        await self.asend(projects.delete_project(project_id))

    def list_environments(self, project_id: str) -> tuple[environments.ProjectEnvironment, ...]:
        """The environments of a project, including production and pull-request preview."""
        return self.send(environments.list_environments(project_id))

    async def alist_environments(self, project_id: str) -> tuple[environments.ProjectEnvironment, ...]:
        """Like :meth:`list_environments`, for an event loop."""
        return await self.asend(environments.list_environments(project_id))

    def create_environment(self, project_id: str, *, name: str, url: str) -> environments.ProjectEnvironment:
        """Create an environment with a fixed https URL."""
        return self.send(
            environments.create_environment(
                project_id, build_request(environments.EnvironmentRequest, name=name, url=url)
            )
        )

    async def acreate_environment(
        self, project_id: str, *, name: str, url: str
    ) -> environments.ProjectEnvironment:
        """Like :meth:`create_environment`, for an event loop."""
        return await self.asend(
            environments.create_environment(
                project_id, build_request(environments.EnvironmentRequest, name=name, url=url)
            )
        )

    def delete_environment(self, project_id: str, environment_id: str) -> None:
        """Delete an environment that is neither production nor pull-request preview."""
        self.send(environments.delete_environment(project_id, environment_id))

    async def adelete_environment(self, project_id: str, environment_id: str) -> None:
        """Like :meth:`delete_environment`, for an event loop."""
        await self.asend(environments.delete_environment(project_id, environment_id))

    def list_credentials(self, project_id: str) -> tuple[credentials.CredentialSummary, ...]:
        """The credentials of a project, without passwords."""
        return self.send(credentials.list_credentials(project_id))

    async def alist_credentials(self, project_id: str) -> tuple[credentials.CredentialSummary, ...]:
        """Like :meth:`list_credentials`, for an event loop."""
        return await self.asend(credentials.list_credentials(project_id))

    def create_credential(self, project_id: str, **fields: Any) -> credentials.CredentialSummary:
        """Create a login or an inbox. The fields are those of ``CredentialRequest``. The API cannot delete it."""
        return self.send(
            credentials.create_credential(
                project_id, build_request(credentials.request_kind(fields), **fields)
            )
        )

    async def acreate_credential(self, project_id: str, **fields: Any) -> credentials.CredentialSummary:
        """Like :meth:`create_credential`, for an event loop."""
        return await self.asend(
            credentials.create_credential(
                project_id, build_request(credentials.request_kind(fields), **fields)
            )
        )

    def list_memories(self, project_id: str) -> memories.MemoryList:
        """What the agents know of a project."""
        return self.send(memories.list_memories(project_id))

    async def alist_memories(self, project_id: str) -> memories.MemoryList:
        """Like :meth:`list_memories`, for an event loop."""
        return await self.asend(memories.list_memories(project_id))

    def create_memory(self, project_id: str, **fields: Any) -> memories.MemoryCreated:
        """Create a memory. The fields are those of ``MemoryRequest``: category, title, content, importance."""
        return self.send(memories.create_memory(project_id, build_request(memories.MemoryRequest, **fields)))

    async def acreate_memory(self, project_id: str, **fields: Any) -> memories.MemoryCreated:
        """Like :meth:`create_memory`, for an event loop."""
        return await self.asend(
            memories.create_memory(project_id, build_request(memories.MemoryRequest, **fields))
        )

    def delete_memory(self, project_id: str, memory_id: str) -> None:
        """Delete a memory."""
        self.send(memories.delete_memory(project_id, memory_id))

    async def adelete_memory(self, project_id: str, memory_id: str) -> None:
        """Like :meth:`delete_memory`, for an event loop."""
        await self.asend(memories.delete_memory(project_id, memory_id))

    def list_files(self, project_id: str) -> tuple[files.ProjectFile, ...]:
        """The files of a project, which the steps of its tests upload."""
        return self.send(files.list_files(project_id))

    async def alist_files(self, project_id: str) -> tuple[files.ProjectFile, ...]:
        """Like :meth:`list_files`, for an event loop."""
        return await self.asend(files.list_files(project_id))
