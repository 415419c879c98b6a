"""The bases of the operators that call TesterArmy's API without waiting for runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_testerarmy.configuration import UNSET, Unset
from airflow_provider_testerarmy.lifecycle.defaults import WithDefaults
from airflow_provider_testerarmy.lifecycle.parameters import Seconds, Text, is_template, seconds
from airflow_provider_testerarmy.operators.testerarmy_base import TesterArmyRunLink
from airflow_provider_testerarmy.runs.rendered import given, is_nothing

if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
    from airflow_provider_testerarmy.lifecycle.resources import ResourceTry


class TesterArmyCallOperator(WithDefaults, BaseOperator):
    """The base of the operators that do not wait for runs.

    :param testerarmy_conn_id: str; the id of the Airflow connection, of type ``testerarmy``.
    :param max_outage: float, timedelta or text; seconds for which a failed request is retried. Then the task fails
        with ``ServiceUnavailable``, which Airflow retries.
    :raises ValueError: when the DAG file is parsed, for an invalid parameter that is not a template.
    :raises AirflowNotFoundException: when the task runs, if the connection does not exist. Airflow retries it.
    :raises TestRunError: when the task runs, for every failure.
    """

    operator_extra_links = (TesterArmyRunLink(),)
    ui_color = "#eef2e6"
    _try: ResourceTry | None = None
    _killed = False

    def __init__(
        self,
        *,
        testerarmy_conn_id: str = "testerarmy_default",
        max_outage: Seconds | Unset = UNSET,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.testerarmy_conn_id = testerarmy_conn_id
        self.max_outage: Any = self._or_deployment("max_outage", max_outage)
        if not is_nothing(self.max_outage) and not is_template(self.max_outage):
            seconds(self.max_outage, "max_outage")

    @staticmethod
    def _required(**values: Any) -> None:
        """Refuse empty parameters when the DAG file is parsed.

        :raises ValueError: with the parameter's name.
        """
        for name, value in values.items():
            if value is None or (isinstance(value, str) and not value.strip()):
                raise ValueError(f"{name} is empty.")

    @property
    def hook(self) -> TesterArmyHook:
        """The hook for the operator's connection."""
        from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook

        return TesterArmyHook(given(self.testerarmy_conn_id) or "testerarmy_default")

    def on_kill(self) -> None:
        """Stop the task. It deletes what it has created so far."""
        self._killed = True
        if self._try is not None:
            self._try.kill()

    @contextmanager
    def _opened(self, context: Any, label: str) -> Iterator[ResourceTry]:
        """A try of the task.

        :raises TestRunError: for every failure.
        """
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid
        from airflow_provider_testerarmy.exceptions import RequestRefused
        from airflow_provider_testerarmy.hooks.testerarmy import dashboard_prefix
        from airflow_provider_testerarmy.lifecycle.resources import ResourceTry

        try:
            self._check_deployment()
            hook, outage = self.hook, seconds(self._or_default("max_outage"), "max_outage")
            self._try = ResourceTry(hook, label, outage, self.log)
            if self._killed:
                self._try.kill()
            with self._try.guarded() as one_try:
                # Airflow logs an error for a link without an XCom, so it is pushed even if it is empty.
                context["ti"].xcom_push(key=TesterArmyRunLink.xcom_key, value=dashboard_prefix(hook.extra))
                yield one_try
        except RequestInvalid as error:
            raise RequestRefused(f"{error} Nothing was sent.") from error


class TesterArmyResourceOperator(TesterArmyCallOperator):
    """The base of the operators that create or delete what runs need.

    :param project_id: str; the id of the project.
    """

    common_template_fields = ("project_id", "testerarmy_conn_id", "max_outage")

    def __init__(self, *, project_id: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self._required(project_id=project_id)
