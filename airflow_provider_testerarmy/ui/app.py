"""The tab's web application. Airflow mounts it without authentication, so every data endpoint checks access here.

Airflow's plugin docs say so since https://github.com/apache/airflow/pull/72655. This module does without
`from __future__ import annotations`: with it, FastAPI treats nested `Annotated` dependencies as query parameters
(https://github.com/fastapi/fastapi/issues/13056).
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlencode

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from airflow_provider_testerarmy.reports.pictures import link_folder
from airflow_provider_testerarmy.ui import actions, store
from airflow_provider_testerarmy.ui.dag_access import details_of
from airflow_provider_testerarmy.ui.history import entry_of, title_of_group
from airflow_provider_testerarmy.ui.history_requests import Searcher
from airflow_provider_testerarmy.ui.history_requests import router as history_requests
from airflow_provider_testerarmy.ui.live import Waiting
from airflow_provider_testerarmy.ui.pages import Pages
from airflow_provider_testerarmy.ui.payloads import is_copy
from airflow_provider_testerarmy.ui.quarantines import MAX_BODY, Rejected, apply_change, read_standings
from airflow_provider_testerarmy.ui.recordings import player
from airflow_provider_testerarmy.ui.same_origin import is_json, is_same_origin
from airflow_provider_testerarmy.ui.store import StoredTask
from airflow_provider_testerarmy.ui.tries import tries_of
from airflow_provider_testerarmy.ui.webhooks import Deliveries
from airflow_provider_testerarmy.ui.xcoms import References

HERE: Final = Path(__file__).parent
#: The most runs that one browser request may ask for.
PAGE_SIZE: Final = 50

# Airflow shows the tab in an iframe with allow-scripts and allow-same-origin
# (https://github.com/apache/airflow/pull/52257). That is no security boundary, so this policy has to be one.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'self'; base-uri 'self'; form-action 'none'"
)
# `sandbox` without allow-same-origin gives the report an opaque origin: it cannot use the viewer's session.
_REPORT_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

app = FastAPI(title="TesterArmy test runs", docs_url=None, redoc_url=None, openapi_url=None)
pages = Pages()
references = References(pages.readers)
waiting = Waiting(pages.service)
deliveries = Deliveries()


@app.middleware("http")
async def _add_security_headers(
    request: Request, answer: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await answer(request)
    response.headers.setdefault("Content-Security-Policy", _POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store" if "/api/" in request.url.path else "max-age=300")
    return response


app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


# -- the pages: static code that holds no data, so it needs no access check


@app.get("/view/task/{dag_id}/{run_id}/{task_id}/{map_index}")
@app.get("/view/dag-run/{dag_id}/{run_id}")
@app.get("/view/history")
async def page(request: Request) -> Response:
    """The HTML page; its script decides from the URL what to show."""
    # `raw_path` keeps an encoded slash (%2F) in a run id apart from a real path separator.
    raw = request.scope.get("raw_path") or request.url.path.encode()
    depth = raw.partition(b"/view/")[2].count(b"/")
    return Response(_page().replace("{{root}}", "../" * (depth + 1)), media_type="text/html")


@cache
def _page() -> str:
    return (HERE / "static" / "page.html").read_text()


# -- the data

Text = Annotated[str, Query(min_length=1, max_length=1000)]
MapIndex = Annotated[int, Query(ge=-1)]
#: Test results require the same permission as the DAG's XComs.
can_read_xcoms = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))

#: A quarantine decides whether the DAG's task fails, as an edit of the DAG does.
can_edit = Depends(requires_access_dag("PUT"))
#: The permission that Airflow requires to clear a task instance and to set its state.
can_act = Depends(requires_access_dag("PUT", DagAccessEntity.TASK_INSTANCE))


async def _same_origin(request: Request) -> None:
    if not is_json(request.headers):
        raise HTTPException(415, "The request must be JSON.")
    if not is_same_origin(request.headers, conf.get("api", "base_url", fallback="") or ""):
        raise HTTPException(403, "The request does not come from a page of this Airflow.")


async def _task(dag_id: str, run_id: Text, task_id: Text, map_index: MapIndex = -1) -> StoredTask:
    task = await asyncio.to_thread(store.read_task, dag_id, run_id, task_id, map_index)
    if task is None:
        raise HTTPException(404, "This task instance does not exist.")
    (resolved,) = await references.resolved([task])
    return resolved


CurrentTask = Annotated[StoredTask, Depends(_task)]


@app.get("/api/dags/{dag_id}/task", dependencies=[can_read_xcoms])
async def task_overview(task: CurrentTask) -> JSONResponse:
    """One task instance: verdict, reasons, issues, and one row per run."""
    overview = await pages.overview(task)
    if task.note.get("label") and not task.note.get("title"):
        overview["group_title"] = await asyncio.to_thread(title_of_group, task) or overview["group_title"]
    return JSONResponse(overview)


@app.get("/api/dags/{dag_id}/runs", dependencies=[can_read_xcoms])
async def task_runs(
    task: CurrentTask, run: Annotated[list[str], Query(min_length=1, max_length=PAGE_SIZE)]
) -> JSONResponse:
    """Details of some of the task's runs; ids that do not belong to the task are omitted."""
    return JSONResponse(await pages.details(task, run))


@app.get("/api/dags/{dag_id}/screenshot", dependencies=[can_read_xcoms])
async def screenshot(task: CurrentTask, name: Text) -> Response:
    """A screenshot copy that is stored next to the task's own report."""
    copy = await pages.copy(task, name) if is_copy(name) else None
    if copy is None:
        raise HTTPException(404, "This screenshot does not exist.")
    content, media_type = copy
    headers = {
        "Cache-Control": "private, max-age=300",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type=media_type, headers=headers)


