"""The base URL and the API key of a service, validated before anything is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import urlsplit

from airflow_provider_testerarmy import __version__
from airflow_provider_testerarmy.client.http.body import ACCEPT_ENCODING
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.operation import hide

USER_AGENT: Final = f"airflow-provider-testerarmy/{__version__}"


#: The error format of an API: alternatives, each a tuple of fields that all occur in an error body.
ErrorFormat = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of one request, in seconds.

    :param connect: for connecting to one address, and again for the TLS handshake.
    :param read: between two chunks of a response.
    :param total: for the whole exchange: name resolution, connecting, sending, head, body and closing.
    """

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL and the header that carries the API key.

    :param base_url: without a trailing slash; ``https``, or ``http`` on loopback or with ``allow_http``.
    :param key: the API key; never part of ``repr``.
    :param key_header: the header's name, e.g. ``Authorization`` for a bearer token.
    :param key_prefix: the text before the key in the header, e.g. ``Bearer ``.
    :param error_format: distinguishes an error of the service from an error of a proxy.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param hidden: more texts that errors must not show, as the key.
    :raises RequestInvalid: for an unusable URL or key; the message says what to change.
    """

    base_url: str
    key: str = field(repr=False)
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    allow_http: bool = False
    timeouts: Timeouts = Timeouts()
    error_format: ErrorFormat = (("error", "message"),)
    verify: bool | str = True
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        url = self.base_url.strip().rstrip("/")
        _check_url(url, allow_http=self.allow_http)
        # geturl() lower-cases the scheme, so that two spellings of one URL compare as equal.
        object.__setattr__(self, "base_url", urlsplit(url).geturl())
        # A pasted key often has a line break or a space around it.
        object.__setattr__(self, "key", self.key.strip())
        _check_key(self.key)

    @property
    def on_loopback(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def headers(self, *, authorized: bool = True) -> dict[str, str]:
        """The headers of a request; only an authorized one has the key."""
        key = {self.key_header: f"{self.key_prefix}{self.key}"} if authorized else {}
        return {
            **key,
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
        }

    def __reduce__(self) -> NoReturn:
        # Airflow pickles and serializes many objects; the key must not end up in its database or logs.
        raise TypeError("An Endpoint holds the API key, so it cannot be pickled.")

    def scrub(self, text: str) -> str:
        """The text with the key and what is hidden replaced by ``***``, in case a response echoes it."""
        return hide(text, (self.key, *self.hidden))


def is_loopback(host: str) -> bool:
    """Whether a host name or address refers to the loopback interface."""
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_url(url: str, *, allow_http: bool) -> None:
    # The part before an @ may be a password, so no message shows it.
    shown = url.rpartition("@")[2]
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise RequestInvalid(f"The host {shown!r} is not a URL: {error}.") from None
    if parts.scheme not in ("https", "http") or not host:
        raise RequestInvalid(f"The host {shown!r} is not a base URL such as https://api.example.com.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise RequestInvalid("The host must be a plain base URL: no user, password, query or fragment in it.")
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise RequestInvalid(
            f"The host {shown!r} is plain http: the API key would be sent unencrypted. Use https, "
            'or set {"allow_http": true} in the extra of the connection.'
        )


def _check_key(key: str) -> None:
    if not key or not key.strip():
        raise RequestInvalid("The API key is empty: enter it as the password of the connection.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise RequestInvalid(
            "The API key contains a line break, a space or another invalid character: "
            "paste it again as the password of the connection."
        )
