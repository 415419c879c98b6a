"""Faults below HTTP, which no ASGI server offers: connection resets, silence, and truncated bodies."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Message, Receive, Send

DISCONNECT = "http.disconnect"


def transport_of(send: Send) -> asyncio.Transport | None:
    """Return the connection behind an ASGI `send`, or None when the application runs in process."""
    # ASGI hides the connection. In uvicorn, `send` is a bound method of an object that has it.
    cycle: Any = getattr(send, "__self__", None)
    transport: asyncio.Transport | None = getattr(cycle, "transport", None)
    return transport


async def reset(receive: Receive, send: Send) -> None:
    """Reset the connection (RST); in process, where there is none, raise `ConnectionResetError`."""
    transport = transport_of(send)
    if transport is None:
        _refuse_in_process()
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Closing with a linger time of zero makes the kernel send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await until_disconnected(receive)


async def truncate(receive: Receive, send: Send, head: Message, sent: bytes) -> None:
    """Send the headers of a response and only part of its body, then close the connection."""
    transport = transport_of(send)
    if transport is None:
        _refuse_in_process()
    await send(head)
    await send({"type": "http.response.body", "body": sent, "more_body": True})
    transport.close()
    await until_disconnected(receive)


async def stall(receive: Receive, send: Send) -> None:
    """Send nothing until the client disconnects; in process, raise `TimeoutError` at once."""
    if transport_of(send) is None:
        raise TimeoutError("the sandbox sends no response to this call")
    await until_disconnected(receive)


async def until_disconnected(receive: Receive) -> None:
    """Wait until the client has disconnected."""
    while (await receive())["type"] != DISCONNECT:
        continue


def _refuse_in_process() -> NoReturn:
    raise ConnectionResetError("the sandbox reset this connection")
