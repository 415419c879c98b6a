"""The parameters that a DAG does not give: the deployment's default, and the check that it can be used.

A wrong value in the configuration does not fail a DAG file but each task that needs it, when the task starts. An
import error would stop every DAG with such a task, and a deferred task could then neither judge its runs nor cancel
them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from airflow_provider_testerarmy import configuration
from airflow_provider_testerarmy.configuration import UNSET, ConfigurationInvalid
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.runs.rendered import is_nothing


class WithDefaults:
    """A mixin for operators and sensors."""

    timeout: Any
    report_path: Any
    #: The parameters that the DAG does not give.
    _unset: frozenset[str] = frozenset()

    def _or_deployment(self, name: str, value: Any) -> Any:
        """The parameter, or the deployment's default if the DAG does not give it."""
        if value is not UNSET:
            return value
        self._unset |= {name}
        return configuration.usable(name)

    def _check_deployment(self) -> None:
        """Check the deployment's defaults that this task uses.

        :raises ConfigurationInvalid: for one that cannot be used.
        """
        for name in sorted(self._unset):
            configuration.setting(name)

    def _or_default(self, name: str) -> Any:
        """The parameter, or the deployment's default if it rendered to nothing.

        :raises ConfigurationInvalid: if that default cannot be used.
        """
        value = getattr(self, name)
        return configuration.setting(name) if is_nothing(value) else value

    def _timeout(self) -> float | None:
        """Seconds, None for no limit."""
        timeout = None if self.timeout is None else self._or_default("timeout")
        # A rescheduling sensor replaces None by infinity, because Airflow's own loop compares numbers.
        if timeout is None or timeout == math.inf:
            return None
        return parameters.seconds(timeout, "timeout")

    def _report_path(self) -> str | Sequence[str] | None:
        """The rendered paths of the reports.

        :raises RequestInvalid: for an invalid one.
        """
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        try:
            return parameters.report_path(self.report_path)
        except RequestInvalid as error:
            if "report_path" in self._unset:
                raise ConfigurationInvalid(f"{configuration.described('report_path')}: {error}") from None
            raise
