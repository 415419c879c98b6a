"""Lets Airflow's own page test a saved connection of this provider that has no port.

The page sends port 0 for no port, and Airflow then refuses the test: "The host or port to test differs from the
stored connection" (measured on 3.3.2). The provider's form has no port field, so a user cannot avoid that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

#: The endpoint of Airflow's REST API, which may be below a sub-path.
PATH: Final = "/api/v2/connections/test"
#: The connection types whose form hides the port.
TYPES: Final = frozenset({"testerarmy", "docket"})
#: Larger bodies are passed on as they are, in bytes.
MAX_BODY: Final = 256 * 1024


class UnsetPort:
    """ASGI middleware that removes port 0 from the test of such a connection, and changes no other request.

    Airflow then keeps the stored port. It checks user, permissions, host and credentials as before.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on, without port 0 where it means "no port"."""
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or not scope["path"].rstrip("/").endswith(PATH)
        ):
            await self._app(scope, receive, send)
            return
        received, body = await _read(receive)
        changed = None if body is None else without_unset_port(body)
        if changed is not None:
            received = [{"type": "http.request", "body": changed, "more_body": False}]
            length = (b"content-length", str(len(changed)).encode())
            others = [pair for pair in scope["headers"] if pair[0].lower() != b"content-length"]
            scope = {**scope, "headers": [*others, length]}

        async def replay() -> Message:
            return received.pop(0) if received else await receive()

        await self._app(scope, replay, send)


def without_unset_port(body: bytes) -> bytes | None:
    """The body without port 0; None if it stays as it is."""
    try:
        given = json.loads(body)
    # Airflow answers what is no JSON.
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict) or str(given.get("conn_type")) not in TYPES:
        return None
    # `False` equals 0, and Airflow refuses it.
    if type(given.get("port")) is not int or given["port"] != 0:
        return None
    return json.dumps({name: value for name, value in given.items() if name != "port"}).encode()


async def _read(receive: Receive) -> tuple[list[Message], bytes | None]:
    """The messages so far, and the whole body; None if it is too large or the client has gone."""
    received: list[Message] = []
    size = 0
    while True:
        message = await receive()
        received.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or size > MAX_BODY:
            return received, None
        if not message.get("more_body", False):
            return received, b"".join(each.get("body", b"") for each in received)
