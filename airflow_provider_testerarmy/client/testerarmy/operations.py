"""The TesterArmy API, one function per operation; nothing here does I/O.

Source: the service's OpenAPI document; for ``POST /runs`` its reference page on test runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import NOTHING
from airflow_provider_testerarmy.client.testerarmy.models import (
    BatchCancelled,
    Group,
    GroupChanged,
    GroupCreated,
    GroupList,
    GroupRunQueued,
    GroupRunRequest,
    Project,
    ProjectList,
    PromptRunQueued,
    PromptRunRequest,
    Run,
    RunCancelled,
    RunHead,
    RunHeadPage,
    RunPage,
    RunState,
    RunStatePage,
    TestDefinition,
    TestPage,
    TestRunQueued,
    TestRunRequest,
    Uuid,
)

# Some of the vendor's reference pages print /v1, but production serves only /api/v1.
DEFAULT_BASE_URL: Final = "https://tester.army/api/v1"
PAGE_SIZE: Final = 100

T = TypeVar("T")

_uuid: Final[TypeAdapter[str]] = TypeAdapter(Uuid, config=ConfigDict(defer_build=True))


def check_id(value: object, name: str) -> str:
    """The id in its canonical form, from text in any case or a ``uuid.UUID``.

    :param name: its name in the message, e.g. ``group_id``.
    :raises RequestInvalid: if it is not a UUID.
    """
    text = str(value) if isinstance(value, UUID) else value
    if text is None or (isinstance(text, str) and text.strip().lower() in NOTHING):
        shown = "" if text is None or not text.strip() else f" ({text.strip()!r})"
        raise RequestInvalid(f"{name} is empty{shown}; a template may have rendered to nothing.")
    try:
        return _uuid.validate_python(text)
    except ValidationError:
        raise RequestInvalid(
            f"{name} {repr(value)[:80]} is not a TesterArmy id (a UUID such as 3f0e8a52-...)."
        ) from None


def trigger_test_run(test_id: str, request: TestRunRequest | None = None) -> Operation[TestRunQueued]:
    """``POST /tests/{testId}/runs``: starts (and bills) one run."""
    path = f"/tests/{check_id(test_id, 'test_id')}/runs"
    return _trigger("trigger test run", path, TestRunQueued, (request or TestRunRequest()).body())


def trigger_group_run(group_id: str, request: GroupRunRequest | None = None) -> Operation[GroupRunQueued]:
    """``POST /groups/{groupId}/runs``: starts (and bills) a run of every runnable test of the group."""
    path = f"/groups/{check_id(group_id, 'group_id')}/runs"
    return _trigger("trigger group run", path, GroupRunQueued, (request or GroupRunRequest()).body())


def submit_prompt_run(request: PromptRunRequest) -> Operation[PromptRunQueued]:
    """``POST /runs``: starts (and bills) a run of an ad-hoc prompt."""
    return with_prompt(_trigger("submit prompt run", "/runs", PromptRunQueued, None), request.body())


def with_prompt(operation: Operation[T], body: Mapping[str, Any]) -> Operation[T]:
    """The operation with another body of a prompt, whose passwords no error shows."""
    passwords = tuple(str(each.get("password", "")) for each in body.get("credentials", ()))
    return replace(operation, body=body, secrets=passwords)


def rerun_batch(batch_id: str) -> Operation[GroupRunQueued]:
    """``POST /batches/{batchId}/rerun``: starts (and bills) a new run of every runnable test of the batch."""
    path = f"/batches/{check_id(batch_id, 'batch_id')}/rerun"
    return _trigger("rerun batch", path, GroupRunQueued, None)


def get_run(run_id: str) -> Operation[Run]:
    """``GET /runs/{id}``."""
    return Operation("get run", "GET", f"/runs/{_segment(run_id)}", Run.model_validate)


def list_runs(
    *,
    limit: int = PAGE_SIZE,
    status: str | None = None,
    project_id: str | None = None,
    test_id: str | None = None,
    cursor: str | None = None,
) -> Operation[RunPage]:
    """``GET /runs``, newest first.

    :param limit: runs per page, 1 to 100.
    """
    # The range of the OpenAPI document.
    if not 1 <= limit <= PAGE_SIZE:
        raise RequestInvalid(f"limit must be between 1 and {PAGE_SIZE}, not {limit}.")
    query = {
        "limit": str(limit),
        "status": status,
        "projectId": project_id,
        "testId": test_id,
        "cursor": cursor,
    }
    return Operation("list runs", "GET", "/runs", RunPage.model_validate, query=query)


def get_run_state(run_id: str) -> Operation[RunState]:
    """Like :func:`get_run`, but parses only what a poll needs."""
    return replace(  # type: ignore[return-value]
        get_run(run_id),
        parse=RunState.model_validate,  # type: ignore[arg-type]
        parse_text=RunState.model_validate_json,  # type: ignore[arg-type]
    )


def list_run_states(
    *,
    limit: int = PAGE_SIZE,
    status: str | None = None,
    project_id: str | None = None,
    test_id: str | None = None,
    cursor: str | None = None,
) -> Operation[RunStatePage]:
    """Like :func:`list_runs`, but parses only what a poll needs; the runs come with their full output."""
    # A page of 100 runs with their output has megabytes; only parsing less of it saves time in an event loop.
    listing = list_runs(limit=limit, status=status, project_id=project_id, test_id=test_id, cursor=cursor)
    return replace(  # type: ignore[return-value]
        listing,
        parse=RunStatePage.model_validate,  # type: ignore[arg-type]
        parse_text=RunStatePage.model_validate_json,  # type: ignore[arg-type]
    )


def get_run_head(run_id: str) -> Operation[RunHead]:
    """Like :func:`get_run`, but without issues and steps."""
    return replace(get_run(run_id), parse=RunHead.model_validate)  # type: ignore[arg-type, return-value]


def list_run_heads(*, status: str | None = None, cursor: str | None = None) -> Operation[RunHeadPage]:
    """Like :func:`list_runs`, but without issues and steps."""
    listing = list_runs(status=status, cursor=cursor)
    return replace(listing, parse=RunHeadPage.model_validate)  # type: ignore[arg-type, return-value]


def cancel_run(run_id: str) -> Operation[RunCancelled]:
    """``POST /runs/{id}/cancel``; 409 when the run has already finished."""
    # Repeatable: a second cancel of a finished run is a 409 and changes nothing.
    path = f"/runs/{_segment(run_id)}/cancel"
    return Operation("cancel run", "POST", path, RunCancelled.model_validate)


def cancel_batch(batch_id: str) -> Operation[BatchCancelled]:
    """``POST /batches/{batchId}/cancel``: idempotent; 409 when some of its runs could not be cancelled."""
    path = f"/batches/{_segment(batch_id)}/cancel"
    return Operation("cancel batch", "POST", path, BatchCancelled.model_validate)


def list_projects() -> Operation[tuple[Project, ...]]:
    """``GET /projects``: the projects of the key's team."""
    return Operation("list projects", "GET", "/projects", ProjectList.model_validate).then(
        lambda answer: answer.projects
    )