@app.get("/api/dags/{dag_id}/recording", dependencies=[can_read_xcoms])
async def recording(task: CurrentTask, run: Text) -> Response:
    """A page that plays the recording of one run, from the service's store."""
    found = await pages.details(task, [run])
    made = player(found["runs"].get(run, {}).get("video", ""))
    if made is None:
        raise HTTPException(404, "The run has no recording, or its address is unknown.")
    page, policy = made
    headers = {"Content-Security-Policy": policy}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)


@app.get("/api/dags/{dag_id}/report", dependencies=[can_read_xcoms])
async def report(task: CurrentTask, index: Annotated[int, Query(ge=0, le=100)]) -> Response:
    """The task's HTML report, in an opaque origin: nothing in it can act on the viewer's behalf."""
    found = await pages.report(task, index)
    if found is None:
        raise HTTPException(404, "The report belongs to another run, or the API server cannot read it.")
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    return Response(
        _rewrite_screenshot_links(*found, task), media_type="text/html; charset=utf-8", headers=headers
    )


def _rewrite_screenshot_links(content: bytes, path: str, task: StoredTask) -> bytes:
    """The report, with links to its screenshot copies replaced by the endpoint that serves them."""
    query = urlencode(
        {"run_id": task.run_id, "task_id": task.task_id, "map_index": task.map_index, "name": ""}
    )
    relative, served = f'href="{link_folder(path)}/', f'href="screenshot?{escape(query)}'
    return content.replace(relative.encode(), served.encode())


@app.get("/api/dags/{dag_id}/dag-run", dependencies=[can_read_xcoms])
async def dag_run(dag_id: str, run_id: Text) -> JSONResponse:
    """The test tasks of a DAG run."""
    tasks = await references.resolved(await asyncio.to_thread(store.read_dag_run, dag_id, run_id))
    return JSONResponse({"tasks": [entry_of(task) for task in tasks], "most": store.MAX_TASKS})


async def _may_edit(dag_id: str, user: GetUserDep) -> bool:
    allowed = get_auth_manager().is_authorized_dag
    details = await asyncio.to_thread(details_of, dag_id)
    return await asyncio.to_thread(allowed, method="PUT", details=details, user=user)


@app.get("/api/dags/{dag_id}/memory", dependencies=[can_read_xcoms])
async def memory_of_task(
    task: CurrentTask, user: GetUserDep, may_edit: Annotated[bool, Depends(_may_edit)]
) -> JSONResponse:
    """What the gate's memory holds of the task's tests, and whether the user may change quarantines."""
    return JSONResponse(await read_standings(pages.readers, task, may_edit=may_edit, user=user))


@app.post("/api/dags/{dag_id}/quarantine", dependencies=[Depends(_same_origin), can_read_xcoms, can_edit])
async def quarantine(task: CurrentTask, user: GetUserDep, request: Request) -> JSONResponse:
    """Quarantine a test of the task, or lift its quarantine."""
    try:
        return JSONResponse(await apply_change(pages.readers, task, await _body_of(request), user))
    except Rejected as error:
        raise HTTPException(error.status, str(error)) from error


async def _may_act(dag_id: str, user: GetUserDep) -> bool:
    allowed = get_auth_manager().is_authorized_dag
    details = await asyncio.to_thread(details_of, dag_id)
    entity = DagAccessEntity.TASK_INSTANCE
    return await asyncio.to_thread(allowed, method="PUT", access_entity=entity, details=details, user=user)


@app.get("/api/dags/{dag_id}/live", dependencies=[can_read_xcoms])
async def live(task: CurrentTask) -> JSONResponse:
    """What a task that waits can tell: titles, its usual duration, and whether the service responds."""
    return JSONResponse(await waiting.of(task))


@app.get("/api/dags/{dag_id}/tries", dependencies=[can_read_xcoms])
async def tries(task: CurrentTask) -> JSONResponse:
    """What the task's tries have said, and the earlier runs of each test."""
    return JSONResponse(await asyncio.to_thread(tries_of, task))


@app.get("/api/dags/{dag_id}/actions", dependencies=[can_read_xcoms])
async def offered_actions(
    task: CurrentTask, user: GetUserDep, may_act: Annotated[bool, Depends(_may_act)]
) -> JSONResponse:
    """What the user can do with the task, and what it costs; nothing for a user who may not clear it."""
    found = await asyncio.to_thread(actions.offers, task, user) if may_act else {}
    return JSONResponse({"may": may_act, **found})


@app.post("/api/dags/{dag_id}/actions", dependencies=[Depends(_same_origin), can_read_xcoms, can_act])
async def act(task: CurrentTask, user: GetUserDep, request: Request) -> JSONResponse:
    """Clear the task, run again what did not pass, or cancel its runs."""
    try:
        wish = actions.parse(await _body_of(request))
        await asyncio.to_thread(actions.perform, task, wish, user)
    except actions.ActionRefused as error:
        raise HTTPException(error.status, str(error)) from error
    return JSONResponse({"done": str(wish.action)})


async def _body_of(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            break
    return body


# -- webhooks of the services: hints, which need no right, because they change nothing but when runs are polled


@app.post("/hooks/{conn_id}")
@app.post("/hooks/{conn_id}/{secret}")
async def webhook(request: Request, conn_id: str, secret: str = "") -> Response:
    """A delivery that says that a run has ended. Only the status differs between answers."""
    status = await deliveries.take(conn_id, secret, request.headers, request.stream())
    return Response(status_code=status)


app.state.searcher = Searcher(references)
app.include_router(history_requests)
