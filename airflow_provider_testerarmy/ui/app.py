"""The tab's web application. Airflow mounts it without any authentication, so every data endpoint asks for it here.

No `from __future__ import annotations`: FastAPI reads the annotations of nested dependencies when it is set up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from html import escape
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from airflow_provider_testerarmy.reports.pictures import link_folder
from airflow_provider_testerarmy.ui import store
from airflow_provider_testerarmy.ui.history import Filter, entry_of, history
from airflow_provider_testerarmy.ui.pages import Pages
from airflow_provider_testerarmy.ui.payloads import is_copy
from airflow_provider_testerarmy.ui.store import StoredTask
from airflow_provider_testerarmy.ui.xcoms import References

HERE: Final = Path(__file__).parent
#: Runs that the browser asks for at a time.
PAGE_SIZE: Final = 50
#: Tasks that the history shows, and tasks that are searched for them; the newest.
MAX_HISTORY: Final = 500
MAX_SEARCHED: Final = 5000

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'self'; form-action 'none'"
)
#: A report is a document of its own, in an origin of its own.
_REPORT_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

app = FastAPI(title="TesterArmy test runs", docs_url=None, redoc_url=None, openapi_url=None)
pages = Pages()
references = References(pages.readers)


@app.middleware("http")
async def _guarded(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    response.headers.setdefault("Content-Security-Policy", _POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store" if "/api/" in request.url.path else "max-age=300")
    return response


app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


# -- the pages: code only, the same for everybody


@app.get("/view/task/{dag_id}/{run_id}/{task_id}/{map_index}")
@app.get("/view/dag-run/{dag_id}/{run_id}")
@app.get("/view/history")
async def page(request: Request) -> Response:
    """The page; its script finds out from the address what to show."""
    # The address as the browser sent it: only there an encoded slash is told from a real one.
    raw = request.scope.get("raw_path") or request.url.path.encode()
    depth = raw.partition(b"/view/")[2].count(b"/")
    return Response(_page().replace("{{root}}", "../" * (depth + 1)), media_type="text/html")


@cache
def _page() -> str:
    return (HERE / "static" / "page.html").read_text()


# -- the data

Text = Annotated[str, Query(min_length=1, max_length=1000)]
MapIndex = Annotated[int, Query(ge=-1)]
#: Whoever may see a DAG's XComs may see what its test tasks say.
may_see = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))


async def _task(dag_id: str, run_id: Text, task_id: Text, map_index: MapIndex = -1) -> StoredTask:
    task = await asyncio.to_thread(store.read_task, dag_id, run_id, task_id, map_index)
    if task is None:
        raise HTTPException(404, "There is no such task instance.")
    (resolved,) = await references.resolved([task])
    return resolved


TheTask = Annotated[StoredTask, Depends(_task)]


@app.get("/api/dags/{dag_id}/task", dependencies=[may_see])
async def task_overview(task: TheTask) -> JSONResponse:
    """A task instance: verdict, reasons, issues, and its runs, one line each."""
    return JSONResponse(await pages.overview(task))


@app.get("/api/dags/{dag_id}/runs", dependencies=[may_see])
async def task_runs(
    task: TheTask, run: Annotated[list[str], Query(min_length=1, max_length=PAGE_SIZE)]
) -> JSONResponse:
    """Some runs of the task in full; those that are not its own are left out."""
    return JSONResponse(await pages.details(task, run))


@app.get("/api/dags/{dag_id}/screenshot", dependencies=[may_see])
async def screenshot(task: TheTask, name: Text) -> Response:
    """A copied screenshot, from beside the task's own report."""
    copy = await pages.copy(task, name) if is_copy(name) else None
    if copy is None:
        raise HTTPException(404, "There is no such copy.")
    content, media_type = copy
    headers = {
        "Cache-Control": "private, max-age=300",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type=media_type, headers=headers)


@app.get("/api/dags/{dag_id}/report", dependencies=[may_see])
async def report(task: TheTask, index: Annotated[int, Query(ge=0, le=100)]) -> Response:
    """The task's HTML report, in an origin of its own: whatever is in it cannot act for the viewer."""
    found = await pages.report(task, index)
    if found is None:
        raise HTTPException(404, "The report belongs to another run, or cannot be read from the API server.")
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    return Response(_relinked(*found, task), media_type="text/html; charset=utf-8", headers=headers)


def _relinked(content: bytes, path: str, task: StoredTask) -> bytes:
    """A report whose links to the copies beside it lead to where these are served."""
    query = urlencode(
        {"run_id": task.run_id, "task_id": task.task_id, "map_index": task.map_index, "name": ""}
    )
    beside, served = f'href="{link_folder(path)}/', f'href="screenshot?{escape(query)}'
    return content.replace(beside.encode(), served.encode())


@app.get("/api/dags/{dag_id}/dag-run", dependencies=[may_see])
async def dag_run(dag_id: str, run_id: Text) -> JSONResponse:
    """The test tasks of a DAG run."""
    tasks = await references.resolved(await asyncio.to_thread(store.read_dag_run, dag_id, run_id))
    return JSONResponse({"tasks": [entry_of(task) for task in tasks], "most": store.MAX_TASKS})


@app.get("/api/history")
async def history_of_dags(
    user: GetUserDep,
    dag_id: Annotated[str, Query(max_length=250)] = "",
    group: Annotated[str, Query(max_length=500)] = "",
    verdict: Annotated[str, Query(max_length=50)] = "",
    days: Annotated[int, Query(ge=1, le=366)] = 30,
) -> JSONResponse:
    """The test tasks of all DAGs that the user may see."""
    wanted = Filter(dag_id, group, verdict)
    visible = await asyncio.to_thread(_visible, user)
    since = datetime.now(UTC) - timedelta(days=days)
    tasks, cut = await _searched(visible & {dag_id} if dag_id else visible, since, wanted)
    found = await asyncio.to_thread(history, tasks, wanted)
    found["choices"]["dags"] = sorted(visible)
    return JSONResponse({**found, "days": days, "cut": cut, "searched": len(tasks)})


async def _searched(dag_ids: set[str], since: datetime, wanted: Filter) -> tuple[list[StoredTask], bool]:
    """The newest tasks until enough of them match, and whether there are more."""
    tasks: list[StoredTask] = []
    matched = 0
    while True:
        page = await asyncio.to_thread(store.read_history, dag_ids, since, MAX_HISTORY, len(tasks))
        tasks += await references.resolved(page)
        if len(page) < MAX_HISTORY:
            return tasks, False
        matched += sum(wanted.admits(entry_of(task)) for task in tasks[-len(page) :])
        if matched >= MAX_HISTORY or len(tasks) >= MAX_SEARCHED:
            return tasks, True


def _visible(user: Any) -> set[str]:
    """The DAGs with test runs whose XComs the user may read."""
    manager = get_auth_manager()
    candidates = store.dags_with_runs() & manager.get_authorized_dag_ids(user=user, method="GET")
    return {
        dag_id
        for dag_id in candidates
        if manager.is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.XCOM,
            details=_details(dag_id),
            user=user,
        )
    }


def _details(dag_id: str) -> DagDetails:
    """The DAG as the auth manager asks for it, with its team where Airflow has teams (3.1 and later differ)."""
    return DagDetails(id=dag_id, **store.team_of(dag_id))
