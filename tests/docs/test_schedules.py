"""What the DAGs of the documentation and of the examples say of their schedule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.blocks import ALL, PAGES, REPOSITORY

EXAMPLES = sorted((REPOSITORY / "example_dags").glob("*.py"))
PACKAGE = sorted((REPOSITORY / "airflow_provider_testerarmy").rglob("*.py"))
DAGS = {str(block): block.text for block in ALL if block.is_dag} | {
    path.name: path.read_text() for path in EXAMPLES
}

#: What a run without a logical date does not have, see Airflow's "Templates reference".
DATED = re.compile(
    r"{{[^}]*\b(ds|ds_nodash|ts|ts_nodash|ts_nodash_with_tz|logical_date|data_interval_start|data_interval_end)\b"
)


#: The changelog names what was wrong.
UNDATED = [page for page in (*PAGES, *EXAMPLES, *PACKAGE) if page.name != "CHANGELOG.md"]


@pytest.mark.parametrize("page", UNDATED, ids=lambda page: page.name)
def test_no_template_needs_a_logical_date(page: Path) -> None:
    """A run that is started by hand or by an asset may have none; `{{ run_id }}` is always there."""
    assert DATED.findall(page.read_text()) == []


def schedules(text: str) -> list[tuple[bool, object]]:
    """Of each DAG in a file: whether it has a schedule, and how many runs it allows at a time."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("dag", "DAG"):
            given = {each.arg: getattr(each.value, "value", each.value) for each in node.keywords}
            found.append((given.get("schedule") is not None, given.get("max_active_runs")))
    return found


@pytest.mark.parametrize("name", DAGS)
def test_a_scheduled_dag_allows_one_run_at_a_time(name: str) -> None:
    """Else a scheduled and a manual run start the same tests twice."""
    found = schedules(DAGS[name])
    assert found
    assert [limit for scheduled, limit in found if scheduled and limit != 1] == []


def test_some_of_them_are_scheduled() -> None:
    """In the examples and in the pages."""
    scheduled = [name for name, text in DAGS.items() if any(has for has, _ in schedules(text))]
    assert len(scheduled) >= 3
    assert any(name.endswith(".py") for name in scheduled)
    assert any(not name.endswith(".py") for name in scheduled)
