"""The page that plays the recording of a run. It has its own policy, so that the tab's needs no foreign address.

The tab opens the page only after a click. Then the browser loads the recording from the service's store: only from
the origin of this one recording, and without the user's session, which an opaque origin cannot use.
"""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_testerarmy.reports.text import https

_PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="dark">'
    "<title>Recording</title><style>html,body{{margin:0;height:100%;background:#000}}"
    "video{{width:100%;height:100%}}</style>"
    '<video controls playsinline preload="metadata" src="{url}"></video></html>'
)


def player(url: str) -> tuple[str, str] | None:
    """A page that plays a recording, and its content security policy; None if the address is not https.

    :param url: what the service says; any text.
    """
    address = https(url)
    if not address:
        return None
    parts = urlsplit(address)
    policy = (
        f"sandbox; default-src 'none'; media-src {parts.scheme}://{parts.netloc}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    return _PAGE.format(url=escape(address)), policy
