"""Writes a task's reports to its ``report_path``, a local path or an object-store URL."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.lifecycle.object_paths import LOCAL, fresh_path, has_folders

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.results import RunResult
    from airflow_provider_testerarmy.runs.verdict.gate import Verdict

#: The suffixes of a report's path. The suffix selects the format.
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
    commit: str = "",
) -> None:
    """Write the reports, whatever the verdict. A report that cannot be written is logged and fails nothing.

    :param path: one or several local paths or URLs that Airflow's ``ObjectStoragePath`` understands.
    :param name: the title of the report, e.g. ``dag_id.task_id``.
    :param screenshots: whether to copy the runs' screenshots beside each report.
    :param loopback: whether the service runs on this machine.
    :param commit: the commit that was tested; empty if it is unknown.
    """
    paths = [path] if isinstance(path, str) else path
    copies = _copy(paths, results, log, loopback=loopback) if screenshots else {}
    for one in paths:
        # An object store's client may raise any exception. None may hide the verdict.
        try:
            text = render(one, summary, results, name=name, copies=copies, commit=commit)
            write_file(one.strip(), text.encode())
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
            write_file(f"{folder}/{name}", content)

    # Failed copies must not hide the verdict.
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
    """The results in a few lines of Markdown for the summary; empty if rendering fails."""
    from airflow_provider_testerarmy.reports.markdown import brief

    # A rendering error must not hide the verdict.
    try:
        return brief(verdict, results, total=total, name=name, url=url)
    except Exception as error:
        log.warning("The Markdown report could not be rendered: %s", error)
        return ""


def render(
    path: str,
    summary: Mapping[str, Any],
    results: Sequence[RunResult],
    *,
    name: str = "",
    copies: Mapping[str, str] | None = None,
    commit: str = "",
) -> str:
    """The report in the format that the path's suffix selects.

    :param copies: the file names of copied screenshots, by their address.
    :param commit: the commit that was tested; empty if it is unknown.
    :raises ValueError: for an unknown suffix.
    """
    from airflow_provider_testerarmy import configuration
    from airflow_provider_testerarmy.reports import html, json_report, junit, markdown, pictures
    from airflow_provider_testerarmy.reports.commits import Repository

    repository = Repository(configuration.usable("repository_url") or "")
    match suffix_of(path):
        case ".json":
            return json_report.render(summary, results, name=name, commit=commit)
        case ".xml":
            return junit.render(summary, results, name=name, commit=commit)
        case ".html":
            links = pictures.links(path, copies or {})
            return html.render(
                summary, results, name=name, copies=links, commit=commit, repository=repository
            )
        case ".md":
            return markdown.render(summary, results, name=name, commit=commit, repository=repository)
    raise ValueError(f"A report path must end in {', '.join(SUFFIXES)}, not {path!r}.")


def suffix_of(path: str) -> str | None:
    """The suffix that selects the format, None for an unknown one."""
    return next((suffix for suffix in SUFFIXES if path.strip().lower().endswith(suffix)), None)


def write_file(path: str, content: bytes) -> None:
    """Write a file completely or not at all.

    :param path: a local path or a URL that Airflow's ``ObjectStoragePath`` understands.
    """
    target = fresh_path(path)
    if target.protocol in LOCAL:
        local = Path(target.path)
        local.parent.mkdir(parents=True, exist_ok=True)
        write_local(local, content)
        return
    # An object store shows an object only when it is complete, so no draft is needed. Folders are created only
    # after an error, because that can need more rights than writing a file.
    try:
        target.write_bytes(content)
    except FileNotFoundError:
        if not has_folders(target):
            raise
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def write_local(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a draft and rename it, so that a reader sees the old file or the new one, never a part.

    :param mode: the permissions of the file, before the umask of the process.
    """
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
