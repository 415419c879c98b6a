"""The TesterArmy operators: a test, a group, or a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook, BaseOperatorLink, XCom

from airflow_provider_testerarmy.lifecycle.parameters import Deferred, Ids, Text, mapping, stable
from airflow_provider_testerarmy.lifecycle.task import with_common_fields
from airflow_provider_testerarmy.operators.base import RunOperator
from airflow_provider_testerarmy.runs.rendered import given, is_nothing, listed

# Imported where they are used, see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
    from airflow_provider_testerarmy.runs.service import RunRequest


class TesterArmyRunLink(BaseOperatorLink):
    """The button on the task's page that leads to the run on the TesterArmy dashboard.

    It is there while the task runs, if the connection's extra has ``workspace`` and ``project_short_id``.
    """

    name = "TesterArmy dashboard"
    xcom_key = "testerarmy_url"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address that the task pushed, empty when it pushed none."""
        return str(XCom.get_value(ti_key=ti_key, key=self.xcom_key) or "")


class TesterArmyOperator(RunOperator):
    """What the TesterArmy operators share.

    :param testerarmy_conn_id: the Airflow connection.
    """

    operator_extra_links = (TesterArmyRunLink(),)

    def __init__(self, *, testerarmy_conn_id: str = "testerarmy_default", **kwargs: Any) -> None:
        self.testerarmy_conn_id = testerarmy_conn_id
        super().__init__(**kwargs)

    @property
    def hook(self) -> TesterArmyHook:
        """The hook for the operator's connection."""
        from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook

        return TesterArmyHook(given(self.testerarmy_conn_id) or "testerarmy_default")


class TesterArmyRunTestOperator(TesterArmyOperator):
    """Runs one saved test.

    :param test_id: the test, a UUID.
    :param mode: ``fast`` or ``deep``; the test's own setting when None.
    :param platform: ``web``, ``ios`` or ``android``.
    :param device_model: ``iphone`` or ``ipad``.
    :param app_id: the uploaded mobile app to test.
    :param project_environment_id: the project's environment to test in.

    The common parameters are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "testerarmy_conn_id",
        "test_id",
        "mode",
        "platform",
        "device_model",
        "app_id",
        "project_environment_id",
    )

    def __init__(
        self,
        *,
        test_id: Text,
        mode: Text | None = None,
        platform: Text | None = None,
        device_model: Text | None = None,
        app_id: Text | None = None,
        project_environment_id: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.test_id = test_id
        self.mode = mode
        self.platform = platform
        self.device_model = device_model
        self.app_id = app_id
        self.project_environment_id = project_environment_id

    def target(self) -> RunRequest:
        """The test."""
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id
        from airflow_provider_testerarmy.runs.service import RunRequest

        return RunRequest("test", check_id(self.test_id, "test_id"))

    def build_request(self) -> RunRequest:
        """The request for the test's run."""
        from airflow_provider_testerarmy.client.http.wire import build_request
        from airflow_provider_testerarmy.client.testerarmy.models import TestRunRequest

        request = build_request(
            TestRunRequest,
            mode=self.mode,
            platform=self.platform,
            device_model=self.device_model,
            app_id=self.app_id,
            project_environment_id=self.project_environment_id,
        )
        return replace(self.target(), body=request.body())


