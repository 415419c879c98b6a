"""Docket in Airflow: the hook, and the adapter that answers the lifecycle's questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, NoReturn

from airflow_provider_testerarmy.client.docket import models as wire
from airflow_provider_testerarmy.client.docket import operations as docket
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
from airflow_provider_testerarmy.hooks.docket_results import (
    DASHBOARD,  # noqa: F401 - users import it from here
    group_run_url,
    to_glimpse,
    to_result,
)
from airflow_provider_testerarmy.hooks.docket_submission import to_submission
from airflow_provider_testerarmy.hooks.forms import ConnectionForm
from airflow_provider_testerarmy.runs.cleaning import about
from airflow_provider_testerarmy.runs.results import RunId, RunResult
from airflow_provider_testerarmy.runs.service import Match, RunRequest, Scope, Sighting, Submission

#: A trigger whose answer is not awaited to its end cannot be settled later; the vendor's own GitHub action allows
#: it 45 s.
PATIENT: Final = Timeouts(read=60.0, total=90.0)

#: Ids that a label shows at the most.
SHOWN_IDS: Final = 5


class DocketHook(ServiceHook):
    """Manages a Docket connection and the client behind it.

    The connection's host is the base URL, its password the API key; its extra may set ``allow_http``.

    :param docket_conn_id: the Airflow connection.
    :param policy: how single requests are repeated; a few patient tries when None.
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
        """Whether the host answers and accepts the key, for the *Test* button; one cheap read, 10 s at most.

        Docket has no call that only checks a key, so a run is asked for that there is not.
        """
        try:
            quick = replace(self.endpoint, timeouts=base.QUICK)
            with SyncSender(quick, policy=ONCE) as client:
                client.send(docket.look_for_no_run())
        except CredentialsRejected as error:
            return False, f"Docket rejected the API key ({error.message})."
        except NotFound as error:
            if not _is_json(error):
                return (
                    False,
                    f"{error}. Is the host the API's base URL? It looks like {self.default_base_url}.",
                )
        except ClientError as error:
            return False, str(error)
        return (
            True,
            "Docket accepted the API key: it was asked for run 0, and only answered that there is none.",
        )

    def service(self) -> DocketService:
        """The adapter to the lifecycle."""
        return DocketService()


def _is_json(error: ClientError) -> bool:
    # Any web server answers 404; only the API's own says something about the key.
    return error.response is not None and "json" in error.response.headers.get("content-type", "")


class DocketService:
    """Docket as the lifecycle's service port.

    Docket can neither list nor cancel: runs are asked for one by one, and what a lost submission started cannot
    be looked up.
    """

    vendor = "Docket"
    active_statuses = ()
    ended_statuses = ()
    can_cancel = False

    def prepare(self, request: RunRequest) -> None:
        """Nothing can be looked at beforehand: a wrong id or key shows in the submission's answer."""

    def submit(self, request: RunRequest) -> Operation[Submission]:
        """Start a run of each test."""
        asked = request.body.get("test_blueprint_ids")
        return docket.trigger(request.body).then(lambda group: to_submission(group, asked))

    def fetch(self, run_id: RunId) -> Operation[RunResult]:
        """One run, whole."""
        return docket.get_test_run(run_id).then(about(run_id, self.result))

    def glance(self, run_id: RunId) -> Operation[RunResult]:
        """One run, only how far it is."""
        return docket.glance_at_test_run(run_id).then(about(run_id, to_glimpse))

    def list_by_status(self, status: str, cursor: str) -> NoReturn:
        """Never asked: there are no statuses to list by."""
        raise NotImplementedError("Docket has no list of runs.")

    def list_candidates(self, request: RunRequest, scope: Scope, cursor: str) -> NoReturn:
        """Never asked: there are no statuses to list by."""
        raise NotImplementedError("Docket has no list of runs.")

    def list_newest(self, request: RunRequest, scope: Scope) -> NoReturn:
        """Never asked: there are no statuses to list by."""
        raise NotImplementedError("Docket has no list of runs.")

    def examine(self, run_id: RunId, request: RunRequest) -> Operation[Sighting]:
        """One run, and whether it stems from the request: of a category, no run tells that it is not."""
        wanted = frozenset(map(str, request.body.get("test_blueprint_ids", ())))

        def sighting(run: wire.TestRun) -> Sighting:
            result = self.result(run)
            other = bool(wanted and result.test_id) and result.test_id not in wanted
            return Sighting(result, Match.NO if other else Match.YES)

        return docket.get_test_run(run_id).then(sighting)

    def list_tests(self, request: RunRequest, scope: Scope, cursor: str) -> None:
        """What a category holds cannot be listed; a run carries its test's title itself."""

    def cancel_run(self, run_id: RunId) -> NoReturn:
        """Never asked: ``can_cancel`` is false."""
        raise NotImplementedError("Docket cannot cancel runs.")

    def cancel_batch(self, batch_id: str) -> NoReturn:
        """Never asked: ``can_cancel`` is false."""
        raise NotImplementedError("Docket cannot cancel runs.")

    def some_tests(self, request: RunRequest, test_ids: Sequence[str]) -> tuple[RunRequest, ...] | None:
        """One request for all of them; None for a CI run, whose commit would show the outcome of these alone."""
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
        """A run as the domain has it."""
        return to_result(run)
