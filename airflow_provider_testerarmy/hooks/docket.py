"""Docket's hook, and its adapter to the lifecycle's service port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, NoReturn

from airflow_provider_testerarmy.client.docket import models as wire
from airflow_provider_testerarmy.client.docket import operations as docket
from airflow_provider_testerarmy.client.docket.webhooks import SIGNATURE_HEADER, WebhookRefused, verify
from airflow_provider_testerarmy.client.http.endpoint import Endpoint, Timeouts
from airflow_provider_testerarmy.client.http.errors import (
    ClientError,
    CredentialsRejected,
    NotFound,
)
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.retry import ONCE, RetryPolicy
from airflow_provider_testerarmy.client.http.sender import SyncSender
from airflow_provider_testerarmy.hooks import base, forms
from airflow_provider_testerarmy.hooks.base import ServiceHook
from airflow_provider_testerarmy.hooks.deliveries import split_secrets
from airflow_provider_testerarmy.hooks.docket_results import (
    DASHBOARD,  # noqa: F401 - users import it from here
    group_run_url,
    to_result,
    to_state,
)
from airflow_provider_testerarmy.hooks.docket_submission import to_submission
from airflow_provider_testerarmy.hooks.forms import WEBHOOK_SECRET, ConnectionForm
from airflow_provider_testerarmy.runs.cleaning import about
from airflow_provider_testerarmy.runs.events.model import ListedEnd, checked_end
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import ListedRun, Match, RunRequest, Scope, Submission

#: Long timeouts: if the response to a trigger is lost, Docket's API cannot tell what was started. The vendor's own
#: GitHub action waits 45 s for it.
PATIENT: Final = Timeouts(read=60.0, total=90.0)

#: The maximum number of ids in a label.
SHOWN_IDS: Final = 5


class DocketHook(ServiceHook):
    """Manages a Docket connection and its client.

    The connection's host is the base URL, and its password is the API key. Its extra may have ``allow_http``,
    ``verify``, ``connect_timeout``, ``read_timeout`` and ``max_requests_per_second``.

    :param docket_conn_id: the Airflow connection.
    :param policy: when to retry a request; by default up to four requests with back-off.
    """

    conn_name_attr: ClassVar[str] = "docket_conn_id"
    default_conn_name: ClassVar[str] = "docket_default"
    conn_type: ClassVar[str] = "docket"
    hook_name: ClassVar[str] = "Docket"
    default_base_url: ClassVar[str] = docket.DEFAULT_BASE_URL
    form: ClassVar[ConnectionForm | None] = forms.DOCKET

    def __init__(self, docket_conn_id: str = default_conn_name, *, policy: RetryPolicy | None = None) -> None:
        super().__init__(docket_conn_id, policy=policy)
        self.docket_conn_id = docket_conn_id

    def accepts_delivery(self, part: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """Whether Docket has signed the delivery with a secret of this connection."""
        accepted = False
        for secret in split_secrets(self.extra.get(WEBHOOK_SECRET)):
            try:
                verify(body, headers.get(SIGNATURE_HEADER.lower()), secret, now=now)
            except (WebhookRefused, ValueError):
                continue
            accepted = True
        return accepted

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Fields of the connection form before Airflow 3.2; later versions read the provider info."""
        return forms.DOCKET.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels of the connection form before Airflow 3.2; later versions read the provider info."""
        return forms.DOCKET.hook_field_behaviour()

    def _endpoint(self, base_url: str, key: str) -> Endpoint:
        return Endpoint(
            base_url,
            key,
            key_header=docket.KEY_HEADER,
            key_prefix="",
            allow_http=self.allow_http,
            timeouts=PATIENT,
            error_format=docket.ERROR_FORMAT,
        )

    def test_connection(self) -> tuple[bool, str]:
        """Whether the service accepts the key, for the *Test* button; sends one cheap request, for at most 10 s.

        Docket's API has no call for this, so it requests run 0, which does not exist.
        """
        try:
            # The button runs in the API server. Docket's usual timeouts would occupy one of its threads for 90 s.
            quick = replace(self.endpoint, timeouts=base.QUICK)
            with SyncSender(quick, policy=ONCE) as client:
                client.send(docket.check_key())
        except CredentialsRejected as error:
            return False, f"Docket rejected the API key ({error.message})."
        except NotFound as error:
            if not _is_json(error):
                return (
                    False,
                    f"{error}. Check that the host is the API's base URL, such as {self.default_base_url}.",
                )
        except ClientError as error:
            return False, str(error)
        return (
            True,
            "Docket accepted the API key (a request for run 0 returned 404, as expected).",
        )

    def service(self) -> DocketService:
        """The adapter to the lifecycle."""
        return DocketService()


def _is_json(error: ClientError) -> bool:
    # Any web server may respond with 404. Only a JSON response comes from the API, which checks the key first.
    return error.response is not None and "json" in error.response.headers.get("content-type", "")


class DocketService:
    """Docket's adapter to the service port.

    The API can neither list nor cancel runs. Each run is polled individually, and the runs of a lost submission
    cannot be looked up.
    """

    vendor = "Docket"
    # The public API reference has neither a list of runs nor a call that cancels one.
    active_statuses = ()
    ended_statuses = ()
    can_cancel = False

    def prepare(self, request: RunRequest) -> None:
        """The API cannot read a target, so the response to the submission shows a wrong id or key."""

    def submit(self, request: RunRequest) -> Operation[Submission]:
        """Start a run of each test."""
        asked = request.body.get("test_blueprint_ids")
        return docket.trigger(request.body).then(lambda group: to_submission(group, asked))

    def fetch(self, run_id: RunId) -> Operation[RunResult]:
        """One run with all of its details."""
        return docket.get_test_run(run_id).then(about(run_id, self.result))

    def fetch_state(self, run_id: RunId) -> Operation[RunResult]:
        """The state and outcome of one run."""
        return docket.get_test_run_state(run_id).then(about(run_id, to_state))

    def list_by_status(self, status: str, cursor: str) -> NoReturn:
        """Never called, because ``active_statuses`` is empty."""
        raise NotImplementedError("Docket has no list of runs.")

    def list_recent(self, status: str, cursor: str) -> NoReturn:
        """Never called, because ``active_statuses`` is empty."""
        raise NotImplementedError("Docket has no list of runs.")

    def fetch_listed(self, run_id: RunId) -> Operation[ListedEnd]:
        """One run, for event triggers."""
        return docket.get_test_run(run_id).then(
            checked_end(run_id, lambda run: ListedEnd(replace(self.result(run), issues=(), steps=())))
        )

    def list_candidates(self, request: RunRequest, scope: Scope, cursor: str) -> NoReturn:
        """Never called, because ``active_statuses`` is empty."""
        raise NotImplementedError("Docket has no list of runs.")

    def list_neighbours(self, request: RunRequest, scope: Scope, cursor: str) -> NoReturn:
        """Never called, because ``active_statuses`` is empty."""
        raise NotImplementedError("Docket has no list of runs.")

    def list_newest(self, request: RunRequest, scope: Scope) -> NoReturn:
        """Never called, because ``active_statuses`` is empty."""
        raise NotImplementedError("Docket has no list of runs.")

    def examine(self, run_id: RunId, request: RunRequest) -> Operation[ListedRun]:
        """One run, and whether the request may have started it. Runs do not show their category."""
        wanted = frozenset(map(str, request.body.get("test_blueprint_ids", ())))

        def listed_run(run: wire.TestRun) -> ListedRun:
            result = self.result(run)
            other = bool(wanted and result.test_id) and result.test_id not in wanted
            return ListedRun(result, Match.NO if other else Match.YES)

        return docket.get_test_run(run_id).then(listed_run)

    def list_tests(self, request: RunRequest, scope: Scope, cursor: str) -> None:
        """The API cannot list the tests of a category; each run contains the title of its test."""

    def known_runs(self, request: RunRequest) -> int | None:
        """The number of the tests; None for a category. A login that a test needs is a run in addition."""
        ids = request.body.get("test_blueprint_ids")
        return len(ids) if isinstance(ids, list) else None

    def cancel_run(self, run_id: RunId) -> NoReturn:
        """Never called, because ``can_cancel`` is False."""
        raise NotImplementedError("Docket cannot cancel runs.")

    def cancel_batch(self, batch_id: str) -> NoReturn:
        """Never called, because ``can_cancel`` is False."""
        raise NotImplementedError("Docket cannot cancel runs.")

    def some_tests(self, request: RunRequest, test_ids: Sequence[str]) -> tuple[RunRequest, ...] | None:
        """One request for these tests; None for a CI run, because GitHub would show the outcome of these only."""
        if "github_context" in request.body or not request.whole or not test_ids or not all(test_ids):
            return None
        ids = [docket.check_id(test_id, "test_id") for test_id in dict.fromkeys(test_ids)]
        label = ", ".join(map(str, ids[:SHOWN_IDS]))
        if len(ids) > SHOWN_IDS:
            label += f", ... ({len(ids)} in all)"
        body = {"test_blueprint_ids": ids}
        return (RunRequest("tests" if len(ids) > 1 else "test", label, body),)

    def submission_url(self, submission: Submission) -> str:
        """The group run on the dashboard."""
        return group_run_url(submission.batch_id)

    def result(self, run: wire.TestRun) -> RunResult:
        """Convert a run to a domain result."""
        return to_result(run)
