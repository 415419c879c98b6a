"""The whole sandbox as one ASGI application."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from airflow_provider_testerarmy.sandbox import control
from airflow_provider_testerarmy.sandbox.core import screenshots
from airflow_provider_testerarmy.sandbox.core.http import add_error_handlers
from airflow_provider_testerarmy.sandbox.docket import api as docket
from airflow_provider_testerarmy.sandbox.docket import control as docket_control
from airflow_provider_testerarmy.sandbox.gateway import Gateway
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import api as testerarmy
from airflow_provider_testerarmy.sandbox.testerarmy import control as testerarmy_control

if TYPE_CHECKING:
    from starlette.types import ASGIApp

INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TesterArmy and Docket sandbox</title></head><body>
<h1>TesterArmy and Docket sandbox</h1>
<p>This service answers like TesterArmy and like Docket; no browser is started and nothing is tested.</p>
<ul>
<li>TesterArmy: <code>/api/v1</code>, with <code>Authorization: Bearer &lt;key&gt;</code></li>
<li>Docket: <code>/docket</code>, with <code>X-API-KEY: &lt;key&gt;</code></li>
<li>Control: <a href="/_sandbox/state">/_sandbox/state</a></li>
<li>Screenshots: <a href="/screenshots/start.png">/screenshots/start.png</a></li>
</ul>
</body></html>
"""


def create_app(sandbox: Sandbox | None = None) -> ASGIApp:
    """Return the application, for a server or for use in process.

    :param sandbox: the state to serve; by default a fresh one.
    """
    vendors = (testerarmy.create_vendor(), docket.create_vendor())
    return Gateway(sandbox or Sandbox(), vendors, _create_rest())


@cache
def _create_rest() -> ASGIApp:
    """Return what is served beside the vendors' APIs; the state comes with each call."""
    rest = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    rest.include_router(control.router)
    rest.include_router(testerarmy_control.router)
    rest.include_router(docket_control.router)
    rest.include_router(screenshots.router)
    rest.add_api_route("/", _index)
    add_error_handlers(rest)
    return rest


async def _index() -> Response:
    return HTMLResponse(INDEX)
