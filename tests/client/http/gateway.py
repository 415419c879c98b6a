"""A gateway in front of the sandbox: it forwards requests, and responds to some of them itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx

from tests.client.http.endless import Sends
from tests.client.http.rawserver import RawServer, http_answer


class Gateway(RawServer):
    """Hands requests on to a service, save those that it answers itself.

    :param origin: of the service, without a path.
    :param own: the pieces of its own n-th answer, from 0.
    :param chosen: whether a request line gets that answer, e.g. ``"POST /api/v1/runs"``.
    """

    def __init__(self, origin: str, own: Sends, chosen: Callable[[str], bool]) -> None:
        super().__init__(self._answered, keep_open=True, pause=0.02)
        self._own, self._chosen = own, chosen
        self._service = httpx.Client(base_url=origin, trust_env=False)
        #: The request lines that got the gateway's own answer.
        self.held: list[str] = []

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._service.close()

    def _answered(self, _number: int, request: bytes) -> Iterator[bytes]:
        line = request.partition(b" HTTP/")[0].decode()
        if not self._chosen(line):
            yield self._handed_on(line, request)
            return
        self.held.append(line)
        yield from self._own(len(self.held) - 1, request)

    def _handed_on(self, line: str, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        method, _, path = line.partition(" ")
        fields = (each.decode().partition(": ") for each in head.split(b"\r\n")[1:])
        headers = {name: value for name, _, value in fields if name.lower() in ("authorization", "x-api-key")}
        passed_on = {**headers, "Content-Type": "application/json", "Host": self.host}
        answer = self._service.request(method, path, content=body, headers=passed_on)
        kept: Iterable[tuple[str, str]] = [
            (name, value) for name, value in answer.headers.items() if name in ("date", "retry-after")
        ]
        return http_answer(
            answer.content, status=f"{answer.status_code} {answer.reason_phrase}", headers=kept
        )

    @property
    def host(self) -> str:
        """The gateway's own host and port, which the service puts into the addresses that it names."""
        return self.url.removeprefix("http://").partition("/")[0]
