"""The TesterArmy operators. They run a saved test, a group, or a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_testerarmy.lifecycle.parameters import (
    NO_BISECT,
    Deferred,
    Ids,
    Text,
    count,
    flag,
    gate,
    is_template,
    mapping,
    needs_memory,
    stable,
)
from airflow_provider_testerarmy.lifecycle.task import with_common_fields
from airflow_provider_testerarmy.operators.testerarmy_apps import (
    TesterArmyDeleteAppOperator,
    TesterArmyUploadAppOperator,
)
from airflow_provider_testerarmy.operators.testerarmy_base import TesterArmyOperator, TesterArmyRunLink
from airflow_provider_testerarmy.operators.testerarmy_batches import TesterArmyRerunBatchOperator
from airflow_provider_testerarmy.operators.testerarmy_catalogue import (
    TesterArmyListTestsOperator,
    TesterArmySyncTestsOperator,
)
from airflow_provider_testerarmy.operators.testerarmy_environments import (
    TesterArmyCreateCredentialOperator,
    TesterArmyCreateEnvironmentOperator,
    TesterArmyDeleteEnvironmentOperator,
)
from airflow_provider_testerarmy.operators.testerarmy_memories import (
    TesterArmyCreateMemoryOperator,
    TesterArmyDeleteMemoryOperator,
)
from airflow_provider_testerarmy.operators.testerarmy_pull_requests import TesterArmyRunPullRequestOperator
from airflow_provider_testerarmy.operators.testerarmy_webhooks import TesterArmyTriggerGroupOperator
from airflow_provider_testerarmy.runs.rendered import is_nothing, listed

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.lifecycle.options import Options
    from airflow_provider_testerarmy.runs.service import RunRequest

__all__ = [
    "TesterArmyCreateCredentialOperator",
    "TesterArmyCreateEnvironmentOperator",
    "TesterArmyCreateMemoryOperator",
    "TesterArmyDeleteAppOperator",
    "TesterArmyDeleteEnvironmentOperator",
    "TesterArmyDeleteMemoryOperator",
    "TesterArmyListTestsOperator",
    "TesterArmyOperator",
    "TesterArmyRerunBatchOperator",
    "TesterArmyRunGroupOperator",
    "TesterArmyRunLink",
    "TesterArmyRunPromptOperator",
    "TesterArmyRunPullRequestOperator",
    "TesterArmyRunTestOperator",
    "TesterArmySyncTestsOperator",
    "TesterArmyTriggerGroupOperator",
    "TesterArmyUploadAppOperator",
]


#: The parameters of a group's request.
GROUP_FIELDS: Final = (
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


class TesterArmyRunTestOperator(TesterArmyOperator):
    """Runs one saved test (``POST /tests/{testId}/runs``).

    :param test_id: UUID or its text; the id of the test.
    :param mode: ``fast``, ``deep`` or None; how thoroughly the agent tests. None uses the test's own setting.
    :param platform: ``web``, ``ios``, ``android`` or None; the platform to test on. None leaves it to the
        service.
    :param device_model: ``iphone``, ``ipad`` or None; the device for ``ios``. None uses the platform's default
        device.
    :param app_id: UUID, its text or None; the id of the uploaded mobile app to test.
    :param project_environment_id: UUID, its text or None; the id of the project environment to test in.
    :raises RequestRefused: when the task runs, for a parameter that is invalid after rendering. No run is
        started.

    The common parameters and errors are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "testerarmy_conn_id",
        "test_id",
        "mode",
        "platform",
        "device_model",
        "app_id",
        "project_environment_id",
        "memory_path",
        "budget",
        "partition_key",
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
        """The test, without the other parameters."""
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id
        from airflow_provider_testerarmy.runs.service import RunRequest

        return RunRequest("test", check_id(self.test_id, "test_id"))

    def build_request(self) -> RunRequest:
        """The request that runs the test.

        :raises RequestInvalid: with the parameter's name.
        """
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
    """Runs every runnable test of a group (``POST /groups/{groupId}/runs``).

    :param group_id: UUID or its text; the id of the group.
    :param target_url: str or None; the http or https URL of the deployment to test. None uses the project's own
        URL.
    :param environment: ``production``, ``staging``, ``preview``, ``custom`` or None; the kind of deployment at
        ``target_url``.
    :param commit_sha: str or None; the commit that is deployed at ``target_url``.
    :param pr_number: positive int, its text or None; the number of the pull request to report to.
    :param platform: ``web``, ``ios``, ``android`` or None; the platform to test on. None leaves it to the
        service.
    :param device_model: ``iphone``, ``ipad`` or None; the device for ``ios``. None uses the platform's default
        device.
    :param project_environment_id: UUID, its text or None; the id of the project environment to test in.
    :param mobile: dict, JSON text or None; the mobile build to test, with the optional fields ``app_id``
        (UUID), ``bundle_id``, ``artifact_url`` (http or https), ``artifact_filename`` and ``build_id``.
    :param stop_after_failures: positive int, its text or None; the number of tests that have to fail for good. Then
        the task cancels the active runs and fails. None waits for all runs. It needs ``cancel_on_kill`` and
        ``wait_for_completion``.
    :param bisect: bool. True runs a test whose failure is new at the addresses of the nights since its last pass,
        and names the commit that broke it. It needs ``target_url``, ``durable``, ``wait_for_completion``, and a
        gate with ``fail_on="new"`` or ``quarantine``. A mobile build cannot be bisected.
    :raises RequestRefused: when the task runs, for a parameter that is invalid after rendering. No run is
        started.

    The common parameters and errors are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "testerarmy_conn_id",
        *GROUP_FIELDS,
        "stop_after_failures",
        "memory_path",
        "budget",
        "partition_key",
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
        stop_after_failures: int | str | Deferred | None = None,
        bisect: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stop_after_failures = stop_after_failures
        self._check_early_stop()
        self.group_id = group_id
        self.target_url = target_url
        self.environment = environment
        self.commit_sha = commit_sha
        self.pr_number = pr_number
        self.platform = platform
        self.device_model = device_model
        self.project_environment_id = project_environment_id
        self.mobile = mobile
        self.bisect = flag(bisect, "bisect")
        if self.bisect:
            self._check_bisect()

    def _check_bisect(self) -> None:
        """Refuse what no rendering can make possible."""
        if not (self.durable and self.wait_for_completion):
            raise ValueError("bisect needs durable=True and wait_for_completion=True.")
        if self.target_url is None or self.mobile is not None:
            raise ValueError("bisect needs target_url, and no mobile build.")
        if not is_template(self.gate) and not needs_memory(gate(self.gate)):
            raise ValueError(NO_BISECT)

    def _options(self) -> Options:
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        options = super()._options()
        if self.bisect and not needs_memory(options.gate):
            raise RequestInvalid(NO_BISECT)
        return replace(options, bisect=self.bisect)

    def _check_early_stop(self) -> None:
        if is_nothing(self.stop_after_failures):
            return
        if "cancel_on_kill" in self._unset:
            # The DAG asks to cancel runs, which comes before the deployment's default.
            self.cancel_on_kill = True
        if not (self.cancel_on_kill and self.wait_for_completion):
            raise ValueError("stop_after_failures needs cancel_on_kill=True and wait_for_completion=True.")
        if not is_template(self.stop_after_failures):
            count(self.stop_after_failures, "stop_after_failures")

    def target(self) -> RunRequest:
        """The group, without the other parameters."""
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id
        from airflow_provider_testerarmy.runs.service import RunRequest

        return RunRequest("group", check_id(self.group_id, "group_id"))

    def build_request(self) -> RunRequest:
        """The request that runs the group.

        :raises RequestInvalid: with the parameter's name.
        """
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
            # The OpenAPI document allows no fields in ``mobile`` beside those of ``MobileBuild``.
            mobile=None if is_nothing(self.mobile) else mapping(self.mobile, "mobile"),
        )
        body = request.body()
        commit, address = str(body.get("commitSha", "")), str(body.get("targetUrl", ""))
        return replace(self.target(), body=body, commit=commit, address=address)


class TesterArmyRunPromptOperator(TesterArmyOperator):
    """Tests what a prompt describes, without a saved test (``POST /runs``).

    :param prompt: str; the instructions for the agent, including the URL of the product.
    :param credentials_conn_id: str, a list of str, or None; the ids of Airflow connections whose login and
        password the agent may use to sign in to the product. There is no parameter for a password, because
        Airflow stores the arguments of a task unencrypted.
    :param webhook_url: str or None; an http or https URL that the service calls when the run has ended.
    :raises RequestRefused: when the task runs, for a parameter that is invalid after rendering, or a connection
        without login or password. No run is started.

    The common parameters and errors are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "testerarmy_conn_id",
        "prompt",
        "credentials_conn_id",
        "webhook_url",
        "memory_path",
        "budget",
        "partition_key",
    )

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
        """A prompt has no id at the service, so its runs are recognized by their text."""
        from airflow_provider_testerarmy.runs.service import RunRequest

        # The vendor documents POST /runs, though its OpenAPI file lacks it. The run has no test id.
        return RunRequest("prompt", "")

    def build_request(self) -> RunRequest:
        """The request that runs the prompt.

        :raises RequestInvalid: with the parameter's name.
        """
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

        # Read at run time: the password is then neither in the serialized DAG nor in the rendered fields.
        connection = BaseHook.get_connection(conn_id)
        if not connection.login or not connection.password:
            raise RequestInvalid(f"The connection {conn_id!r} needs a login and a password to sign in with.")
        return {"username": connection.login, "password": connection.password}