def get_test(test_id: str) -> Operation[TestDefinition]:
    """``GET /tests/{testId}``."""
    return Operation(
        "get test", "GET", f"/tests/{check_id(test_id, 'test_id')}", TestDefinition.model_validate
    )


def list_tests(
    project_id: str, *, group_id: str | None = None, limit: int = PAGE_SIZE, cursor: str | None = None
) -> Operation[TestPage]:
    """``GET /tests``: the tests of a project, or of one of its groups."""
    query = {"projectId": project_id, "groupId": group_id, "limit": str(limit), "cursor": cursor}
    return Operation("list tests", "GET", "/tests", TestPage.model_validate, query=query)


def get_group(group_id: str) -> Operation[Group]:
    """``GET /groups/{groupId}``."""
    return Operation("get group", "GET", f"/groups/{check_id(group_id, 'group_id')}", Group.model_validate)


def list_groups(project_id: str) -> Operation[tuple[Group, ...]]:
    """``GET /groups``: the test groups of a project."""
    query = {"projectId": project_id}
    return Operation("list groups", "GET", "/groups", GroupList.model_validate, query=query).then(
        lambda answer: answer.groups
    )


def create_group(
    project_id: str, name: str, *, run_mode: str | None = None, prep_test_id: str | None = None
) -> Operation[Group]:
    """``POST /groups``: a new group without tests. Names need not be unique, so a repeat creates a second one."""
    given = {"projectId": project_id, "name": name, "runMode": run_mode, "prepTestId": prep_test_id}
    body = {field: value for field, value in given.items() if value is not None}
    return Operation(
        "create group", "POST", "/groups", GroupCreated.model_validate, body=body, repeatable=False
    ).then(lambda answer: answer.group)


def add_group_test(group_id: str, test_id: str) -> Operation[GroupChanged]:
    """``POST /groups/{groupId}/tests``: idempotent."""
    path, body = f"/groups/{check_id(group_id, 'group_id')}/tests", {"testId": check_id(test_id, "test_id")}
    return Operation("add group test", "POST", path, GroupChanged.model_validate, body=body)


def delete_group(group_id: str) -> Operation[GroupChanged]:
    """``DELETE /groups/{groupId}``: 404 when it does not exist any more."""
    path = f"/groups/{check_id(group_id, 'group_id')}"
    return Operation("delete group", "DELETE", path, GroupChanged.model_validate)


def _segment(given: str) -> str:
    """An id from the service as a path segment.

    Its format is not checked: a run with an unexpected id must still be possible to cancel.
    """
    if not given:
        raise RequestInvalid("The id is empty.")
    return quote(given, safe="")


AnswerT = TypeVar("AnswerT", bound=BaseModel)


def _trigger(name: str, path: str, answer: type[AnswerT], body: dict[str, Any] | None) -> Operation[AnswerT]:
    # The API has no idempotency key: a repeated trigger starts (and bills) a second run.
    return Operation(name, "POST", path, answer.model_validate, body=body, repeatable=False)
