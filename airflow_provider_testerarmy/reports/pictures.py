"""Where copies of screenshots are, relative to a report, and what counts as a picture.

A copy's name comes from the run and the picture's address, so whoever has the results finds the copy again.
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

#: What the copy of a picture may be, by the end of its name.
MEDIA_TYPES: Final = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
#: A copy's name, and nothing else: no path can be made of it.
NAME: Final = re.compile(r"[0-9a-f]{32}\.(?:png|jpg|webp)")


def addresses(run: RunResult) -> tuple[str, ...]:
    """The addresses of a run's pictures, each once: its own, then those of its issues."""
    of_issues = (issue.screenshot_url for issue in run.issues)
    return tuple(dict.fromkeys(url for url in (*run.screenshots, *of_issues) if url))


def stems(run: RunResult) -> dict[str, str]:
    """How the copies of a run's pictures are called, by address and without what follows the dot.

    A signed address has another query each time it is asked for, so the query does not count, unless it is all
    that tells two pictures of the run apart.
    """
    found = addresses(run)
    bare = {url: url.split("?", 1)[0].split("#", 1)[0] for url in found}
    shared = Counter(bare.values())
    return {url: _digest(run, bare[url] if shared[bare[url]] == 1 else url) for url in found}


def _digest(run: RunResult, address: str) -> str:
    text = f"{run.run_id}\n{address}".encode("utf-8", "replace")
    return hashlib.sha256(text).hexdigest()[:32]


def folder_of(report_path: str) -> str:
    """The folder of the copies beside a report: ``a/b.html`` has ``a/b.screenshots``."""
    path = report_path.strip()
    return path[: len(path) - len(PurePosixPath(path).suffix)] + ".screenshots"


def links(report_path: str, copies: Mapping[str, str]) -> dict[str, str]:
    """The copies as addresses relative to the report, by the picture's own address.

    :param copies: the copies' names by address.
    """
    folder = link_folder(report_path)
    return {url: f"{folder}/{name}" for url, name in copies.items() if NAME.fullmatch(name)}


def link_folder(report_path: str) -> str:
    """The folder of the copies as a report's links have it."""
    return quote(PurePosixPath(urlsplit(folder_of(report_path)).path).name)


def kind_of(content: bytes) -> str | None:
    """The end of the name for a picture, by its first bytes; None for anything else, whatever it is called."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return None


def names_in(listing: Iterable[str]) -> dict[str, str]:
    """Of what is in a folder the copies, by stem."""
    return {name.partition(".")[0]: name for name in listing if NAME.fullmatch(name)}