class TesterArmyRunGroupOperator(TesterArmyOperator):
    """Runs every runnable test of a group.

    :param group_id: the group, a UUID.
    :param target_url: the deployment to test, instead of the project's own address.
    :param environment: ``production``, ``staging``, ``preview`` or ``custom``: what ``target_url`` is.
    :param commit_sha: the commit that is deployed there.
    :param pr_number: the pull request to report to.
    :param platform: ``web``, ``ios`` or ``android``.
    :param device_model: ``iphone`` or ``ipad``.
    :param project_environment_id: the project's environment to test in.
    :param mobile: the mobile build to test, with the fields of
        :class:`~airflow_provider_testerarmy.client.testerarmy.models.MobileBuild`.

    The common parameters are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "testerarmy_conn_id",
        "group_id",
        "target_url",
        "environment",
        "commit_sha",
        "pr_number",
        "platform",
        "device_model",
        "project_environment_id",
        "mobile",
    )

    def __init__(
        self,
        *,
        group_id: Text,
        target_url: Text | None = None,
        environment: Text | None = None,
        commit_sha: Text | None = None,
        pr_number: Text | None = None,
        platform: Text | None = None,
        device_model: Text | None = None,
        project_environment_id: Text | None = None,
        mobile: Mapping[str, Any] | Deferred | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group_id = group_id
        self.target_url = target_url
        self.environment = environment
        self.commit_sha = commit_sha
        self.pr_number = pr_number
        self.platform = platform
        self.device_model = device_model
        self.project_environment_id = project_environment_id
        self.mobile = mobile

    def target(self) -> RunRequest:
        """The group."""
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id
        from airflow_provider_testerarmy.runs.service import RunRequest

        return RunRequest("group", check_id(self.group_id, "group_id"))

    def build_request(self) -> RunRequest:
        """The request for the group's run."""
        from airflow_provider_testerarmy.client.http.wire import build_request
        from airflow_provider_testerarmy.client.testerarmy.models import GroupRunRequest

        request = build_request(
            GroupRunRequest,
            target_url=self.target_url,
            environment=self.environment,
            commit_sha=self.commit_sha,
            pr_number=self.pr_number,
            platform=self.platform,
            device_model=self.device_model,
            project_environment_id=self.project_environment_id,
            mobile=None if is_nothing(self.mobile) else mapping(self.mobile, "mobile"),
        )
        return replace(self.target(), body=request.body())


class TesterArmyRunPromptOperator(TesterArmyOperator):
    """Runs what a prompt says, without a saved test.

    :param prompt: what to test, with the address in it.
    :param credentials_conn_id: an Airflow connection (or several) whose login and password the agent may use
        to sign in to the product. Credentials are never an argument: a DAG's arguments are stored in clear.
    :param webhook_url: an address that the service calls once the run is finished.

    The common parameters are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields("testerarmy_conn_id", "prompt", "credentials_conn_id", "webhook_url")

    def __init__(
        self,
        *,
        prompt: Text,
        credentials_conn_id: Ids | None = None,
        webhook_url: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.credentials_conn_id: Any = stable(credentials_conn_id)
        self.webhook_url = webhook_url

    def target(self) -> RunRequest:
        """A prompt has no saved target."""
        from airflow_provider_testerarmy.runs.service import RunRequest

        return RunRequest("prompt", "")

    def build_request(self) -> RunRequest:
        """The request for the prompt's run."""
        from airflow_provider_testerarmy.client.http.wire import build_request
        from airflow_provider_testerarmy.client.testerarmy.models import PromptRunRequest

        request = build_request(
            PromptRunRequest,
            prompt=self.prompt,
            credentials=self._credentials(),
            webhook_url=self.webhook_url,
        )
        return replace(self.target(), body=request.body())

    def _credentials(self) -> list[dict[str, str]] | None:
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        if is_nothing(self.credentials_conn_id):
            return None
        conn_ids = listed(self.credentials_conn_id)
        if not conn_ids or not all(isinstance(conn_id, str) for conn_id in conn_ids):
            raise RequestInvalid("credentials_conn_id is empty; a template may have rendered to nothing.")
        return [self._credential(conn_id) for conn_id in conn_ids]

    @staticmethod
    def _credential(conn_id: str) -> dict[str, str]:
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        connection = BaseHook.get_connection(conn_id)
        if not connection.login or not connection.password:
            raise RequestInvalid(f"The connection {conn_id!r} needs a login and a password to sign in with.")
        return {"username": connection.login, "password": connection.password}
