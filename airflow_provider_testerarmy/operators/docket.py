"""The Docket operator. It runs some tests, or a whole category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_testerarmy.lifecycle.dashboard_link import dashboard_address
from airflow_provider_testerarmy.lifecycle.parameters import Deferred, Ids, Text, is_template, mapping, stable
from airflow_provider_testerarmy.lifecycle.task import with_common_fields
from airflow_provider_testerarmy.operators.base import RunOperator
from airflow_provider_testerarmy.runs.rendered import given, listed

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.hooks.docket import DocketHook
    from airflow_provider_testerarmy.runs.service import RunRequest


class DocketRunLink(BaseOperatorLink):
    """The button on the task's page that opens the group run on the Docket dashboard, also while it runs."""

    name = "Docket dashboard"
    xcom_key = "docket_url"
    is_own = True

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address of the runs, empty if it is unknown."""
        return dashboard_address(operator, ti_key, self.xcom_key)


class DocketRunTestsOperator(RunOperator):
    """Runs tests, or every test of a category, in one group run (``POST /test_group_run/trigger_run``).

    The Docket API can neither cancel runs nor list them. A kill, a clear or ``timeout`` stops only the wait, and
    the log names the runs that are still active.

    :param test_blueprint_ids: list of int, one int, text of either, or None; the ids of the tests. Give either
        this or ``test_blueprint_category_id``.
    :param test_blueprint_category_id: int, its text or None; the id of the category (suite) to run.
    :param github_context: dict, JSON text or None; the commit to report to. The keys are ``repository``
        (``owner/name``), ``commit_sha``, and optionally ``run_id`` and ``ref``. With it, the operator starts a
        CI run (``POST /test_group_run/trigger_ci_run``).
    :param docket_conn_id: str; the id of the Airflow connection, of type ``docket``.
    :raises RequestInvalid: when the DAG file is parsed, for invalid values that are not templates, and for both
        or neither of the two ids. It is a ``ValueError``.
    :raises RequestRefused: when the task runs, for the same mistakes after rendering. No run is started.

    The common parameters and errors are those of :class:`~airflow_provider_testerarmy.operators.base.RunOperator`.
    """

    template_fields = with_common_fields(
        "docket_conn_id",
        "test_blueprint_ids",
        "test_blueprint_category_id",
        "github_context",
        "memory_path",
        "budget",
        "partition_key",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **RunOperator.template_fields_renderers,
        "github_context": "json",
    }
    operator_extra_links = (DocketRunLink(),)

    def __init__(
        self,
        *,
        test_blueprint_ids: Ids | None = None,
        test_blueprint_category_id: Text | None = None,
        github_context: Mapping[str, Any] | Deferred | str | None = None,
        docket_conn_id: str = "docket_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.test_blueprint_ids: Any = stable(test_blueprint_ids)
        self.test_blueprint_category_id: Any = test_blueprint_category_id
        self.github_context: Any = github_context
        self.docket_conn_id = docket_conn_id
        known = not any(map(is_template, (test_blueprint_ids, test_blueprint_category_id, github_context)))
        # With two templates, one may render to nothing. Which one is known only at run time.
        if known or test_blueprint_ids is None or test_blueprint_category_id is None:
            self._check_choice()
        if known:
            self.build_request()

    @property
    def hook(self) -> DocketHook:
        """The hook for the operator's connection."""
        from airflow_provider_testerarmy.hooks.docket import DocketHook

        return DocketHook(given(self.docket_conn_id) or "docket_default")

    def _check_choice(self) -> None:
        from airflow_provider_testerarmy.client.docket.operations import check_choice

        check_choice(*self._choice())

    def _choice(self) -> tuple[Any, Any]:
        """The two parameters that select tests, None for one that rendered to nothing."""
        return given(self.test_blueprint_ids), given(self.test_blueprint_category_id)

    def _ids(self) -> list[Any]:
        """The ids as one flat list, also from a mapped task or a template."""
        return listed(given(self.test_blueprint_ids))

    def target(self) -> RunRequest:
        """The tests or the category, as a label. One request starts all of them."""
        from airflow_provider_testerarmy.hooks.docket_targets import category_target, tests_target

        self._check_choice()
        if given(self.test_blueprint_ids) is None:
            return category_target(self.test_blueprint_category_id)
        return tests_target(self._ids())

    def build_request(self) -> RunRequest:
        """The request that starts the group run.

        :raises RequestInvalid: with the parameter's name.
        """
        from airflow_provider_testerarmy.client.docket import operations as docket

        target = self.target()
        ids, category_id = self._choice()
        tests = {
            "test_blueprint_ids": None if ids is None else self._ids(),
            "test_blueprint_category_id": category_id,
        }
        # Docket has no idempotency key and no list of runs, so all tests go into one request.
        if given(self.github_context) is None:
            operation = docket.trigger_run(**tests)
        else:
            operation = docket.trigger_ci_run(mapping(self.github_context, "github_context"), **tests)
        body = operation.body or {}
        commit = str(body.get("github_context", {}).get("commit_sha", ""))
        return replace(target, body=body, commit=commit)
