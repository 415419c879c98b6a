"""TesterArmy's hook, and its adapter to the lifecycle's service port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final
from urllib.parse import quote

from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import ClientError, CredentialsRejected, RequestInvalid
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.retry import ONCE, RetryPolicy
from airflow_provider_testerarmy.client.http.sender import SyncSender
from airflow_provider_testerarmy.client.testerarmy import models as wire
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.hooks import base, forms
from airflow_provider_testerarmy.hooks import testerarmy_batches as batches
from airflow_provider_testerarmy.hooks import testerarmy_pull_requests as agent
from airflow_provider_testerarmy.hooks.forms import ConnectionForm
from airflow_provider_testerarmy.hooks.matching import match
from airflow_provider_testerarmy.hooks.testerarmy_apps import AppMethods
from airflow_provider_testerarmy.hooks.testerarmy_projects import ProjectMethods
from airflow_provider_testerarmy.hooks.testerarmy_pull_requests import PULL_REQUEST
from airflow_provider_testerarmy.hooks.testerarmy_results import (
    ERROR_HINTS,  # noqa: F401 - users import it from here
    to_listed_end,
    to_listed_run,
    to_result,
    to_state,
)
from airflow_provider_testerarmy.hooks.testerarmy_runs import RunMethods
from airflow_provider_testerarmy.hooks.testerarmy_tests import TestMethods
from airflow_provider_testerarmy.runs.cleaning import about, clean_submission, usable_id
from airflow_provider_testerarmy.runs.events.model import ListedEnd, RecentPage, checked_end
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import (
    ListedRun,
    Page,
    RunRequest,
    Scope,
    Submission,
    Tests,
)
from airflow_provider_testerarmy.runs.temporary import Blueprint
from airflow_provider_testerarmy.runs.text import one_line, plural

DASHBOARD: Final = "https://tester.army/dashboard"
API_KEYS_PAGE: Final = f"{DASHBOARD}/profile/api-keys"


#: The number of run ids to store before a submission. After it, at least one of them should still be in the list.
NEWEST: Final = 20

#: The fields of a group's request that ``POST /tests/{testId}/runs`` accepts as well.
_TEST_FIELDS: Final = frozenset(("platform", "deviceModel", "projectEnvironmentId"))


class TesterArmyHook(ProjectMethods, TestMethods, AppMethods, RunMethods):
    """Manages a TesterArmy connection and its client.

    The connection's host is the base URL, and its password is the API key. Its extra may have ``workspace`` and
    ``project_short_id`` (for dashboard links), ``allow_http``, ``verify``, ``connect_timeout``, ``read_timeout``
    and ``max_requests_per_second``.

    :param testerarmy_conn_id: the Airflow connection.
    :param policy: when to retry a request; by default up to four requests with back-off.
    """

    conn_name_attr: ClassVar[str] = "testerarmy_conn_id"
    default_conn_name: ClassVar[str] = "testerarmy_default"
    conn_type: ClassVar[str] = "testerarmy"
    hook_name: ClassVar[str] = "TesterArmy"
    default_base_url: ClassVar[str] = testerarmy.DEFAULT_BASE_URL
    form: ClassVar[ConnectionForm | None] = forms.TESTERARMY

    def __init__(
        self, testerarmy_conn_id: str = default_conn_name, *, policy: RetryPolicy | None = None
    ) -> None:
        super().__init__(testerarmy_conn_id, policy=policy)
        self.testerarmy_conn_id = testerarmy_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Fields of the connection form before Airflow 3.2; later versions read the provider info."""
        return forms.TESTERARMY.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels of the connection form before Airflow 3.2; later versions read the provider info."""
        return forms.TESTERARMY.hook_field_behaviour()

    def _endpoint(self, base_url: str, key: str) -> Endpoint:
        return Endpoint(base_url, key, allow_http=self.allow_http)

    def test_connection(self) -> tuple[bool, str]:
        """Whether the service accepts the key, for the *Test* button; sends one cheap request, for at most 10 s."""
        try:
            quick = replace(self.endpoint, timeouts=base.QUICK)
            with SyncSender(quick, policy=ONCE) as client:
                projects = client.send(testerarmy.list_projects()).value
        except CredentialsRejected as error:
            return (
                False,
                f"TesterArmy rejected the API key ({error.message}). Create a new one at {API_KEYS_PAGE}.",
            )
        except ClientError as error:
            return False, str(error)
        names = ", ".join(project.name or project.id for project in projects[:5])
        return (
            True,
            f"Connected to TesterArmy; the key can access {plural(len(projects), 'project')}: {names}",
        )

    def service(self) -> TesterArmyService:
        """The adapter to the lifecycle."""
        return TesterArmyService(dashboard_prefix(self.extra))


def dashboard_prefix(extra: Mapping[str, Any]) -> str:
    """The beginning of a run's dashboard URL; empty unless the extra has workspace and project.

    The API does not return the workspace slug, so the connection must contain it.
    """
    workspace, project = extra.get("workspace"), extra.get("project_short_id")
    if not workspace or not project:
        return ""
    return f"{DASHBOARD}/{quote(str(workspace), safe='')}/projects/{quote(str(project), safe='')}"


class TesterArmyService:
    """TesterArmy's adapter to the service port.

    :param dashboard: the beginning of a run's dashboard URL; empty for no links.
    """

    vendor = "TesterArmy"
    # The values of the filter `status` of `GET /runs` in the OpenAPI document.
    active_statuses = ("queued", "running")
    ended_statuses = ("completed", "failed", "cancelled")
    can_cancel = True

    def __init__(self, dashboard: str = "") -> None:
        self._dashboard = dashboard

    def prepare(self, request: RunRequest) -> Operation[Scope]:
        """Read the test, group or project. For another target, read the newest run, to check the key."""
        if request.kind == "test":
            return testerarmy.get_test(request.target).then(lambda test: _test_scope(test, request.target))
        if request.kind == "group":
            return testerarmy.get_group(request.target).then(
                lambda group: _group_scope(group, request.target)
            )
        if request.kind == PULL_REQUEST:
            return agent.prepare(request)
        return testerarmy.list_runs(limit=1).then(lambda _page: Scope())

    def submit(self, request: RunRequest) -> Operation[Submission]:
        """Start a test, a group, a batch, a prompt or the pull-request agent."""
        if request.kind == "test":
            single = testerarmy.trigger_test_run(request.target)
            return replace(single, body=request.body).then(lambda queued: _single(queued, request.target))
        if request.kind == "group":
            group = testerarmy.trigger_group_run(request.target)
            return replace(group, body=request.body).then(
                lambda queued: _group_submission(queued, request.target)
            )
        if request.kind == PULL_REQUEST:
            return agent.submit(request)
        if request.kind == batches.BATCH:
            return batches.submit(request)
        # The placeholder is replaced by the request's body, which was validated before.
        prompt = testerarmy.submit_prompt_run(wire.PromptRunRequest(prompt="-"))
        return testerarmy.with_prompt(prompt, request.body).then(
            lambda queued: clean_submission(Submission((queued.id,)))
        )

    def fetch(self, run_id: RunId) -> Operation[RunResult]:
        """One run with all of its details."""
        return testerarmy.get_run(_usable(run_id)).then(about(run_id, self.result))

    def fetch_state(self, run_id: RunId) -> Operation[RunResult]:
        """The state and outcome of one run."""
        return testerarmy.get_run_state(_usable(run_id)).then(about(run_id, to_state))

    def list_by_status(self, status: str, cursor: str) -> Operation[Page]:
        """The states and outcomes of the account's runs with one status."""
        listing = testerarmy.list_run_states(status=status, cursor=cursor or None)
        return listing.then(lambda page: Page(tuple(map(to_listed_run, page.runs)), page.next_cursor or ""))

    def list_recent(self, status: str, cursor: str) -> Operation[RecentPage]:
        """The account's runs, newest first, for event triggers."""
        listing = testerarmy.list_run_heads(status=status or None, cursor=cursor or None)
        return listing.then(
            lambda page: RecentPage(tuple(map(self._listed_end, page.runs)), page.next_cursor or "")
        )

    def fetch_listed(self, run_id: RunId) -> Operation[ListedEnd]:
        """One run in the detail of that list."""
        return testerarmy.get_run_head(_usable(run_id)).then(checked_end(run_id, self._listed_end))

    def list_candidates(self, request: RunRequest, scope: Scope, cursor: str) -> Operation[Page]:
        """The newest runs of the test, of the project, or (for a prompt or batch) of the account."""
        test_id, project_id = _listed_by(request, scope)
        listing = testerarmy.list_runs(test_id=test_id, project_id=project_id, cursor=cursor or None)
        return listing.then(lambda page: self._page(page, request))

    def list_neighbours(self, request: RunRequest, scope: Scope, cursor: str) -> Operation[Page] | None:
        """The newest runs of the project of a test; None for a target whose candidates are listed with them."""
        if request.kind != "test":
            return None
        listing = testerarmy.list_runs(project_id=scope.project_id or None, cursor=cursor or None)
        return listing.then(lambda page: self._page(page, request))

    def list_newest(self, request: RunRequest, scope: Scope) -> Operation[tuple[RunId, ...]]:
        """The ids of the newest of these runs."""
        test_id, project_id = _listed_by(request, scope)
        listing = testerarmy.list_run_states(test_id=test_id, project_id=project_id, limit=NEWEST)
        return listing.then(lambda page: tuple(run.id for run in page.runs))

    def examine(self, run_id: RunId, request: RunRequest) -> Operation[ListedRun]:
        """One run, and whether the request may have started it."""
        return testerarmy.get_run(str(run_id)).then(lambda run: self._listed_run(run, request))

    def list_tests(self, request: RunRequest, scope: Scope, cursor: str) -> Operation[Tests] | None:
        """The tests of a group; None for a test or a prompt, which starts one run."""
        if request.kind != "group":
            return None
        listing = testerarmy.list_tests(scope.project_id, group_id=request.target, cursor=cursor or None)
        return listing.then(_tests)

    def known_runs(self, request: RunRequest) -> int | None:
        """One; None for a group, of which :meth:`list_tests` tells, and for a batch."""
        return None if request.kind in ("group", batches.BATCH) else 1

    def cancel_run(self, run_id: RunId) -> Operation[Any]:
        """Cancel one run."""
        return testerarmy.cancel_run(str(run_id))

    def cancel_batch(self, batch_id: str) -> Operation[Any]:
        """Cancel the active runs of a batch."""
        return testerarmy.cancel_batch(batch_id)

    def some_tests(self, request: RunRequest, test_ids: Sequence[str]) -> tuple[RunRequest, ...] | None:
        """One request for each of these tests of a group.

        None if the group's request has a field that single tests do not accept, e.g. a URL, a commit or a build.
        """
        if request.kind != "group" or not request.whole or not request.body.keys() <= _TEST_FIELDS:
            return None
        if not test_ids or not all(test_ids):
            return None
        return tuple(RunRequest("test", test_id, request.body) for test_id in dict.fromkeys(test_ids))

    def blueprint(self, request: RunRequest) -> Operation[Blueprint] | None:
        """Read the project, the order and the preparation test of a group; None for a test or a prompt."""
        if request.kind != "group" or not request.whole:
            return None
        return testerarmy.get_group(request.target).then(lambda group: _blueprint(group, request.target))

    def create_target(self, blueprint: Blueprint, name: str) -> Operation[str]:
        """Create a group without tests."""
        return testerarmy.create_group(blueprint.project_id, name, **blueprint.details).then(
            lambda group: _created(group, name)
        )

    def targets_named(self, project_id: str, name: str) -> Operation[tuple[str, ...]]:
        """The ids of the project's groups with exactly this name."""
        return testerarmy.list_groups(project_id).then(
            lambda groups: tuple(group.id for group in groups if group.name == name)
        )

    def name_of_target(self, target: str) -> Operation[str]:
        """The name of a group."""
        return testerarmy.get_group(target).then(lambda group: group.name or "")

    def add_test(self, target: str, test_id: str) -> Operation[Any]:
        """Add a test to a group."""
        return testerarmy.add_group_test(target, test_id)

    def delete_target(self, target: str) -> Operation[Any]:
        """Delete a group."""
        return testerarmy.delete_group(target)

    def on_target(self, request: RunRequest, target: str) -> RunRequest:
        """The same request for another group."""
        return replace(request, target=target)

    def on_deployment(self, request: RunRequest, address: str, commit: str) -> RunRequest | None:
        """The same request for another address and commit. It reports to no pull request.

        None for a mobile build, which the service fetches by itself, and for a request without an address.
        """
        if request.kind != "group" or not request.body.get("targetUrl") or request.body.get("mobile"):
            return None
        left_out = ("targetUrl", "commitSha", "prNumber")
        body = {name: value for name, value in request.body.items() if name not in left_out}
        body["targetUrl"] = address
        if commit:
            body["commitSha"] = commit
        return replace(request, body=body, commit=commit, address=address)

    def submission_url(self, submission: Submission) -> str:
        """The dashboard page of the first run."""
        # Batches have no page on the dashboard, and the API has no `GET /batches/{id}`.
        return self.run_url(submission.run_ids[0]) if submission.run_ids else ""

    def run_url(self, run_id: RunId) -> str:
        """The dashboard page of a run; empty if the connection has no workspace or project."""
        return f"{self._dashboard}?run={quote(str(run_id), safe='')}" if self._dashboard else ""

    def result(self, run: wire.Run) -> RunResult:
        """Convert a run to a domain result."""
        return to_result(run, self.run_url(run.id))

    def _listed_end(self, run: wire.RunHead) -> ListedEnd:
        return to_listed_end(run, self.run_url(run.id))

    def _page(self, page: wire.RunPage, request: RunRequest) -> Page:
        return Page(tuple(self._listed_run(run, request) for run in page.runs), page.next_cursor or "")

    def _listed_run(self, run: wire.Run, request: RunRequest) -> ListedRun:
        return ListedRun(self.result(run), match(run, request))


