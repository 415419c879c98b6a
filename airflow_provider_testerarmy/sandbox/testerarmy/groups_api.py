"""The routes of the TesterArmy API that create, fill and delete test groups."""

import uuid
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import read_body
from airflow_provider_testerarmy.sandbox.core.errors import bad_request
from airflow_provider_testerarmy.sandbox.core.http import json_answer
from airflow_provider_testerarmy.sandbox.testerarmy import render
from airflow_provider_testerarmy.sandbox.testerarmy.bodies import GroupBody, MemberBody
from airflow_provider_testerarmy.sandbox.testerarmy.calls import (
    find_group,
    find_project,
    find_test,
    store_of,
    uuid_path,
)
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Catalog, Group

#: "Capped at 20 groups per project" (OpenAPI). The status of the error is not documented.
MOST_GROUPS = 20

router = APIRouter()


@router.post("/groups")
async def create_group(request: Request) -> Response:
    """Create a group without tests."""
    body = await read_body(request, GroupBody)
    group = new_group(store_of(request).catalog, str(uuid.uuid4()), body)
    return json_answer({"group": render.new_group(group)}, 201)


@router.post("/groups/{groupId}/tests")
async def add_test(request: Request, group_id: Annotated[str, uuid_path("groupId")]) -> Response:
    """Add a test to a group; a test that is a member already changes nothing."""
    body = await read_body(request, MemberBody)
    catalog = store_of(request).catalog
    added = add_member(catalog, group_id, body.test_id)
    found = {"groupId": group_id.lower(), "testId": body.test_id.lower(), "added": added}
    return json_answer(found, 201 if added else 200)


@router.delete("/groups/{groupId}")
async def delete_group(request: Request, group_id: Annotated[str, uuid_path("groupId")]) -> Response:
    """Delete a group. Its active runs continue: the OpenAPI document does not say that they end."""
    remove_group(store_of(request).catalog, group_id)
    return json_answer({"deleted": True, "id": group_id.lower()})


def new_group(catalog: Catalog, group_id: str, body: GroupBody) -> Group:
    """Add an empty group to the catalog, or raise an error of the API.

    Names need not be unique: the OpenAPI document has no conflict here.
    """
    project = find_project(catalog, body.project_id)
    if sum(group.project_id == project.id for group in catalog.groups.values()) >= MOST_GROUPS:
        raise bad_request("GROUP_LIMIT_REACHED", f"A project has at most {MOST_GROUPS} groups")
    if body.prep_test_id and find_test(catalog, body.prep_test_id).project_id != project.id:
        raise bad_request("BAD_REQUEST", "prepTestId: belongs to another project")
    group = Group(
        group_id,
        body.name,
        (),
        project.id,
        body.run_mode or "concurrent",
        body.prep_test_id and body.prep_test_id.lower(),
    )
    catalog.create_group(group)
    return group


def add_member(catalog: Catalog, group_id: str, test_id: str) -> bool:
    """Add a test to a group, or raise an error of the API; False if it is a member already."""
    group, test = find_group(catalog, group_id), find_test(catalog, test_id)
    if test.project_id != group.project_id:
        raise bad_request("BAD_REQUEST", "testId: belongs to another project")
    if test.id in group.test_ids:
        return False
    catalog.change_group(group.id, (*group.test_ids, test.id))
    return True


def remove_group(catalog: Catalog, group_id: str) -> None:
    """Delete a group, or raise an error of the API."""
    group = find_group(catalog, group_id)
    if group.is_default:
        raise bad_request("BAD_REQUEST", "The default group cannot be deleted")
    catalog.delete_group(group.id)
