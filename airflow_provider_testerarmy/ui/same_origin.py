"""Refuses writes that another site makes a signed-in browser send.

Airflow's session is a cookie, which a browser also sends with requests that other sites start. So a write must be
JSON, which a form cannot send, and must come from a page of this Airflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

#: The media type of a write.
JSON_TYPE = "application/json"


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether a request says that its body is JSON."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == JSON_TYPE


def is_same_origin(headers: Mapping[str, str], *homes: str) -> bool:
    """Whether a page of this Airflow sent a request. A request that does not say who sent it counts as foreign.

    Browsers set `Sec-Fetch-Site` for https and localhost only, and `Origin` for every POST.

    :param headers: with names in lower case.
    :param homes: the addresses of this Airflow, where it knows them, beside the request's own `Host`.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if not origin:
        return False
    known = {headers.get("host", "").lower(), *(urlsplit(home).netloc.lower() for home in homes)}
    return urlsplit(origin).netloc.lower() in known - {""}
