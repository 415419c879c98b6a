"""Copies a run's screenshots next to its report, because the service's addresses may expire.

The addresses are untrusted text from the service. So the worker fetches only https URLs, or http on loopback if the
service itself runs there. It sends no key, follows no redirects, and limits size, number and time. It keeps a file
only if it has a PNG, JPEG or WebP signature.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies

from airflow_provider_testerarmy.client.http.body import Body
from airflow_provider_testerarmy.client.http.endpoint import USER_AGENT, is_loopback
from airflow_provider_testerarmy.client.http.exchange import Exchange
from airflow_provider_testerarmy.lifecycle.addresses import NotCopied, check_address, check_host
from airflow_provider_testerarmy.reports.pictures import kind_of, stems
from airflow_provider_testerarmy.runs.results import Outcome, RunResult

if TYPE_CHECKING:
    import httpx

#: The most bytes of one screenshot, and of all of them.
MAX_BYTES: Final = 5 * 1024 * 1024
MAX_TOTAL_BYTES: Final = 100 * 1024 * 1024
MAX_PICTURES: Final = 300
#: The most seconds for one screenshot, and for all of them.
TIMEOUT: Final = 10.0
MAX_SECONDS: Final = 120.0


@dataclass(slots=True)
class _Budget:
    """The limits that are left for the remaining screenshots."""

    bytes: int
    pictures: int
    deadline: float

    def left(self) -> bool:
        return self.bytes > 0 and self.pictures > 0 and time.monotonic() < self.deadline


def copy_screenshots(
    results: Sequence[RunResult], write: Callable[[str, bytes], None], log: Any, *, loopback: bool = False
) -> dict[str, str]:
    """Copy the screenshots of the runs. Runs that did not pass come first, because the limits may stop the rest.

    :param write: stores one copy under a file name.
    :param loopback: whether the service runs on this machine, which allows plain http on loopback.
    :return: the file names of the copies, by address. Screenshots that could not be copied are missing and logged.
    """
    budget = _Budget(MAX_TOTAL_BYTES, MAX_PICTURES, time.monotonic() + MAX_SECONDS)
    copies: dict[str, str] = {}
    ranked = sorted(results, key=lambda run: run.outcome is Outcome.PASSED)
    wanted = [(url, stem) for run in ranked for url, stem in stems(run).items()]
    failed: list[str] = []
    with ExitStack() as stack:
        fetch = _fetcher(stack, loopback=loopback)
        for number, (url, stem) in enumerate(wanted):
            if not budget.left():
                log.warning(
                    "%d screenshots were not copied: the limit of size, number or time is reached.",
                    len(wanted) - number,
                )
                break
            try:
                content = fetch(url, min(MAX_BYTES, budget.bytes))
                name = _file_name(stem, content)
                write(name, content)
            # A host or an object store may raise any exception. The other screenshots are copied all the same.
            except Exception as error:
                failed.append(f"{without_query(url)!r}: {_reason(error, url)}")
                continue
            copies[url] = name
            budget.bytes -= len(content)
            budget.pictures -= 1
    if failed:
        log.warning("%d screenshots could not be copied, e.g. %s", len(failed), failed[0])
    return copies


def without_query(url: str) -> str:
    """An address that is safe to log. The query may be a signature, and the part before the host a password."""
    begin = re.split(r"[?#;]", url, maxsplit=1)[0]
    scheme, separator, rest = begin.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"[:200]


def _reason(error: Exception, url: str) -> str:
    """The message of an error, without the secrets that `without_query` removes from the address."""
    shown = without_query(url)
    text = str(error).replace(url, shown)
    hidden = [part for part in re.split(r"[?#;&]", url)[1:] if part]
    # Longest first: replacing a part of a longer secret would leave the rest of it readable.
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, "***")
    return (text or type(error).__name__)[:300]


def _fetcher(stack: ExitStack, *, loopback: bool) -> Callable[[str, int], bytes]:
    import httpx

    from airflow_provider_testerarmy.client.http.network import bound, resolve
    from airflow_provider_testerarmy.client.http.sender import tls_context

    # ``identity``, because pictures are compressed already, and a small gzip body may decode to gigabytes.
    # ``verify`` ignores the connection's own setting, which is meant for the service's host alone.
    options: dict[str, Any] = {
        "follow_redirects": False,
        "timeout": TIMEOUT,
        "verify": tls_context(),
        "headers": {"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"},
    }
    clients: dict[bool, httpx.Client] = {}

    def client(*, here: bool) -> httpx.Client:
        if here not in clients:
            # A proxy from the environment would resolve "localhost" to itself, so loopback needs a direct client.
            made = httpx.Client(trust_env=not here, **options)
            clients[here] = stack.enter_context(bound(made, partial(check_address, here=here)))
        return clients[here]

    def fetch(url: str, limit: int) -> bytes:
        target = httpx.URL(url)
        here = _check_url(target, loopback=loopback)
        if not here and getproxies():
            _check_behind_proxy(target.host, resolve)
        return _fetch(client(here=here), target, limit)

    return fetch


def _check_url(url: httpx.URL, *, loopback: bool) -> bool:
    """Whether an allowed address is on this machine.

    :raises NotCopied: for an address that must not be fetched.
    """
    if url.userinfo or not url.host:
        raise NotCopied("not a plain address")
    here = is_loopback(url.host)
    if here and loopback and url.scheme in ("http", "https"):
        return True
    if url.scheme != "https":
        raise NotCopied("not https")
    check_host(url.host)
    return False


def _check_behind_proxy(host: str, resolve: Callable[[str, int, float | None], list[str]]) -> None:
    """Refuse a name that resolves to an internal address here.

    A proxy resolves the name itself, so the check at connection time sees only the address of the proxy.
    """
    import httpcore

    try:
        addresses = resolve(host, 443, TIMEOUT)
    except (httpcore.ConnectError, httpcore.ConnectTimeout):
        # Behind a proxy, the local resolver often does not know public names.
        return
    for address in addresses:
        check_address(address, here=False)


def _fetch(client: httpx.Client, url: httpx.URL, limit: int) -> bytes:
    with Exchange(TIMEOUT).current() as exchange, client.stream("GET", url) as response:
        exchange.head_complete()
        if not response.is_success:
            raise NotCopied(f"status {response.status_code}")
        coding = response.headers.get("content-encoding", "")
        body = Body(coding, limit=limit, accepted="identity")
        for chunk in response.iter_raw():
            for _ in body.feed(chunk):
                if exchange.expired:
                    raise NotCopied(f"not complete within {TIMEOUT:g} s")
        return bytes(body.content)


def _file_name(stem: str, content: bytes) -> str:
    kind = kind_of(content)
    if kind is None:
        raise NotCopied("not a PNG, JPEG or WebP picture")
    return f"{stem}.{kind}"
