"""Parameters and look-ups that the routes of the TesterArmy API share."""

import re
from typing import Annotated, Any

from fastapi import Path, Query
from starlette.requests import Request

from airflow_provider_testerarmy.sandbox.core.body import UUID_PATTERN
from airflow_provider_testerarmy.sandbox.core.errors import bad_request, not_found
from airflow_provider_testerarmy.sandbox.core.http import sandbox_of
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Catalog, Group, Project, SavedTest
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunStore, known_script

# The OpenAPI document declares `limit` as a string with this pattern, and `cursor` as opaque.
LIMIT_PATTERN = r"^(?:[1-9]|[1-9][0-9]|100)$"
CURSOR = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)::([0-9a-f-]{36})")
_SCRIPT = re.compile(r"\[sandbox:([a-z_]+)\]")

Limit = Annotated[str | None, Query(pattern=LIMIT_PATTERN)]
ProjectQuery = Annotated[str, Query(alias="projectId", min_length=1)]


def uuid_path(alias: str) -> Any:
    """Declare a path parameter that must be a UUID."""
    return Path(alias=alias, pattern=UUID_PATTERN)


def uuid_query(alias: str) -> Any:
    """Declare a query parameter that must be a UUID."""
    return Query(alias=alias, pattern=UUID_PATTERN)


def parse_cursor(cursor: str | None) -> tuple[str, str] | None:
    """Return the creation time and the id in a cursor, or raise BAD_REQUEST."""
    if cursor is None:
        return None
    parsed = CURSOR.fullmatch(cursor)
    if parsed is None:
        raise bad_request("BAD_REQUEST", "cursor: invalid")
    return parsed[1], parsed[2]


def find_project(catalog: Catalog, project_id: str) -> Project:
    """Return a project by id or short id, or raise NOT_FOUND."""
    project = catalog.project(project_id)
    if project is None:
        raise not_found(f"Project {project_id[:80]} not found")
    return project


def find_test(catalog: Catalog, test_id: str) -> SavedTest:
    """Return a test, or raise NOT_FOUND."""
    test = catalog.tests.get(test_id.lower())
    if test is None:
        raise not_found(f"Test {test_id} not found")
    return test


def find_group(catalog: Catalog, group_id: str) -> Group:
    """Return a group, or raise NOT_FOUND."""
    group = catalog.groups.get(group_id.lower())
    if group is None:
        raise not_found(f"Group {group_id} not found")
    return group


def script_in(text: str) -> str:
    """Return the script that `[sandbox:NAME]` in a prompt or a title selects, or raise BAD_REQUEST."""
    named = _SCRIPT.search(text)
    script = named[1] if named else "passes"
    known_script(script)
    return script


def store_of(request: Request) -> RunStore:
    """Return TesterArmy's store in the sandbox that serves a request."""
    return sandbox_of(request).store_of(RunStore)
