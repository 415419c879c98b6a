"""Connections that the pool keeps open, and that the server closes meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import httpx
import pytest

from airflow_provider_testerarmy.client.http import network

STATES: dict[str, tuple[Callable[[socket.socket, socket.socket], object], bool]] = {
    "idle": (lambda _ours, _theirs: None, False),
    "data": (lambda _ours, theirs: theirs.send(b"x"), True),
    "closed by the server": (lambda _ours, theirs: theirs.close(), True),
    "closed here": (lambda ours, _theirs: ours.close(), True),
}


@pytest.mark.parametrize("state", STATES)
def test_a_connection_is_readable_unless_it_is_idle(state: str) -> None:
    change, readable = STATES[state]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        change(ours, theirs)
        assert network._is_readable(ours) is readable


def test_a_connection_without_a_socket_counts_as_closed() -> None:
    assert network._is_readable(None)


def test_a_connection_that_the_server_closed_while_it_was_idle_is_not_used_again() -> None:
    def answer(listener: socket.socket) -> socket.socket:
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return connection

    async def ask_three_times(listener: socket.socket) -> list[str]:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        texts = []
        async with httpx.AsyncClient(trust_env=False, timeout=5) as plain:
            client = network.bound(plain)
            for _ in range(3):
                answering = asyncio.create_task(asyncio.to_thread(answer, listener))
                texts.append((await client.get(address)).text)
                (await answering).close()
        return texts

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        assert asyncio.run(ask_three_times(listener)) == ["ok"] * 3
