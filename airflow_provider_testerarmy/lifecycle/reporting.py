"""Writing a task's reports to where its ``report_path`` says, local or an object store."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.results import RunResult
    from airflow_provider_testerarmy.runs.verdict.gate import Verdict

#: How a report's path may end, which says what kind it is.
SUFFIXES: Final = (".json", ".xml", ".html", ".md")


def write_report(
    path: str | Sequence[str],
    summary: Mapping[str, Any],
    results: Sequence[RunResult],
    log: Any,
    *,
    name: str = "",
    screenshots: bool = False,
    loopback: bool = False,
) -> None:
    """Write the results, whatever the verdict; what cannot be written is logged and hides nothing.

    :param path: one or several local paths or URLs that Airflow's ``ObjectStoragePath`` understands.
    :param name: whose results they are, e.g. ``dag_id.task_id``.
    :param screenshots: whether to copy the runs' screenshots beside each report.
    :param loopback: whether the service is on this machine.
    """
    paths = [path] if isinstance(path, str) else path
    copies = _copy(paths, results, log, loopback=loopback) if screenshots else {}
    for one in paths:
        # An object store may raise anything, and the verdict comes first.
        try:
            _write(one.strip(), render(one, summary, results, name=name, copies=copies).encode())
        except Exception as error:
            log.warning("The report could not be written to %s: %s", one, error)
        else:
            log.info("The report is at %s.", one)


def _copy(paths: Sequence[str], results: Sequence[RunResult], log: Any, *, loopback: bool) -> dict[str, str]:
    from airflow_provider_testerarmy.lifecycle.screenshots import copy_screenshots
    from airflow_provider_testerarmy.reports.pictures import folder_of

    folders = list(dict.fromkeys(map(folder_of, paths)))

    def write(name: str, content: bytes) -> None:
        for folder in folders:
            _write(f"{folder}/{name}", content)

    # As with any report: it must not hide the verdict.
    try:
        copies = copy_screenshots(results, write, log, loopback=loopback)
    except Exception as error:
        log.warning("The screenshots could not be copied: %s", error)
        return {}
    log.info("Copied %d screenshots to %s.", len(copies), ", ".join(folders))
    return copies


def report_markdown(
    verdict: Verdict | None, results: Sequence[RunResult], log: Any, *, total: int, name: str, url: str
) -> str:
    """The results in a few lines of Markdown; empty should they ever be beyond that."""
    from airflow_provider_testerarmy.reports.markdown import brief

    # As with any report: it must not hide the verdict.
    try:
        return brief(verdict, results, total=total, name=name, url=url)
    except Exception as error:
        log.warning("The results could not be put into Markdown: %s", error)
        return ""


def render(
    path: str,
    summary: Mapping[str, Any],
    results: Sequence[RunResult],
    *,
    name: str = "",
    copies: Mapping[str, str] | None = None,
) -> str:
    """The report of the kind that the path's end asks for.

    :param copies: the names of copied screenshots, by address.
    :raises ValueError: when there is no such kind.
    """
    from airflow_provider_testerarmy.reports import html, json_report, junit, markdown, pictures

    match suffix_of(path):
        case ".json":
            return json_report.render(summary, results, name=name)
        case ".xml":
            return junit.render(summary, results, name=name)
        case ".html":
            return html.render(summary, results, name=name, copies=pictures.links(path, copies or {}))
        case ".md":
            return markdown.render(summary, results, name=name)
    raise ValueError(f"a report ends in {', '.join(SUFFIXES)}")


def suffix_of(path: str) -> str | None:
    """The suffix that says the kind of report, None when there is no such kind."""
    return next((suffix for suffix in SUFFIXES if path.strip().lower().endswith(suffix)), None)


def _write(path: str, content: bytes) -> None:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    target = ObjectStoragePath(path)
    if target.protocol in ("", "file", "local"):
        _write_local(Path(target.path), content)
        return
    # An object appears when it is complete. Folders are made only where their absence is an error: in a bucket
    # there are none, and making one would ask for more rights than writing does.
    try:
        target.write_bytes(content)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _write_local(path: Path, content: bytes) -> None:
    """Whoever reads the path sees the old report or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
