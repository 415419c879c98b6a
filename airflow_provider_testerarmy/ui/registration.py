"""The tab's plugin registration. Every Airflow process imports this module, so it imports little."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from airflow_provider_testerarmy.ui.unset_port import UnsetPort

#: Where the application is mounted.
PREFIX: Final = "/testerarmy"

Message = MutableMapping[str, Any]


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The ASGI application, built on the first request: only the API server needs it."""
    # The import takes a moment; in a thread it does not block Airflow's own requests.
    await (await asyncio.to_thread(_app))(scope, receive, send)


def _app() -> Any:
    from airflow_provider_testerarmy.ui.app import app

    return app


def _view(name: str, destination: str, route: str, path: str) -> dict[str, Any]:
    base = PREFIX.removeprefix("/")
    return {
        "name": name,
        "destination": destination,
        "url_route": route,
        # Relative, so that it also works when Airflow is served below a sub-path.
        "href": f"{base}/view/{path}",
        "icon": f"{base}/static/icon.svg",
        "icon_dark_mode": f"{base}/static/icon-dark.svg",
    }


FASTAPI_APPS: Final = [{"app": application, "url_prefix": PREFIX, "name": "TesterArmy test runs"}]
ROOT_MIDDLEWARES: Final = [
    {"middleware": UnsetPort, "args": [], "kwargs": {}, "name": "TesterArmy connection test"}
]
# Airflow fills in the placeholders; for a task that is not mapped, {MAP_INDEX} stays as it is (measured on 3.3).
EXTERNAL_VIEWS: Final = [
    _view("Test runs", "task_instance", "test-runs", "task/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}"),
    _view("Test runs", "dag_run", "test-runs-of-dag-run", "dag-run/{DAG_ID}/{RUN_ID}"),
    {**_view("Test runs", "nav", "test-history", "history"), "category": "browse"},
]
