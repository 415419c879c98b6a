"""Names and locations of screenshot copies, relative to a report, and the accepted image types.

A copy's name is derived from the run id and the screenshot's URL, so it can be found again from the results alone.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, urlsplit

from airflow_provider_testerarmy.runs.results import RunResult

#: The media types of a copy, by file extension.
MEDIA_TYPES: Final = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
#: The name of a copy. It cannot contain a path separator.
NAME: Final = re.compile(r"[0-9a-f]{32}\.(?:png|jpg|webp)")


def addresses(run: RunResult) -> tuple[str, ...]:
    """The URLs of a run's screenshots without duplicates: its own, then those of its issues."""
    of_issues = (issue.screenshot_url for issue in run.issues)
    return tuple(dict.fromkeys(url for url in (*run.screenshots, *of_issues) if url))


def before(run: RunResult) -> dict[str, str]:
    """The URL of the page before a failed step, by that of the step's last screenshot, which shows it afterwards.

    Steps that passed have none: their pages before and after say little, and each one would be one more copy.
    """
    failed = (step for step in run.steps if not step.passed and step.screenshots and step.screenshot_before)
    found = {step.screenshots[-1]: step.screenshot_before for step in failed}
    return {after: earlier for after, earlier in found.items() if earlier != after}


def stems(run: RunResult) -> dict[str, str]:
    """The names of a run's screenshot copies without their extension, by URL.

    A signed URL has a different query each time the service returns it. So the query is ignored, unless two
    screenshots of the run differ in nothing else.
    """
    found = dict.fromkeys((*addresses(run), *before(run).values()))
    bare = {url: url.split("?", 1)[0].split("#", 1)[0] for url in found}
    shared = Counter(bare.values())
    return {url: _digest(run, bare[url] if shared[bare[url]] == 1 else url) for url in found}


def _digest(run: RunResult, address: str) -> str:
    text = f"{run.run_id}\n{address}".encode("utf-8", "replace")
    return hashlib.sha256(text).hexdigest()[:32]


def folder_of(report_path: str) -> str:
    """The folder for the copies next to a report: ``a/b.screenshots`` for ``a/b.html``."""
    path = report_path.strip()
    return path[: len(path) - len(PurePosixPath(path).suffix)] + ".screenshots"


def links(report_path: str, copies: Mapping[str, str]) -> dict[str, str]:
    """The URLs of the copies relative to the report, by the screenshot's original URL.

    :param copies: the copies' names by original URL.
    """
    folder = link_folder(report_path)
    return {url: f"{folder}/{name}" for url, name in copies.items() if NAME.fullmatch(name)}


def link_folder(report_path: str) -> str:
    """The folder of the copies as it appears in a report's links."""
    return quote(PurePosixPath(urlsplit(folder_of(report_path)).path).name)


def kind_of(content: bytes) -> str | None:
    """The file extension for an image with a PNG, JPEG or WebP signature; None for anything else.

    The first bytes decide, because neither the URL's extension nor a Content-Type header can be trusted.
    """
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return None


def names_in(listing: Iterable[str]) -> dict[str, str]:
    """The screenshot copies among the names in a folder, by stem."""
    return {name.partition(".")[0]: name for name in listing if NAME.fullmatch(name)}
