"""The sandbox as one ASGI application."""

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
<p>A local stand-in for the APIs of TesterArmy and Docket. It starts no browser and runs no tests.</p>
<ul>
<li>TesterArmy: <code>/api/v1</code>, with <code>Authorization: Bearer &lt;key&gt;</code></li>
<li>Docket: <code>/docket</code>, with <code>X-API-KEY: &lt;key&gt;</code></li>
<li>Control: <a href="/_sandbox/state">/_sandbox/state</a></li>
<li>Screenshots: <a href="/screenshots/start.png">/screenshots/start.png</a></li>
</ul>
</body></html>
"""


def create_app(sandbox: Sandbox | None = None) -> ASGIApp:
    """Return the application, to run behind a server or in process.

    :param sandbox: the state to serve; None for a new one.
    """
    vendors = (
        testerarmy.create_vendor(),
        testerarmy.create_object_store(),
        docket.create_vendor(),
    )
    return Gateway(sandbox or Sandbox(), vendors, _create_rest())


@cache
def _create_rest() -> ASGIApp:
    """Return the routes outside the vendors' APIs. They are shared; each request carries its sandbox's state."""
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
