"""What the error of a request says about a set-up, and the remedy."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from airflow_provider_testerarmy.cli.doctor.findings import Finding, problem, warning
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    BadRequest,
    ClientError,
    CredentialsRejected,
    Intercepted,
    NotFound,
    NotSent,
    ProtocolError,
    RateLimited,
    RequestInvalid,
)
from airflow_provider_testerarmy.client.http.network import resolve
from airflow_provider_testerarmy.hooks.base import QUICK
from airflow_provider_testerarmy.runs.text import one_line

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

_ADDRESS: Final = (
    "address",
    "The host is not the base URL of {vendor}'s API.",
    "Set the host of the connection {conn_id!r} to {url}, or leave it empty.",
)
#: For each error the name of the check, what it means, and the remedy.
_MEANINGS: Final[tuple[tuple[type[ClientError], tuple[str, str, str]], ...]] = (
    (
        CredentialsRejected,
        (
            "key",
            "{vendor} rejects the API key: it is wrong or revoked, or it lacks the permission.",
            "Create a new key, and store it as the password of the connection {conn_id!r}.",
        ),
    ),
    (
        Intercepted,
        (
            "proxy",
            "A proxy, firewall or login page answers instead of {vendor}.",
            "Allow the host in the proxy, or set HTTPS_PROXY and NO_PROXY for Airflow's processes.",
        ),
    ),
    (NotFound, _ADDRESS),
    (ProtocolError, _ADDRESS),
    (BadRequest, _ADDRESS),
    (RequestInvalid, _ADDRESS),
    (AnswerLost, ("network", "{vendor} does not answer.", "Check proxies and firewalls, and try again.")),
)
_VERIFY: Final = "Check the host, or set verify in the extra to the CA bundle of your network."
#: OpenSSL's codes of certificate errors (X509_V_ERR_...), and what each means.
_CERTIFICATE: Final = {
    9: ("The service's certificate is not valid yet.", "Check this machine's clock."),
    10: (
        "The service's certificate has expired.",
        "Check this machine's clock. If it is right, the operator of the host has to renew the certificate.",
    ),
    62: ("The service's certificate is for another host.", "Check the host of the connection."),
    64: ("The service's certificate is for another address.", "Use the host's name instead of its address."),
}


def explain(error: ClientError, hook: ServiceHook) -> Finding:
    """The finding for a request that failed."""
    said, vendor = one_line(str(error), 300), hook.service().vendor
    if isinstance(error, NotSent):
        return _no_connection(error, hook)
    if isinstance(error, RateLimited):
        return warning("rate limit", f"{vendor} is rate-limiting requests ({said}).", "Try again later.")
    for kind, (check, found, remedy) in _MEANINGS:
        if isinstance(error, kind):
            names = {"vendor": vendor, "conn_id": hook.conn_id, "url": hook.default_base_url}
            return problem(check, f"{found.format(**names)} ({said})", remedy.format(**names))
    return problem("service", f"{vendor} fails to answer ({said}).", "Try again later.")


def _no_connection(error: NotSent, hook: ServiceHook) -> Finding:
    said, chain = one_line(str(error), 300), list(_chain(error))
    certificate = next((each for each in chain if isinstance(each, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        unknown = ("An unknown authority has signed the service's certificate.", _VERIFY)
        found, remedy = _CERTIFICATE.get(certificate.verify_code, unknown)
        return problem("certificate", f"{found} ({one_line(certificate.verify_message or '', 100)})", remedy)
    if any(isinstance(each, httpx.ProxyError) for each in chain):
        return problem("proxy", f"The proxy refuses to connect ({said}).", "Check HTTPS_PROXY and NO_PROXY.")
    if any(isinstance(each, ssl.SSLError) for each in chain):
        remedy = "Check the port, and whether the host is really https."
        return problem("TLS", f"{hook.endpoint.base_url} does not speak TLS ({said}).", remedy)
    if not _has_address(hook.endpoint.base_url):
        remedy = "Check the host for a typo, and this machine's DNS."
        return problem("address", f"The name of the host is unknown ({said}).", remedy)
    return problem(
        "network",
        f"Nothing answers at {hook.endpoint.base_url} ({said}).",
        "Check host and port, and whether a firewall or a missing HTTPS_PROXY blocks the connection.",
    )


def _has_address(url: str) -> bool:
    """Whether the name of the host can be resolved on this machine."""
    try:
        return bool(resolve(urlsplit(url).hostname or "", 0, QUICK.connect))
    except (httpcore.ConnectError, httpcore.ConnectTimeout):
        return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, at most ten."""
    link: BaseException | None = error
    for _ in range(10):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__
