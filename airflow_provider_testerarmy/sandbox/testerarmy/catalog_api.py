"""The routes of the TesterArmy API that show projects, tests and groups."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_testerarmy.sandbox.core.http import json_answer
from airflow_provider_testerarmy.sandbox.testerarmy import render
from airflow_provider_testerarmy.sandbox.testerarmy.calls import (
    Limit,
    ProjectQuery,
    find_group,
    find_project,
    find_test,
    parse_cursor,
    store_of,
    uuid_path,
    uuid_query,
)
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import CREATED_AT

router = APIRouter()


@router.get("/projects")
async def list_projects(request: Request) -> Response:
    """List all projects."""
    catalog = store_of(request).catalog
    return json_answer({"projects": [render.project_summary(p, catalog) for p in catalog.projects.values()]})


@router.get("/projects/{projectId}")
async def get_project(request: Request, project_id: Annotated[str, Path(alias="projectId")]) -> Response:
    """Return a project, found by its id or short id."""
    catalog = store_of(request).catalog
    return json_answer(render.project_detail(find_project(catalog, project_id), catalog))


@router.get("/tests")
async def list_tests(
    request: Request,
    project_id: ProjectQuery,
    group_id: Annotated[str | None, uuid_query("groupId")] = None,
    limit: Limit = None,
    cursor: str | None = None,
) -> Response:
    """List the tests of a project or of one of its groups."""
    catalog = store_of(request).catalog
    project = find_project(catalog, project_id)
    group = find_group(catalog, group_id) if group_id else None
    tests = catalog.tests_of(project.id, group.id if group else None)
    after = parse_cursor(cursor)
    rest = [test for test in tests if after is None or test.id > after[1]]
    page = rest[: int(limit or 50)]
    following = f"{CREATED_AT}::{page[-1].id}" if len(page) < len(rest) else None
    return json_answer(
        {
            "projectUrl": project.url,
            "projectName": project.name,
            "tests": [render.test_document(test, catalog) for test in page],
            "nextCursor": following,
        }
    )


@router.get("/tests/{testId}")
async def get_test(request: Request, test_id: Annotated[str, uuid_path("testId")]) -> Response:
    """Return a test."""
    catalog = store_of(request).catalog
    return json_answer(render.test_detail(find_test(catalog, test_id), catalog))


@router.get("/groups")
async def list_groups(request: Request, project_id: ProjectQuery) -> Response:
    """List the groups of a project."""
    catalog = store_of(request).catalog
    project = find_project(catalog, project_id)
    found = [group for group in catalog.groups.values() if group.project_id == project.id]
    return json_answer({"groups": [render.group_summary(group) for group in found]})


@router.get("/groups/{groupId}")
async def get_group(request: Request, group_id: Annotated[str, uuid_path("groupId")]) -> Response:
    """Return a group."""
    return json_answer(render.group_detail(find_group(store_of(request).catalog, group_id)))
