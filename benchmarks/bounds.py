"""`make bench-bounds`: measures the memory and the event-loop time that hostile responses cost at most.

For each response, a server and a client run in their own processes; the client uses this package's async sender.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import resource
import socket
import time
import zlib
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final

from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import ClientError
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.http.sender import AsyncSender
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy

_MIB: Final = 1024 * 1024
_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"


def _answer(body: bytes, coding: str = "identity") -> bytes:
    return _OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _pack(make: Callable[[], zlib._Compress], size: int) -> bytes:
    packer, blanks = make(), b" " * _MIB
    return b"".join(packer.compress(blanks) for _ in range(size // _MIB)) + packer.flush()


def _gzip() -> zlib._Compress:
    return zlib.compressobj(wbits=16 + zlib.MAX_WBITS)


def _list_of(item: bytes, size: int) -> bytes:
    return _answer(b'{"projects": [' + b",".join([item] * (size // (len(item) + 1))) + b"]}")


#: The hostile responses; each bomb decodes to 1 GiB.
ANSWERS: Final[dict[str, Callable[[], bytes]]] = {
    "an empty list of projects": lambda: _answer(b'{"projects": []}'),
    "bomb, gzip": lambda: _answer(_pack(_gzip, 1024 * _MIB), "gzip"),
    "bomb, deflate": lambda: _answer(_pack(zlib.compressobj, 1024 * _MIB), "deflate"),
    "bomb, gzip, gzip": lambda: _answer(gzip.compress(_pack(_gzip, 1024 * _MIB)), "gzip, gzip"),
    "bomb, br": lambda: _answer(bytes(1000), "br"),
    "bomb, zstd": lambda: _answer(bytes(1000), "zstd"),
    "64 MiB of blanks": lambda: _answer(b" " * 64 * _MIB),
    "15 MiB, one text": lambda: _list_of(b'"' + b"x" * 15 * _MIB + b'"', 15 * _MIB + 8),
    "15 MiB of escapes": lambda: _list_of(b'"' + rb"\u00e4" * (15 * _MIB // 6) + b'"', 15 * _MIB + 8),
    "15 MiB of numbers": lambda: _list_of(b"1", 15 * _MIB),
    "190,000 numbers": lambda: _list_of(b"1", 380_000),
    "95,000 lists": lambda: _list_of(b"[]", 285_000),
    "5,000 wrong items": lambda: _list_of(b"{}", 15_000),
    "15 MiB of opening brackets": lambda: _answer(b"[" * 15 * _MIB),
    "interim answers (102)": lambda: b"HTTP/1.1 102 Processing\r\n\r\n" * 200_000,
    "header lines": lambda: _OK + b"X:y\r\n" * 1_000_000,
    "chunks of one byte": lambda: _CHUNKED + b"1\r\n \r\n" * 1_000_000 + b"0\r\n\r\n",
    "trailers": lambda: _CHUNKED + b"0\r\n" + b"X:y\r\n" * 1_000_000,
}


def _serve(name: str, port: Connection) -> None:
    answer = ANSWERS[name]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port.send(listener.getsockname()[1])
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(answer)
            except ConnectionError:
                # The client has closed the connection, as it should.
                return


async def _read(url: str) -> tuple[float, str]:
    longest, done, outcome = 0.0, asyncio.Event(), "read"

    async def watch() -> None:
        nonlocal longest
        while not done.is_set():
            # CPU time, not wall time: other processes on the machine must not count as a blocked loop.
            before = time.process_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.process_time() - before)

    async with AsyncSender(Endpoint(url, "sk_key"), policy=ONCE) as sender:
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        try:
            await sender.send(testerarmy.list_projects())
        except ClientError as error:
            outcome = error.message[:60]
        done.set()
        await watching
    return longest, outcome


def _measure(port: int, result: Connection) -> None:
    # Warm up: what is built on the first request is not part of the cost of a response.
    testerarmy.list_projects().parse({"projects": []})
    asyncio.run(_read("http://127.0.0.1:9"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block, outcome = asyncio.run(_read(f"http://127.0.0.1:{port}"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    result.send((grown, block * 1000, outcome))


def measure(name: str) -> tuple[float, float, str]:
    """Read one response.

    :return: the growth of the process's peak memory in MiB, the longest block of its event loop in ms, the outcome.
    """
    spawn = multiprocessing.get_context("spawn")
    port, port_end = spawn.Pipe(duplex=False)
    result, result_end = spawn.Pipe(duplex=False)
    server = spawn.Process(target=_serve, args=(name, port_end), daemon=True)
    server.start()
    client = spawn.Process(target=_measure, args=(port.recv(), result_end), daemon=True)
    client.start()
    found: tuple[float, float, str] = result.recv()
    client.join()
    server.terminate()
    server.join()
    return found


def main() -> None:
    """Print a table."""
    print("| answer | memory, MiB | longest block of the loop, ms | outcome |\n| --- | --- | --- | --- |")
    for name in ANSWERS:
        memory, block, outcome = measure(name)
        print(f"| {name} | {memory:.0f} | {block:.0f} | {outcome} |", flush=True)


if __name__ == "__main__":
    main()
