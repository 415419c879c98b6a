"""Copying a run's screenshots next to its report: the service's addresses may expire, copies do not.

The addresses are remote text. So only https is asked (http on this machine's loopback where the service itself is
there), without a key, without following redirects, within bounds of size, number and time; and what comes back is
kept only if it begins like a picture.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow_provider_testerarmy.client.http.endpoint import USER_AGENT, is_loopback
from airflow_provider_testerarmy.reports.pictures import kind_of, stems
from airflow_provider_testerarmy.runs.results import Outcome, RunResult

if TYPE_CHECKING:
    import httpx

#: Bytes of one picture, and of all of them.
MAX_BYTES: Final = 5 * 1024 * 1024
MAX_TOTAL_BYTES: Final = 100 * 1024 * 1024
MAX_PICTURES: Final = 300
#: Seconds for one picture, and for all of them.
TIMEOUT: Final = 10.0
MAX_SECONDS: Final = 120.0


class NotCopied(Exception):
    """A picture that is left where it is, and why."""


@dataclass(slots=True)
class _Budget:
    """What may still be copied."""

    bytes: int
    pictures: int
    deadline: float

    def left(self) -> bool:
        return self.bytes > 0 and self.pictures > 0 and time.monotonic() < self.deadline


def copy_screenshots(
    results: Sequence[RunResult], write: Callable[[str, bytes], None], log: Any, *, loopback: bool = False
) -> dict[str, str]:
    """Copy the pictures of the runs, of those first that did not pass.

    :param write: puts a copy of that name where it belongs.
    :param loopback: whether the service is on this machine, so that plain http there is as good as https.
    :return: the copies' names by address; what could not be copied is missing, and logged.
    """
    budget = _Budget(MAX_TOTAL_BYTES, MAX_PICTURES, time.monotonic() + MAX_SECONDS)
    copies: dict[str, str] = {}
    ranked = sorted(results, key=lambda run: run.outcome is Outcome.PASSED)
    wanted = [(url, stem) for run in ranked for url, stem in stems(run).items()]
    failed: list[str] = []
    with ExitStack() as stack:
        fetch = _fetcher(stack)
        for number, (url, stem) in enumerate(wanted):
            if not budget.left():
                log.warning("%d screenshots are not copied: the bound is reached.", len(wanted) - number)
                break
            try:
                _check(url, loopback=loopback)
                content = b"".join(fetch(url, min(MAX_BYTES, budget.bytes)))
                name = _named(stem, content)
                write(name, content)
            # Whatever a host or a store says, the other pictures and the verdict come first.
            except Exception as error:
                failed.append(f"{url[:200]!r}: {error}")
                continue
            copies[url] = name
            budget.bytes -= len(content)
            budget.pictures -= 1
    if failed:
        log.warning("%d screenshots could not be copied, e.g. %s", len(failed), failed[0])
    return copies


def _check(url: str, *, loopback: bool) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.username or parts.password or not host:
        raise NotCopied("not a plain address")
    here = is_loopback(host)
    if here and loopback and parts.scheme in ("http", "https"):
        return
    if parts.scheme != "https":
        raise NotCopied("not https")
    if here or _inside(host):
        raise NotCopied("the host is inside this network")


def _inside(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _fetcher(stack: ExitStack) -> Callable[[str, int], Iterator[bytes]]:
    import httpx

    options: dict[str, Any] = {
        "follow_redirects": False,
        "timeout": TIMEOUT,
        "headers": {"User-Agent": USER_AGENT, "Accept": "image/*"},
    }
    # A corporate proxy cannot reach this machine's loopback.
    clients: dict[bool, httpx.Client] = {}

    def fetch(url: str, limit: int) -> Iterator[bytes]:
        here = is_loopback(urlsplit(url).hostname or "")
        if here not in clients:
            clients[here] = stack.enter_context(httpx.Client(trust_env=not here, **options))
        with clients[here].stream("GET", url) as response:
            if not response.is_success:
                raise NotCopied(f"status {response.status_code}")
            yield from _bounded(response, limit)

    return fetch


def _bounded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    deadline = time.monotonic() + TIMEOUT
    for chunk in response.iter_bytes():
        limit -= len(chunk)
        if limit < 0:
            raise NotCopied("too large")
        if time.monotonic() > deadline:
            raise NotCopied(f"not whole within {TIMEOUT:g} s")
        yield chunk


def _named(stem: str, content: bytes) -> str:
    kind = kind_of(content)
    if kind is None:
        raise NotCopied("not a PNG, JPEG or WebP picture")
    return f"{stem}.{kind}"
