"""The base of all run operators. It has the whole lifecycle, so a concrete class only builds its request."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_testerarmy.lifecycle.parameters import Budget, Gate, Paths, Seconds, flag, stable
from airflow_provider_testerarmy.lifecycle.task import LifecycleTask

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.service import RunRequest


class RunOperator(LifecycleTask, BaseOperator):
    """Starts test runs, waits for them, judges them, and returns a summary.

    The summary is a dict with the keys ``verdict``, ``reasons``, ``counts``, ``run_ids``, ``batch_id``, ``url``,
    ``issues`` and more. A task that fails pushes it to XCom as well.

    :param wait_for_completion: bool. False returns after the runs are started, without a verdict.
    :param deferrable: bool. True waits in the triggerer and needs no worker slot.
    :param poll_interval: float, timedelta or text; seconds between two status checks of a run. The first checks
        follow faster.
    :param timeout: float, timedelta, text or None; seconds from the submission, across all retries. Then the
        task cancels the active runs and fails with ``WaitTimedOut``. None means no limit.
    :param max_outage: float, timedelta or text; seconds without a successful request. Then the wait ends with
        ``ServiceUnavailable``.
    :param gate: :class:`~airflow_provider_testerarmy.runs.gate.QualityGate`, a dict of its fields, JSON text or
        None; the rule for the verdict. None means that every run must pass.
    :param cancel_on_kill: bool. True cancels the runs when the task times out, or is killed, cleared or marked.
        The Docket API cannot cancel.
    :param durable: bool. True keeps a record of the runs between tries, so that a retry after a lost worker
        reconnects to them. False starts new runs on every try.
    :param retry_failed_tests: bool. True applies Airflow's retries to a failed verdict too. The next try of a
        group runs only the tests that keep the gate from passing; a test that passes then counts as ``flaky``.
        It runs the whole group if the service cannot run single tests, or if the group was started with more
        parameters than ``platform``, ``device_model`` and ``project_environment_id``.
    :param memory_path: str, PathLike, object-store URL or None; the folder where a gate with ``fail_on="new"`` or
        ``quarantine`` remembers earlier nights. None means Airflow's asset state store, which needs Airflow 3.3
        and a gate that is not a template.
    :param budget: :class:`~airflow_provider_testerarmy.runs.budget.rule.BudgetRule`, a dict of its fields, JSON
        text or None; how many runs the tasks of a pool may start in a day, week or month. It is kept in
        ``memory_path``, or in Airflow 3.3 and later without one.
    :param report_path: str, PathLike, object-store URL, a list of these, or None; where to write the reports.
        The suffix selects the format: ``.json``, ``.xml`` (JUnit), ``.html`` or ``.md``.
    :param copy_screenshots: bool. True copies the runs' screenshots beside the reports, because the service's
        addresses expire. It needs ``report_path``.
    :raises ValueError: when the DAG file is parsed, for an invalid parameter that is not a template.
    :raises TestRunError: when the task runs, for every verdict except *passed* and for every other failure. Its
        subclasses say what failed, and whether Airflow retries; see
        :mod:`airflow_provider_testerarmy.exceptions`.
    :raises TestsSkipped: when the task runs, if every run was skipped or there was no run, and the gate allows
        that. Airflow marks the task as skipped.
    """

    common_template_fields = (*LifecycleTask.common_template_fields, "memory_path", "budget")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **LifecycleTask.template_fields_renderers,
        "budget": "json",
    }
    ui_color = "#eef2e6"
    _remembers = True

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        # Read when the class is defined, as in Airflow's own operators.
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Seconds = 10.0,
        timeout: Seconds | None = timedelta(hours=3),
        max_outage: Seconds = timedelta(minutes=10),
        gate: Gate | None = None,
        cancel_on_kill: bool = True,
        durable: bool = True,
        retry_failed_tests: bool = False,
        memory_path: Paths | None = None,
        budget: Budget | None = None,
        report_path: Paths | None = None,
        copy_screenshots: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = flag(wait_for_completion, "wait_for_completion")
        self.retry_failed_tests = flag(retry_failed_tests, "retry_failed_tests")
        self.memory_path: Any = stable(memory_path)
        self.budget: Any = stable(budget)
        self._set_common(
            deferrable=deferrable,
            poll_interval=poll_interval,
            timeout=timeout,
            max_outage=max_outage,
            gate=gate,
            cancel_on_kill=cancel_on_kill,
            durable=durable,
            report_path=report_path,
            copy_screenshots=copy_screenshots,
        )

    @abstractmethod
    def build_request(self) -> RunRequest:
        """The request, built from the rendered fields.

        :raises RequestInvalid: with the parameter's name.
        """

    def _whole_request(self) -> RunRequest:
        return self.build_request()

    def execute(self, context: Any) -> dict[str, Any]:
        """Start the runs or reconnect to them, then wait here or in the triggerer.

        :raises TestRunError, TestsSkipped: see the class.
        """
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

        with failure_noted(self, context):
            return self._run(context)

    def execute_complete(self, context: Any, event: Any = None) -> dict[str, Any]:
        """Collect and judge the runs that the trigger waited for; see the base class."""
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

        with failure_noted(self, context, resumed=True):
            return super().execute_complete(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As in Airflow; see the base class."""
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

        with failure_noted(self, context, resumed=True):
            return super().resume_execution(next_method, next_kwargs, context)

    def _run(self, context: Any) -> dict[str, Any]:
        if self.deferrable and self.wait_for_completion:
            self._check_hook(context)
        with self._open(context, self.build_request).guarded() as lifecycle:
            lifecycle.submit()
            self._push_started(context, lifecycle)
            if not self.wait_for_completion:
                return lifecycle.unjudged()
            waited, run_ids = None, lifecycle.run_ids
            if self.deferrable and lifecycle.can_be_active:
                # A trigger that fires at once can resume the task before the scheduler has seen its worker exit.
                # The scheduler then fails the try: https://github.com/apache/airflow/issues/72716. Runs of an
                # earlier try may have ended by now, so check them here before deferring.
                waited = lifecycle.waiter.check_once(run_ids) if lifecycle.reconnected else None
                if waited is None:
                    self._defer(lifecycle)
            return self._conclude(context, lifecycle, waited or lifecycle.waiter.wait(run_ids))
