"""The operator that starts a TesterArmy group by its webhook, without an API key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_testerarmy.lifecycle.parameters import Deferred, Text, mapping
from airflow_provider_testerarmy.operators.testerarmy_resource import TesterArmyCallOperator
from airflow_provider_testerarmy.runs.rendered import is_nothing

_FIELDS = (
    "target_url",
    "environment",
    "commit_sha",
    "platform",
    "device_model",
    "project_environment_id",
)


class TesterArmyTriggerGroupOperator(TesterArmyCallOperator):
    """Starts a group by its webhook (``POST /groups/webhook/{webhookId}/{secret}``). Nothing waits for the runs.

    The webhook needs no API key and has the least right: whoever has it can start the group, and nothing else. So
    the task can neither judge nor cancel the runs, nor look them up. Therefore it has no retries, whatever
    ``retries`` says. The XCom is the list of the batch ids.

    The connection has the type ``testerarmy``, the id of the webhook as its login, and the secret as its password.

    :param target_url: str or None; the http or https URL of the deployment to test. None uses the project's own
        URL.
    :param environment: ``production``, ``staging``, ``preview``, ``custom`` or None; the kind of deployment at
        ``target_url``.
    :param commit_sha: str or None; the commit that is deployed at ``target_url``.
    :param platform: ``web``, ``ios``, ``android`` or None; the platform to test on.
    :param device_model: ``iphone``, ``ipad`` or None; the device for ``ios``.
    :param project_environment_id: UUID, its text or None; the id of the project environment to test in.
    :param mobile: dict, JSON text or None; the mobile build to test, as of ``TesterArmyRunGroupOperator``.
    :raises RequestRefused: when the task runs, for an invalid parameter, a connection without login or password, or
        if the service ignores the webhook. No run is started.
    :raises SubmissionUnclear: when the task runs, if the response is lost. The request is not sent again.
    """

    template_fields = ("testerarmy_conn_id", "max_outage", *_FIELDS, "mobile")

    def __init__(
        self,
        *,
        target_url: Text | None = None,
        environment: Text | None = None,
        commit_sha: Text | None = None,
        platform: Text | None = None,
        device_model: Text | None = None,
        project_environment_id: Text | None = None,
        mobile: Mapping[str, Any] | Deferred | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "retries": 0})
        self.target_url = target_url
        self.environment = environment
        self.commit_sha = commit_sha
        self.platform = platform
        self.device_model = device_model
        self.project_environment_id = project_environment_id
        self.mobile = mobile

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As in Airflow, without retries."""
        return super().partial(**{**kwargs, "retries": 0})

    def execute(self, context: Any) -> list[str]:
        """Start the group, and return the batch ids.

        :raises TestRunError: see the class.
        """
        with self._opened(context, f"group of the webhook {self.testerarmy_conn_id!r}") as one_try:
            from airflow_provider_testerarmy.client.http.errors import RequestInvalid
            from airflow_provider_testerarmy.client.http.wire import build_request
            from airflow_provider_testerarmy.client.testerarmy.models import GroupWebhookRequest
            from airflow_provider_testerarmy.client.testerarmy.webhooks import trigger_group_webhook
            from airflow_provider_testerarmy.exceptions import RequestRefused
            from airflow_provider_testerarmy.runs.text import one_line

            connection = self.hook.connection
            if not connection.login or not connection.password:
                raise RequestInvalid(
                    f"The connection {self.testerarmy_conn_id!r} needs the id of the webhook as its login and the "
                    "secret as its password."
                )
            mobile = None if is_nothing(self.mobile) else mapping(self.mobile, "mobile")
            fields = {name: getattr(self, name) for name in _FIELDS}
            request = build_request(GroupWebhookRequest, mobile=mobile, **fields)
            answer = one_try.start_once(trigger_group_webhook(connection.login, connection.password, request))
            if answer.ignored or not answer.received:
                why = one_line(answer.reason or "no reason", 200)
                raise RequestRefused(f"The service ignored the webhook ({why}). No run was started.")
            self.log.info("Started %s.", ", ".join(one_line(each, 50) for each in answer.batch_ids) or "runs")
            return list(answer.batch_ids)
