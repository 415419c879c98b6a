"""What a task has tested: commit, environment and address, with the links of the deployment's repository."""

from __future__ import annotations

from airflow_provider_testerarmy import configuration
from airflow_provider_testerarmy.reports.commits import Repository
from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.ui.payloads import Json
from airflow_provider_testerarmy.ui.store import StoredTask


def repository() -> Repository:
    """The repository of the configuration. A wrong value gives no links; the tasks' reports and doctor say so."""
    return Repository(configuration.usable("repository_url") or "")


def tested_by(task: StoredTask) -> Json:
    """What the task has tested, as far as it said so; empty texts otherwise."""
    note = task.note
    commit, environment, address = (
        line(value, limit) if isinstance(value := note.get(name), str) else ""
        for name, limit in (("commit", 64), ("environment", 200), ("address", 200))
    )
    return {
        "commit": commit,
        "commit_url": repository().commit_url(commit),
        "environment": environment,
        "address": address,
    }


def with_commit_urls(known: list[Json]) -> list[Json]:
    """Entries of known tests, each with the page of its first bad commit."""
    links = repository()
    return [{**one, "commit_url": links.commit_url(one["commit"])} for one in known]
