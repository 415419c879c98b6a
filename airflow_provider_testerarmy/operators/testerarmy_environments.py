"""The operators for environments and credentials of a TesterArmy project, to use as setup and teardown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_testerarmy.lifecycle.parameters import Text, is_template
from airflow_provider_testerarmy.operators.testerarmy_resource import TesterArmyResourceOperator
from airflow_provider_testerarmy.runs.rendered import given, is_nothing

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.http.operation import Operation
    from airflow_provider_testerarmy.client.testerarmy.credentials import CredentialRequest, CredentialSummary
    from airflow_provider_testerarmy.client.testerarmy.environments import ProjectEnvironment

_KINDS: Final = ("login", "inbox")
_METHODS: Final = ("password", "google", "github")


class TesterArmyCreateEnvironmentOperator(TesterArmyResourceOperator):
    """Creates an environment, in which runs test (``POST /projects/{projectId}/environments``).

    It is idempotent by name: it returns the id of an environment that has the name and the URL already. The XCom is
    the id, for the parameter ``project_environment_id`` of the operators that start runs.

    :param name: str; the name, at most 100 characters. It is unique in the project.
    :param url: str; the https URL of the deployment.
    :raises RequestRefused: when the task runs, for an invalid parameter, or if an environment with the name has
        another URL.
    """

    template_fields = (*TesterArmyResourceOperator.common_template_fields, "name", "url")

    def __init__(self, *, name: Text, url: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.url = url
        self._required(name=name, url=url)
        if isinstance(url, str) and not is_template(url) and not url.strip().lower().startswith("https://"):
            raise ValueError(f"url must be an https URL, not {url!r}.")

    def execute(self, context: Any) -> str:
        """Find or create the environment, and return its id.

        :raises TestRunError: see the class.
        """
        with self._opened(context, f"environment {str(self.name)[:100]!r}") as one_try:
            from airflow_provider_testerarmy.client.http.wire import build_request
            from airflow_provider_testerarmy.client.testerarmy import environments
            from airflow_provider_testerarmy.exceptions import RequestRefused

            request = build_request(environments.EnvironmentRequest, name=self.name, url=self.url)
            project = str(self.project_id)
            find = environments.list_environments(project).then(
                lambda found: next(iter(named(found, request.name)), None)
            )
            ready = one_try.ensure(
                find,
                environments.create_environment(project, request),
                lambda made: environments.delete_environment(project, made.id),
            )
            environment = ready.value
            if environment.url and _plain(environment.url) != _plain(request.url):
                raise RequestRefused(
                    f"The project already has an environment {request.name!r} with another URL. Delete it, or use "
                    "another name."
                )
            self.log.info("%s environment %r.", "Created" if ready.made else "Found", request.name)
            return environment.id


class TesterArmyDeleteEnvironmentOperator(TesterArmyResourceOperator):
    """Deletes an environment (``DELETE /projects/{projectId}/environments/{environmentId}``).

    It succeeds if the environment does not exist. By name it also deletes an environment whose id is unknown, e.g.
    because the task that created it was killed.

    :param name: str or None; the name of the environment.
    :param environment_id: UUID, its text or None; the id of the environment. Give the name or the id.
    :raises RequestRefused: when the task runs, for an invalid parameter, or an environment that the service does
        not delete, e.g. production.
    """

    template_fields = (*TesterArmyResourceOperator.common_template_fields, "name", "environment_id")

    def __init__(
        self, *, name: Text | None = None, environment_id: Text | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if (name is None) == (environment_id is None):
            raise ValueError("Give either name or environment_id.")
        self.name = name
        self.environment_id = environment_id

    def execute(self, context: Any) -> None:
        """Delete the environment.

        :raises TestRunError: see the class.
        """
        label = f"environment {str(self.name or self.environment_id)[:100]!r}"
        with self._opened(context, label) as one_try:
            from airflow_provider_testerarmy.client.http.errors import RequestInvalid
            from airflow_provider_testerarmy.client.testerarmy import environments

            project = str(self.project_id)
            if not is_nothing(self.environment_id):
                ids = [str(self.environment_id)]
            elif is_nothing(self.name):
                raise RequestInvalid(
                    "name and environment_id are empty; a template may have rendered to nothing."
                )
            else:
                listed = one_try.ask(environments.list_environments(project))
                ids = [each.id for each in named(listed, str(self.name))]
            deleted = [one_try.remove(environments.delete_environment(project, each)) for each in ids]
            self.log.info("The %s %s.", label, "was deleted" if any(deleted) else "does not exist")


class TesterArmyCreateCredentialOperator(TesterArmyResourceOperator):
    """Creates a login or an inbox that tests use (``POST /projects/{projectId}/credentials``).

    It is idempotent by label. A login that exists already keeps its password, because the service does not return
    it. The API cannot change or delete a credential. The XCom is the id.

    :param credential_label: str; the name, at most 50 characters.
    :param credentials_conn_id: str or None; the id of the Airflow connection with login and password. An inbox has
        none. There is no parameter for a password, because Airflow stores the arguments of a task unencrypted.
    :param kind: ``login`` or ``inbox``. The service creates an address for an inbox; it is the XCom ``username``.
    :param auth_method: ``password``, ``google``, ``github`` or None; how a login signs in.
    :raises RequestRefused: when the task runs, for an invalid parameter, a connection without login or password, or
        if another credential has the label.
    """

    template_fields = (
        *TesterArmyResourceOperator.common_template_fields,
        "credential_label",
        "credentials_conn_id",
        "kind",
        "auth_method",
    )

    def __init__(
        self,
        *,
        credential_label: Text,
        credentials_conn_id: Text | None = None,
        kind: Text = "login",
        auth_method: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.credential_label = credential_label
        self.credentials_conn_id = credentials_conn_id
        self.kind = kind
        self.auth_method = auth_method
        self._required(credential_label=credential_label)
        for name, value, known in (("kind", kind, _KINDS), ("auth_method", auth_method, _METHODS)):
            if not is_nothing(value) and not is_template(value) and value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}.")
        if not is_template(kind) and (kind == "login") != (credentials_conn_id is not None):
            raise ValueError("A login needs credentials_conn_id, and an inbox has none.")

    def execute(self, context: Any) -> str:
        """Find or create the credential, and return its id.

        :raises TestRunError: see the class.
        """
        with self._opened(context, f"credential {str(self.credential_label)[:50]!r}") as one_try:
            from airflow_provider_testerarmy.client.testerarmy import credentials

            request, project = self._request(), str(self.project_id)
            find = credentials.list_credentials(project).then(
                lambda found: next((each for each in found if each.label == request.label), None)
            )
            create: Operation[CredentialSummary] = credentials.create_credential(project, request)
            ready = one_try.ensure(find, create, None)
            self._check(ready.value, request)
            if ready.made:
                self.log.info("Created credential %r.", request.label)
            else:
                self.log.info(
                    "Found credential %r. The service keeps its password, which may differ from the connection's.",
                    request.label,
                )
            if request.kind == "inbox":
                context["ti"].xcom_push(key="username", value=ready.value.username or "")
            return ready.value.id

    def _request(self) -> CredentialRequest:
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid
        from airflow_provider_testerarmy.client.http.wire import build_request
        from airflow_provider_testerarmy.client.testerarmy import credentials

        if str(given(self.kind) or "login").strip().lower() == "inbox":
            return build_request(credentials.InboxRequest, label=self.credential_label)
        conn_id = given(self.credentials_conn_id)
        if conn_id is None:
            raise RequestInvalid("credentials_conn_id is empty; a template may have rendered to nothing.")
        # Read at run time: the password is then neither in the serialized DAG nor in the rendered fields.
        connection = BaseHook.get_connection(str(conn_id))
        if not connection.login or not connection.password:
            raise RequestInvalid(f"The connection {conn_id!r} needs a login and a password to sign in with.")
        return build_request(
            credentials.LoginRequest,
            auth_method=self.auth_method,
            label=self.credential_label,
            username=connection.login,
            password=connection.password,
        )

    @staticmethod
    def _check(found: CredentialSummary, request: CredentialRequest) -> None:
        from airflow_provider_testerarmy.exceptions import RequestRefused

        sent = getattr(request, "username", None)
        same_user = sent is None or not found.username or found.username == sent
        if (found.kind and found.kind != request.kind) or not same_user:
            raise RequestRefused(
                f"The project already has another credential {request.label!r}. Use another label, or delete it on "
                "the dashboard."
            )


def named(found: tuple[ProjectEnvironment, ...], name: str) -> list[ProjectEnvironment]:
    """The environments with exactly this name."""
    return [each for each in found if (each.name or "").strip() == name.strip()]


def _plain(url: str) -> str:
    return url.strip().rstrip("/").casefold()
