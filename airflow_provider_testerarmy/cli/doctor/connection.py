"""Checks of a connection's fields, before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_provider_testerarmy.cli.doctor.findings import Finding, ok, problem, warning
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.runs.text import one_line

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.base import ServiceHook

#: Names under which people put a key into the extra.
_KEY_NAMES: Final = ("api_key", "apikey", "api-key", "key", "token", "password", "secret", "access_token")
#: What TesterArmy's keys begin with.
_KEY_PREFIX: Final = "sk_"
#: The key that the sandbox accepts by default.
SANDBOX_KEY: Final = "sk_sandbox_key"


def check_fields(hook: ServiceHook, *, sandbox: bool) -> Iterator[Finding]:
    """Check the fields of a connection. With a problem in any but the check ``sandbox``, no request can be sent.

    :param sandbox: whether the connection may lead to the sandbox.
    """
    misplaced = _misplaced_key(hook.connection)
    if misplaced:
        yield problem(
            "key",
            f"The API key is in the field {misplaced}, and the password is empty.",
            f"Move it from {misplaced} to the password of the connection {hook.conn_id!r}.",
        )
        return
    try:
        unknown = sorted(set(hook.extra) - set(hook.form.extra if hook.form else ()))
        endpoint = hook.endpoint
        _ = hook.max_requests_per_second
    except RequestInvalid as error:
        yield problem(_checked(str(error)), str(error), f"Edit the connection {hook.conn_id!r}.")
        return
    if unknown:
        yield warning(
            "extra",
            f"Unknown fields in the extra have no effect: {one_line(', '.join(unknown), 200)}.",
            f"Use only {', '.join(hook.form.extra if hook.form else ())}.",
        )
    if endpoint.verify is False:
        yield warning(
            "TLS",
            "Certificates are not verified: anyone on the network can read the key.",
            "Set verify in the extra to the path of a CA bundle.",
        )
    parts = urlsplit(endpoint.base_url)
    if parts.scheme == "http" and not endpoint.on_loopback:
        yield warning("TLS", "The key is sent unencrypted (allow_http).", "Use https, and remove allow_http.")
    if endpoint.on_loopback or endpoint.key == SANDBOX_KEY:
        found = f"{endpoint.base_url} is the sandbox or another local stand-in. It runs no tests."
        remedy = f"Set the host to {hook.default_base_url} and the key of your account, or use --sandbox."
        yield ok("sandbox", found) if sandbox else problem("sandbox", found, remedy)
    else:
        yield ok("address", endpoint.base_url)
        proxy = getproxies().get(parts.scheme) or getproxies().get("all")
        if proxy and not proxy_bypass(parts.hostname or ""):
            yield ok("proxy", f"Requests go through {proxy.rpartition('@')[2]}.")


def _checked(message: str) -> str:
    """The name of the check that an invalid field belongs to."""
    if "host" in message:
        return "address"
    return "key" if "API key" in message else "extra"


def _misplaced_key(connection: Any) -> str:
    """The field that holds the key instead of the password; empty if there is none."""
    if (connection.password or "").strip():
        return ""
    if (connection.login or "").strip():
        return "login"
    if _KEY_PREFIX in (connection.host or ""):
        return "host"
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        return ""
    names = [name for name in extra if str(name).lower() in _KEY_NAMES] if isinstance(extra, dict) else []
    return f"{names[0]!r} of the extra" if names else ""
