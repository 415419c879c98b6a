"""The pull-request agent as a target of the service port, beside tests, groups and prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.hooks.lazy import lazy_module
from airflow_provider_testerarmy.runs.cleaning import clean_submission
from airflow_provider_testerarmy.runs.service import Match, RunRequest, Scope, Submission
from airflow_provider_testerarmy.runs.text import one_line

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.testerarmy import models as wire
    from airflow_provider_testerarmy.client.testerarmy import projects, pull_requests
else:
    projects = lazy_module("airflow_provider_testerarmy.client.testerarmy.projects")
    pull_requests = lazy_module("airflow_provider_testerarmy.client.testerarmy.pull_requests")

#: The kind of a request whose target is a project.
PULL_REQUEST: Final = "pull request of project"


def prepare(request: RunRequest) -> Operation[Scope]:
    """Read the project: checks that it exists and that the key may access it."""
    return projects.get_project(request.target).then(
        lambda project: Scope(one_line(project.id), one_line(project.name or ""))
    )


def submit(request: RunRequest) -> Operation[Submission]:
    """Start the agent."""
    return pull_requests.trigger_with_body(request.target, request.body).then(
        lambda queued: clean_submission(Submission((queued.run_id,)))
    )


def match(run: wire.Run, request: RunRequest) -> Match:
    """Whether a run tests the pull request, judged by its number and commit.

    A run that shows neither may test another pull request of the project, so it is doubtful.
    """
    given = run.input or {}
    if run.test_id or given.get("prompt") or given.get("groupId"):
        return Match.NO
    sent = request.body.get("pullRequest")
    if not isinstance(sent, Mapping):
        return Match.MAYBE
    number, commit = _shown(run, given)
    if number is None and not commit:
        return Match.MAYBE
    differs = (number is not None and str(number) != str(sent.get("number"))) or (
        commit and not _same_commit(commit, str(sent.get("commitSha")))
    )
    return Match.NO if differs else Match.YES


def _shown(run: wire.Run, given: Mapping[str, Any]) -> tuple[Any, str]:
    """The number and the commit of the pull request that a run tests, None and empty if it does not show them."""
    shown = _mapping(given.get("pullRequest"))
    github = _mapping((run.external_ref or {}).get("github"))
    number = shown.get("number", github.get("prNumber"))
    return number, str(shown.get("commitSha") or github.get("commitSha") or "").strip()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same_commit(one: str, other: str) -> bool:
    # A service may show the beginning of a commit only.
    one, other = one.casefold(), other.strip().casefold()
    return one.startswith(other) or other.startswith(one)
