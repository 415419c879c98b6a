"""One Airflow and one browser, shared by all of these tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.ui.browser.chromium import MISSING, Watched, browser, chromium, context, watch
from tests.ui.browser.stage import Stage, stage

DAGS = ("shop", "widgets", "reviews", "open_door", "refused", "gates")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests without a browser, except in CI."""
    if chromium() is None and not os.environ.get("CI"):
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A running Airflow with the DAGs of these tests."""
    with stage(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="session")
def runs(staged: Stage) -> dict[str, str]:
    """A finished run of each DAG, and an active run of `waiting`."""
    started = {dag_id: staged.airflow.trigger_dag(dag_id) for dag_id in (*DAGS, "waiting")}
    for dag_id in DAGS:
        staged.airflow.wait_dag_run(dag_id, started[dag_id])
    staged.airflow.wait_task_state("waiting", started["waiting"], "waits", "deferred")
    return started


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """The browser."""
    with browser() as running:
        yield running


@pytest.fixture
def visit(staged: Stage, chrome: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens a window for a user; after the test, asserts that no window did anything forbidden."""
    opened: list[Watched] = []

    def open_window(user: str | None = "viewer", *, dark: bool = False, width: int = 1280) -> Watched:
        token = staged.token(user) if user else None
        made = context(chrome, token, staged.airflow.url, dark=dark, width=width)
        opened.append(watch(made.new_page(), staged.airflow.url))
        return opened[-1]

    yield open_window
    found = [watched.misdeeds() for watched in opened]
    for watched in opened:
        watched.page.context.close()
    assert [misdeeds for misdeeds in found if misdeeds] == []