def _listed_by(request: RunRequest, scope: Scope) -> tuple[str | None, str | None]:
    """The test id and the project id for filtering the list of runs; the API has no filter by group."""
    test_id = request.target if request.kind == "test" else None
    return test_id, (scope.project_id or None) if request.kind in ("group", PULL_REQUEST) else None


def _usable(run_id: RunId) -> str:
    if not usable_id(run_id):
        raise RequestInvalid("A run id must be a text of 1 to 200 characters without spaces.")
    return str(run_id)


def _single(queued: wire.TestRunQueued, test_id: str) -> Submission:
    """The submission of a test.

    :raises ValueError: if the response is about another test.
    """
    _same("test", queued.test_id, test_id)
    return clean_submission(Submission((queued.run_id,)))


def _same(what: str, answered: str | None, asked: str) -> None:
    # A broken cache or proxy may return another object. Waiting for its runs could report a wrong verdict.
    if answered and answered.strip().casefold() != asked.strip().casefold():
        raise ValueError(f"requested {what} {asked}, received another one")


def _test_scope(test: wire.TestDefinition, test_id: str) -> Scope:
    _same("test", test.id, test_id)
    return Scope(one_line(test.project_id or ""), one_line(test.title or ""))


def _group_scope(group: wire.Group, group_id: str) -> Scope:
    _same("group", group.id, group_id)
    # The service may run the preparation test in addition to the tests that it lists for the group.
    companions = frozenset((group.prep_test_id,) if group.prep_test_id else ())
    return Scope(one_line(group.project_id or ""), one_line(group.name or ""), companions)


def _blueprint(group: wire.Group, group_id: str) -> Blueprint:
    _same("group", group.id, group_id)
    given = {"run_mode": group.run_mode, "prep_test_id": group.prep_test_id}
    return Blueprint(
        one_line(group.project_id or ""), {name: value for name, value in given.items() if value}
    )


def _created(group: wire.Group, name: str) -> str:
    """The id of a new group.

    :raises ValueError: if the response is about another group, or has an id that no group has.
    """
    if group.name is not None and group.name != name:
        raise ValueError("created a group, received another one")
    return testerarmy.check_id(group.id, "id")


def _group_submission(queued: wire.GroupRunQueued, group_id: str) -> Submission:
    _same("group", queued.group_id, group_id)
    return batches.submission(queued)


def _tests(page: wire.TestPage) -> Tests:
    titles = {test.id: one_line(test.title or "") for test in page.tests}
    # A group run skips disabled tests. A missing `enabled` counts as enabled.
    runnable = frozenset(test.id for test in page.tests if test.enabled is not False)
    return Tests(titles, runnable, page.next_cursor or "")
