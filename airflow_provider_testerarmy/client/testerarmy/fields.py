"""The bounded texts that TesterArmy's requests share, and ids in paths."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, Field

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.operation import Method, Operation
from airflow_provider_testerarmy.client.http.wire import NumberOnly, Text, WireModel
from airflow_provider_testerarmy.client.testerarmy.operations import check_id

AnswerT = TypeVar("AnswerT", bound=BaseModel)

ProjectType = Literal["web", "mobile"]
RunMode = Literal["concurrent", "sequential"]


#: The name of a project or a group.
Name = Annotated[Text, Field(max_length=255)]
#: The URL of a project or an environment; the service checks its form.
Url = Annotated[Text, Field(max_length=500)]

#: Seconds after which the service deletes an uploaded app.
RemoveAfter = Annotated[int, NumberOnly, Field(ge=60, le=604_800)]
FileSize = Annotated[int, NumberOnly, Field(gt=0)]


class Deleted(WireModel):
    """The response to a deletion; no field of it is needed."""


def project_path(project_id: str, rest: str = "") -> str:
    """A path below a project, which has a UUID or a short id.

    :raises RequestInvalid: if the id is empty.
    """
    if not isinstance(project_id, str) or not project_id.strip():
        raise RequestInvalid("project_id is empty; a template may have rendered to nothing.")
    return f"/projects/{quote(project_id.strip(), safe='')}{rest}"


def mobile_path(project_id: str, rest: str = "") -> str:
    """A path below the apps of a project, which has a UUID here.

    :raises RequestInvalid: if the id is not a UUID.
    """
    return f"/projects/{check_id(project_id, 'project_id')}/mobile{rest}"


def call(
    name: str,
    method: Method,
    path: str,
    answer: type[AnswerT],
    body: dict[str, Any] | None = None,
    *,
    repeatable: bool = True,
) -> Operation[AnswerT]:
    """An operation with a JSON answer."""
    return Operation(name, method, path, answer.model_validate, body=body, repeatable=repeatable)
