"""The routes of the TesterArmy API that create, change and delete saved tests."""

import re
import uuid
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.body import read_body
from airflow_provider_testerarmy.sandbox.core.errors import bad_request
from airflow_provider_testerarmy.sandbox.core.http import json_answer
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy import render
from airflow_provider_testerarmy.sandbox.testerarmy.calls import (
    find_group,
    find_project,
    find_test,
    script_in,
    store_of,
    uuid_path,
)
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import SavedTest
from airflow_provider_testerarmy.sandbox.testerarmy.project_bodies import TestBody, TestChangeBody

router = APIRouter()


@router.post("/tests")
async def create_test(request: Request) -> Response:
    """Create a test; `[sandbox:NAME]` in its title selects the script of its runs."""
    body = await read_body(request, TestBody)
    store = store_of(request)
    project = find_project(store.catalog, body.project_id)
    group = find_group(store.catalog, body.group_id) if body.group_id else None
    if group is not None and group.project_id != project.id:
        raise bad_request("BAD_REQUEST", "groupId: belongs to another project")
    now = iso(store.clock.time())
    test = SavedTest(
        str(uuid.uuid4()),
        body.title,
        script_in(body.title),
        project_id=project.id,
        enabled=body.enabled is not False,
        description=body.description or "",
        steps=tuple(step.sent() for step in body.steps),
        platform=body.platform,
        created_at=now,
        updated_at=now,
    )
    store.catalog.save_test(test)
    for each in list(store.catalog.groups.values()):
        if each.project_id == project.id and (each.is_default or each == group):
            store.catalog.change_group(each.id, (*each.test_ids, test.id))
    return json_answer({"test": render.test_document(test, store.catalog)}, 201)


@router.patch("/tests/{testId}")
async def update_test(request: Request, test_id: Annotated[str, uuid_path("testId")]) -> Response:
    """Change title, description, steps or `enabled` of a test."""
    body = await read_body(request, TestChangeBody)
    store = store_of(request)
    test = find_test(store.catalog, test_id)
    fields = {name: getattr(body, name) for name in body.model_fields_set}
    if body.steps is not None:
        fields["steps"] = tuple(step.sent() for step in body.steps)
    if body.title is not None and re.search(r"\[sandbox:", body.title):
        fields["script"] = script_in(body.title)
    changed = replace(test, **fields, updated_at=iso(store.clock.time()))
    store.catalog.save_test(changed)
    return json_answer({"test": render.test_document(changed, store.catalog)})


@router.delete("/tests/{testId}")
async def delete_test(request: Request, test_id: Annotated[str, uuid_path("testId")]) -> Response:
    """Delete a test, and remove it from its groups. Its active runs continue."""
    catalog = store_of(request).catalog
    test = find_test(catalog, test_id)
    catalog.delete_test(test.id)
    return json_answer({"deleted": True, "id": test.id})
