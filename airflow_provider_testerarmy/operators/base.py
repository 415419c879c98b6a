"""The base of all run operators. It has the whole lifecycle, so a concrete class only builds its request."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.configuration import UNSET, Unset
from airflow_provider_testerarmy.lifecycle.parameters import Budget, Gate, Paths, Seconds, flag, stable
from airflow_provider_testerarmy.lifecycle.task import LifecycleTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle
    from airflow_provider_testerarmy.lifecycle.options import Options
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
    :param partition_key: str or None; the partition that a pass adds to the ``outlets``, such as
        ``"{{ params.commit }}"``. A DAG with a ``PartitionedAssetTimetable`` then runs once for each commit that
        all of its gates have passed. It needs Airflow 3.3.
    :param on_failed: ``fail`` or ``ask``; what follows a failed verdict that Airflow does not retry. With ``ask``,
        the task leaves the worker until a person accepts the verdict, rejects it, or runs what failed again. It
        needs Airflow 3.1.
    :param ask_users: list of str or of dicts with ``id`` and ``name``, or None; the Airflow users who may answer.
        None means everybody who may edit the DAG's human-in-the-loop details.
    :param ask_timeout: float, timedelta, text or None; seconds until the default answer counts. None waits
        without limit.
    :param ask_default: ``reject`` or ``accept``; the default answer.
    :param ask_notifiers: notifier, list of notifiers or None; called when the question is asked.
    :raises ValueError: when the DAG file is parsed, for an invalid parameter that is not a template.
    :raises AirflowNotFoundException: when the task runs, if the connection does not exist. Airflow retries it.
    :raises TestRunError: when the task runs, for every verdict except *passed* and for every other failure. Its
        subclasses say what failed, and whether Airflow retries; see
        :mod:`airflow_provider_testerarmy.exceptions`.
    :raises TestsSkipped: when the task runs, if every run was skipped or there was no run, and the gate allows
        that. Airflow marks the task as skipped.
    """

    common_template_fields = (*LifecycleTask.common_template_fields, "memory_path", "budget", "partition_key")
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
        poll_interval: Seconds | Unset = UNSET,
        timeout: Seconds | Unset | None = UNSET,
        max_outage: Seconds | Unset = UNSET,
        gate: Gate | None = None,
        cancel_on_kill: bool | Unset = UNSET,
        durable: bool = True,
        retry_failed_tests: bool = False,
        memory_path: Paths | Unset | None = UNSET,
        budget: Budget | None = None,
        report_path: Paths | Unset | None = UNSET,
        copy_screenshots: bool = False,
        partition_key: str | None = None,
        on_failed: str = "fail",
        ask_users: Any = None,
        ask_timeout: Seconds | None = None,
        ask_default: str = "reject",
        ask_notifiers: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = flag(wait_for_completion, "wait_for_completion")
        self.retry_failed_tests = flag(retry_failed_tests, "retry_failed_tests")
        self.memory_path: Any = stable(self._or_deployment("memory_path", memory_path))
        self.budget: Any = stable(budget)
        self.partition_key: Any = partition_key
        self._set_ask(on_failed, ask_users, ask_timeout, ask_default, ask_notifiers, durable=durable)
        self._partitioned = partition_key is not None
        if self._partitioned:
            from airflow_provider_testerarmy.lifecycle.asset_events import check_partition_key

            check_partition_key(partition_key, waits=self.wait_for_completion, outlets=self.outlets)
        self._set_common(
            deferrable=deferrable,
            poll_interval=poll_interval,
            timeout=timeout,
            max_outage=max_outage,
            gate=gate,
            cancel_on_kill=self._or_deployment("cancel_on_kill", cancel_on_kill),
            durable=durable,
            report_path=report_path,
            copy_screenshots=copy_screenshots,
        )

    def _set_ask(self, on_failed: str, *given: Any, durable: bool) -> None:
        """Store the parameters ``on_failed`` and ``ask_…``.

        :raises ValueError: with the parameter's name.
        """
        self.on_failed = on_failed
        self.ask_users, self.ask_timeout, self.ask_default, self.ask_notifiers = given
        self._ask: Any = None
        if on_failed != "fail" or any(given[index] is not None for index in (0, 1, 3)):
            from airflow_provider_testerarmy.lifecycle.ask_options import read_ask

            self._ask = read_ask(on_failed, *given, waits=self.wait_for_completion, durable=durable)

    def _options(self) -> Options:
        return replace(super()._options(), ask=self._ask)

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
            key = self._partition(context)
            return self._announced(context, self._decided(context, lambda: self._run(context)), key)

    def execute_complete(self, context: Any, event: Any = None) -> dict[str, Any]:
        """Collect and judge the runs that the trigger waited for; see the base class."""
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

        with failure_noted(self, context, resumed=True):
            complete = super().execute_complete
            summary = self._decided(context, lambda: complete(context, event))
            return self._announced(context, summary, self._partition(context))

    def execute_answered(self, context: Any, event: Any = None) -> dict[str, Any]:
        """Go on after a person has decided what a failed verdict means.

        :param event: the answer as Airflow stores it.
        :raises TestRunError: see the class.
        """
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

        with failure_noted(self, context, resumed=True):
            summary = self._decided(context, lambda: self._answered(context, event))
            return self._announced(context, summary, self._partition(context))

    def _answered(self, context: Any, event: Any) -> dict[str, Any]:
        with self._open(context, self._outline).guarded() as lifecycle:
            lifecycle.adopt(lambda: self._known_submission(context, ()))
            lifecycle.asker.answer(event)
            run_ids = lifecycle.run_ids
            return lifecycle.conclude(lifecycle.waiter.collect(run_ids), run_ids)

    def _decided(self, context: Any, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run a step of the task, and what a person then orders to run again."""
        if self._ask is None:
            return run()
        from airflow_provider_testerarmy.lifecycle.asking import RunsAgain

        while True:
            try:
                return run()
            except RunsAgain:
                # The record says which tests run again, as for a retry.
                run = lambda: self._run(context)  # noqa: E731

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As in Airflow; see the base class."""
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

        with failure_noted(self, context, resumed=True):
            resume = super().resume_execution
            result = self._decided(context, lambda: resume(next_method, next_kwargs, context))
            if airflow_compat.is_trigger_failure(next_method):
                return self._announced(context, result, self._partition(context))
            return result

    def _partition(self, context: Any) -> str:
        """The rendered partition key, or an empty string.

        :raises RequestRefused: for an unusable key. The runs of earlier tries are stopped first.
        """
        if not self._partitioned:
            return ""
        from airflow_provider_testerarmy.exceptions import RequestRefused
        from airflow_provider_testerarmy.lifecycle.asset_events import usable_key

        try:
            return usable_key(self.partition_key)
        except ValueError as error:
            raise RequestRefused(f"{error} {self._stop_earlier(context)}") from None

    def _announced(self, context: Any, summary: dict[str, Any], key: str) -> dict[str, Any]:
        """Add the verdict to the asset events of the task."""
        if self.outlets:
            from airflow_provider_testerarmy.lifecycle.asset_events import announce

            announce(self, context, summary, self._whole_request(), key)
        return summary

    def _unjudged(self, context: Any, lifecycle: Lifecycle) -> dict[str, Any]:
        """End a task that does not wait for its runs."""
        return lifecycle.unjudged()

    def _run(self, context: Any) -> dict[str, Any]:
        if self.deferrable and self.wait_for_completion:
            self._check_hook(context)
        with self._open(context, self.build_request).guarded() as lifecycle:
            lifecycle.submit()
            self._push_started(context, lifecycle)
            if not self.wait_for_completion:
                return self._unjudged(context, lifecycle)
            waited, run_ids = None, lifecycle.run_ids
            if self.deferrable and lifecycle.can_be_active:
                # A trigger that fires at once can resume the task before the scheduler has seen its worker exit.
                # The scheduler then fails the try: https://github.com/apache/airflow/issues/72716. Runs of an
                # earlier try may have ended by now, so check them here before deferring.
                waited = lifecycle.waiter.check_once(run_ids) if lifecycle.starter.reconnected else None
                if waited is None:
                    self._defer(lifecycle)
            return self._conclude(context, lifecycle, waited or lifecycle.waiter.wait(run_ids))
