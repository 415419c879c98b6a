"""Files of a TesterArmy project, which the steps of its tests upload."""

from __future__ import annotations

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, Moment, WireModel
from airflow_provider_testerarmy.client.testerarmy.fields import call, project_path


class ProjectFile(WireModel):
    """A file; ``file_size`` is in bytes."""

    id: str
    project_id: Lenient[str] = None
    filename: Lenient[str] = None
    media_type: Lenient[str] = None
    file_size: Lenient[int] = None
    description: Lenient[str] = None
    summary: Lenient[str] = None
    created_at: Lenient[Moment] = None


class FileList(WireModel):
    """The response of ``GET /projects/{projectId}/files``."""

    files: tuple[ProjectFile, ...]


def list_files(project_id: str) -> Operation[tuple[ProjectFile, ...]]:
    """``GET /projects/{projectId}/files``."""
    return call("list files", "GET", project_path(project_id, "/files"), FileList).then(
        lambda answer: answer.files
    )
