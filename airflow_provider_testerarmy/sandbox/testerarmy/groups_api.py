"""The routes of the TesterArmy API that create, change, fill and delete test groups."""

import uuid
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import read_body
from airflow_provider_testerarmy.sandbox.core.errors import bad_request
from airflow_provider_testerarmy.sandbox.core.http import json_answer
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy import render
from airflow_provider_testerarmy.sandbox.testerarmy.bodies import GroupBody, GroupChangeBody, MemberBody
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


@router.patch("/groups/{groupId}")
async def update_group(request: Request, group_id: Annotated[str, uuid_path("groupId")]) -> Response:
    """Change name, run mode or preparation test of a group."""
    body = await read_body(request, GroupChangeBody)
    store = store_of(request)
    group = find_group(store.catalog, group_id)
    fields = body.model_dump(exclude_unset=True)
    if body.prep_test_id is not None:
        fields["prep_test_id"] = _preparation(store.catalog, body.prep_test_id, group.project_id)
    store.catalog.update_group(group.id, **fields, updated_at=iso(store.clock.time()))
    return json_answer({"group": render.group_detail(store.catalog.groups[group.id])})


@router.delete("/groups/{groupId}/tests/{testId}")
async def remove_test(
    request: Request,
    group_id: Annotated[str, uuid_path("groupId")],
    test_id: Annotated[str, uuid_path("testId")],
) -> Response:
    """Remove a test from a group; a test that is no member changes nothing."""
    catalog, test_id = store_of(request).catalog, test_id.lower()
    group = find_group(catalog, group_id)
    members = tuple(member for member in group.test_ids if member != test_id)
    # OpenAPI: "Clears the group's prepTestId if it pointed at the removed test".
    prep_test_id = None if group.prep_test_id == test_id else group.prep_test_id
    catalog.update_group(group.id, test_ids=members, prep_test_id=prep_test_id)
    removed = members != group.test_ids
    return json_answer({"groupId": group.id, "testId": test_id, "removed": removed})


def _preparation(catalog: Catalog, test_id: str, project_id: str) -> str:
    """The id of a preparation test, or an error of the API if it is another project's."""
    test = find_test(catalog, test_id)
    if test.project_id != project_id:
        raise bad_request("BAD_REQUEST", "prepTestId: belongs to another project")
    return test.id


def new_group(catalog: Catalog, group_id: str, body: GroupBody) -> Group:
    """Add an empty group to the catalog, or raise an error of the API.

    Names need not be unique: the OpenAPI document has no conflict here.
    """
    project = find_project(catalog, body.project_id)
    if sum(group.project_id == project.id for group in catalog.groups.values()) >= MOST_GROUPS:
        raise bad_request("GROUP_LIMIT_REACHED", f"A project has at most {MOST_GROUPS} groups")
    prep_test_id = _preparation(catalog, body.prep_test_id, project.id) if body.prep_test_id else None
    group = Group(
        group_id,
        body.name,
        (),
        project.id,
        body.run_mode or "concurrent",
        prep_test_id,
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
