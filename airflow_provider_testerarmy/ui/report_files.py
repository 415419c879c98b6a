"""Reads reports and screenshot copies from where a task wrote them. Blocking: call it in a thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from airflow_provider_testerarmy.lifecycle.object_paths import LOCAL, fresh_path
from airflow_provider_testerarmy.reports import json_report
from airflow_provider_testerarmy.reports.html import MAX_BYTES as MAX_HTML_BYTES
from airflow_provider_testerarmy.reports.pictures import MEDIA_TYPES, folder_of, kind_of, names_in
from airflow_provider_testerarmy.runs.results import RunResult
from airflow_provider_testerarmy.ui import safe_files
from airflow_provider_testerarmy.ui.payloads import is_copy

log = logging.getLogger(__name__)

#: Size limits in bytes for a JSON report and for a screenshot copy.
MAX_REPORT_BYTES: Final = 64 * 1024 * 1024
MAX_PICTURE_BYTES: Final = 8 * 1024 * 1024
#: The most file names that are read from a folder of screenshot copies.
MAX_NAMES: Final = 10_000
# Part of the policy at the top of every HTML report; a file without it is not one of this provider's reports.
_PAGE_MARKER: Final = b"default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def report_paths(rendered: Mapping[str, Any]) -> list[str]:
    """Where a task writes its reports, from its rendered fields."""
    value = rendered.get("report_path")
    paths = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [path.strip() for path in paths if isinstance(path, str) and path.strip()]


def place_of(path: str) -> str:
    """The unit that hangs as a whole: a bucket, or the first folders of a local path, where a mount usually is."""
    scheme, separator, rest = path.partition("://")
    if separator and scheme not in LOCAL:
        return f"{scheme}://{rest.partition('/')[0]}"
    local = rest if separator else path
    return "/".join(local.split("/")[:3])


def read_results(path: str) -> tuple[list[RunResult], dict[str, Any]] | None:
    """The runs and the summary of a JSON report; None if this machine cannot read it."""
    content = _read(path, MAX_REPORT_BYTES)
    if content is None:
        return None
    try:
        return json_report.read_whole(content)
    except ValueError as error:
        log.info("Ignored %s: it is not a report of this provider (%s).", path, error)
        return None


def read_page(path: str) -> bytes | None:
    """An HTML report; None if this machine cannot read it or if it is not one of this provider's reports."""
    content = _read(path, 2 * MAX_HTML_BYTES)
    return content if content is not None and _PAGE_MARKER in content[:2000] else None


def list_copies(paths: list[str]) -> dict[str, tuple[str, str]]:
    """The screenshot copies next to the reports: folder and file name, by stem."""
    found: dict[str, tuple[str, str]] = {}
    for folder in dict.fromkeys(map(folder_of, paths)):
        try:
            names = _names(folder)
        # An object store's client may raise any exception; the page then links to the originals.
        except Exception as error:
            log.debug("Cannot list the screenshot copies in %s: %s", folder, error)
            continue
        found |= {stem: (folder, name) for stem, name in names_in(names).items()}
    return found


def read_copy(folder: str, name: str) -> tuple[bytes, str] | None:
    """A screenshot copy and its media type; None if it is not a PNG, JPEG or WebP image."""
    around = folder.rpartition("/")[0]
    content = _read(f"{folder}/{name}", MAX_PICTURE_BYTES, within=around) if is_copy(name) else None
    kind = kind_of(content) if content is not None else None
    return (content, MEDIA_TYPES[kind]) if content is not None and kind is not None else None


def _names(folder: str) -> list[str]:
    source = fresh_path(folder)
    if source.protocol in LOCAL:
        return safe_files.names_in(source.path, MAX_NAMES)
    return [entry.name for entry in islice(source.iterdir(), MAX_NAMES)]


def _read(path: str, limit: int, *, within: str = "") -> bytes | None:
    # A local path of another worker, missing permissions, a deleted file: all mean "not available here".
    try:
        source = fresh_path(path)
        if source.protocol in LOCAL:
            return safe_files.read_regular(
                source.path, limit, within=fresh_path(within).path if within else None
            )
        with source.open("rb") as file:
            content: bytes = file.read(limit + 1)
    except safe_files.NotReadable as error:
        log.info("Did not read %s: %s.", path, error)
        return None
    except Exception as error:
        log.debug("Cannot read %s: %s", path, error)
        return None
    if len(content) > limit:
        log.info("Did not read %s: it is larger than %d bytes.", path, limit)
        return None
    return content
