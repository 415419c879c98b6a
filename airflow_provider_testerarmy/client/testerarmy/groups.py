"""Test groups of TesterArmy with all of their fields; ``operations`` has what a run needs of them."""

from __future__ import annotations

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import Lenient, Moment, RequestModel, Text, WireModel
from airflow_provider_testerarmy.client.testerarmy import operations
from airflow_provider_testerarmy.client.testerarmy.fields import Name, RunMode, call
from airflow_provider_testerarmy.client.testerarmy.models import Group, Uuid
from airflow_provider_testerarmy.client.testerarmy.operations import check_id


class GroupDetail(Group):
    """A group; only lists contain ``test_count``, and they contain neither ``run_mode`` nor ``project_id``."""

    is_default: Lenient[bool] = None
    test_count: Lenient[int] = None
    created_at: Lenient[Moment] = None
    updated_at: Lenient[Moment] = None


class GroupDetailList(WireModel):
    """The response of ``GET /groups``."""

    groups: tuple[GroupDetail, ...]


class GroupSaved(WireModel):
    """The response to a created or changed group."""

    group: GroupDetail


class Membership(WireModel):
    """The response to a test that was added to a group or removed from it; False where nothing changed."""

    group_id: Lenient[str] = None
    test_id: Lenient[str] = None
    added: Lenient[bool] = None
    removed: Lenient[bool] = None


class GroupRequest(RequestModel):
    """Body of ``POST /groups``."""

    project_id: Text
    name: Name
    run_mode: RunMode | None = None
    prep_test_id: Uuid | None = None


class GroupChange(RequestModel):
    """Body of ``PATCH /groups/{groupId}``; fields that are not set keep their value."""

    name: Name | None = None
    run_mode: RunMode | None = None
    prep_test_id: Uuid | None = None


def get_group_detail(group_id: str) -> Operation[GroupDetail]:
    """``GET /groups/{groupId}``."""
    return operations.get_group(group_id).reading(GroupDetail.model_validate)


def list_group_details(project_id: str) -> Operation[tuple[GroupDetail, ...]]:
    """``GET /groups``: the test groups of a project."""
    listing = operations.list_groups(project_id).reading(GroupDetailList.model_validate)
    return listing.then(lambda answer: answer.groups)


def create_group(request: GroupRequest) -> Operation[GroupDetail]:
    """``POST /groups``: a new group without tests. Names need not be unique, so a repeat creates a second one."""
    return call("create group", "POST", "/groups", GroupSaved, request.body(), repeatable=False).then(
        lambda saved: saved.group
    )


def update_group(
    group_id: str, request: GroupChange, *, without_prep_test: bool = False
) -> Operation[GroupDetail]:
    """``PATCH /groups/{groupId}``.

    :param without_prep_test: whether to remove the preparation test.
    :raises RequestInvalid: for a preparation test that is both set and removed.
    """
    body = request.body()
    if without_prep_test:
        if "prepTestId" in body:
            raise RequestInvalid("prep_test_id and without_prep_test exclude each other.")
        body["prepTestId"] = None
    path = f"/groups/{check_id(group_id, 'group_id')}"
    return call("update group", "PATCH", path, GroupSaved, body).then(lambda saved: saved.group)


def add_group_test(group_id: str, test_id: str) -> Operation[Membership]:
    """``POST /groups/{groupId}/tests``: idempotent."""
    return operations.add_group_test(group_id, test_id).reading(Membership.model_validate)


def remove_group_test(group_id: str, test_id: str) -> Operation[Membership]:
    """``DELETE /groups/{groupId}/tests/{testId}``: idempotent. The test itself remains."""
    path = f"/groups/{check_id(group_id, 'group_id')}/tests/{check_id(test_id, 'test_id')}"
    return call("remove group test", "DELETE", path, Membership)
