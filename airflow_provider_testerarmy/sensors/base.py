"""The base of all run sensors. It has the lifecycle of an operator, without the submission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_testerarmy.configuration import UNSET, Unset
from airflow_provider_testerarmy.lifecycle.parameters import (
    Gate,
    Ids,
    Paths,
    Seconds,
    ids,
    is_template,
    seconds,
    stable,
)
from airflow_provider_testerarmy.lifecycle.task import LifecycleTask

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle
    from airflow_provider_testerarmy.runs.results import RunId
    from airflow_provider_testerarmy.runs.service import RunRequest

#: The shortest interval in ``mode="reschedule"``, in seconds. A sensor that is rescheduled at once can start again
#: before the scheduler has seen its process exit. The scheduler then fails the task (measured on Airflow 3.3.2, see
#: https://github.com/apache/airflow/issues/71172).
RESCHEDULE_AFTER: Final = 5.0


class RunSensor(LifecycleTask, BaseSensorOperator):
    """Waits for runs that something else has started, judges them, and returns a summary.

    The summary has the same keys as that of an operator.

    :param run_ids: list (also nested), one id, an operator's ``output`` or XCom ``run_ids``, or text of any of
        these; the ids of the runs.
    :param deferrable: bool. True waits in the triggerer and needs no worker slot, whatever ``mode`` is.
    :param poll_interval: float, timedelta, text or None; seconds between two status checks of a run. The first
        checks follow faster. In ``mode="reschedule"`` every interval has this length, and 5 is the minimum.
        None means ``[testerarmy] poll_interval`` of Airflow's configuration.
    :param poke_interval: float, timedelta, text or None; Airflow's usual name for ``poll_interval``, valid in
        every mode. If you pass both, they must be equal.
    :param timeout: float, timedelta, text or None; seconds after which the sensor fails with
        ``AirflowSensorTimeout``. None means no limit.
    :param max_outage: float, timedelta or text; seconds without a successful request. Then the wait ends with
        ``ServiceUnavailable``. In ``mode="reschedule"`` only ``timeout`` ends it.
    :param gate: :class:`~airflow_provider_testerarmy.runs.gate.QualityGate`, a dict of its fields, JSON text or
        None; the rule for the verdict. None means that every run must pass.
    :param cancel_on_kill: bool. True cancels the runs when the sensor times out, or is killed or marked. The
        default is False, because the sensor has not started them. The Docket API cannot cancel.
    :param report_path: str, PathLike, object-store URL, a list of these, or None; where to write the reports.
        The suffix selects the format: ``.json``, ``.xml`` (JUnit), ``.html`` or ``.md``.
    :param copy_screenshots: bool. True copies the runs' screenshots beside the reports, because the service's
        addresses expire. It needs ``report_path``.
    :raises ValueError: when the DAG file is parsed, for an invalid parameter that is not a template, and for a
        ``poll_interval`` and ``poke_interval`` that differ.
    :raises AirflowSensorTimeout: when ``timeout`` has passed. Airflow does not retry it.
    :raises AirflowNotFoundException: when the task runs, if the connection does not exist. Airflow retries it.
    :raises TestRunError: for every verdict except *passed* and for every other failure. Its subclasses say what
        failed, and whether Airflow retries; see :mod:`airflow_provider_testerarmy.exceptions`.
    :raises AirflowSkipException: with ``soft_fail`` or ``never_fail``, in place of the errors of a running
        task.

    ``mode``, ``soft_fail`` and ``never_fail`` are those of every Airflow sensor.
    """

    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        run_ids: Ids,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Seconds | None = None,
        poke_interval: Seconds | None = None,
        timeout: Seconds | Unset | None = UNSET,
        max_outage: Seconds | Unset = UNSET,
        gate: Gate | None = None,
        cancel_on_kill: bool = False,
        report_path: Paths | Unset | None = UNSET,
        copy_screenshots: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_ids: Any = stable(run_ids)
        self._set_common(
            deferrable=deferrable,
            poll_interval=_choose_interval(poll_interval, poke_interval, kwargs.get("default_args") or {}),
            timeout=timeout,
            max_outage=max_outage,
            gate=gate,
            cancel_on_kill=cancel_on_kill,
            durable=False,
            report_path=report_path,
            copy_screenshots=copy_screenshots,
        )

    def target(self) -> RunRequest | None:
        """None, because a sensor knows only run ids."""
        return None

    def check_run_id(self, run_id: RunId) -> RunId:
        """The id in the vendor's form.

        :raises RequestInvalid: for anything that is not an id.
        """
        raise NotImplementedError

    def execute(self, context: Any) -> Any:
        """Wait in the triggerer or in this worker, or check once and reschedule."""
        if self.reschedule and not self.deferrable:
            return self._reschedule(context)
        if self.deferrable:
            from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

            with failure_noted(self, context):
                self._check_hook(context)
        return self._fail_as_sensor(context, lambda: self._wait(context))

    def _wait(self, context: Any) -> Any:
        with self._adopt_runs(context).guarded() as lifecycle:
            self._push_started(context, lifecycle)
            run_ids = lifecycle.record.run_ids
            waited = None
            # A trigger that fires at once can resume the task before the scheduler has seen its worker exit. The
            # scheduler then fails the task: https://github.com/apache/airflow/issues/72716. So check once here, and
            # do not defer if all runs have ended.
            if self.deferrable and (waited := lifecycle.waiter.check_once(run_ids)) is None:
                self._defer(lifecycle)
            return lifecycle.conclude(waited or lifecycle.waiter.wait(run_ids), run_ids)

    def execute_complete(self, context: Any, event: Any = None) -> Any:
        """As in the operators, except that a time-out is a sensor's time-out, which Airflow does not retry."""
        return self._fail_as_sensor(
            context, lambda: super(RunSensor, self).execute_complete(context, event), resumed=True
        )

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As in the operators, except that a time-out is a sensor's time-out, which Airflow does not retry."""
        return self._fail_as_sensor(
            context,
            lambda: super(RunSensor, self).resume_execution(next_method, next_kwargs, context),
            resumed=True,
        )

    def _fail_as_sensor(self, context: Any, work: Callable[[], Any], *, resumed: bool = False) -> Any:
        """Run ``work``, and turn its errors into those that Airflow expects of a sensor."""
        from airflow_provider_testerarmy.exceptions import TestRunError, WaitTimedOut
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted

        try:
            with failure_noted(self, context, resumed=resumed):
                return work()
        except WaitTimedOut as error:
            raise self._soften(AirflowSensorTimeout(str(error))) from error
        except TestRunError as error:
            raise self._soften(error) from error

    def poke(self, context: Any) -> PokeReturnValue:
        """Check the runs once. If all have ended, judge them."""
        from airflow_provider_testerarmy.lifecycle.task_note import failure_noted, push_note

        with failure_noted(self, context), self._adopt_runs(context).guarded() as lifecycle:
            push_note(lifecycle, context["ti"])
            run_ids = lifecycle.record.run_ids
            waited = lifecycle.waiter.check_once(run_ids)
            if waited is None:
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=lifecycle.conclude(waited, run_ids))

    def _reschedule(self, context: Any) -> Any:
        # Airflow's own loop calculates with these attributes, so they must be numbers, not rendered text.
        wanted = seconds(self._or_default("poll_interval"), "poll_interval")
        self.poke_interval = max(RESCHEDULE_AFTER, wanted)
        limit = self._timeout()
        self.timeout = float("inf") if limit is None else limit
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException):
            # With ``soft_fail``, Airflow turns its own time-out into a skip. So a skip that no verdict caused is a
            # time-out as well, and the runs have to be stopped.
            if self._lifecycle is not None and self._lifecycle.judged:
                raise
            self._give_up(context)
            raise

    def _give_up(self, context: Any) -> None:
        from airflow_provider_testerarmy.exceptions import WaitTimedOut
        from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd

        try:
            with self._adopt_runs(context).guarded() as lifecycle:
                lifecycle.conclude(
                    Waited(WaitEnd.DEADLINE, {}, "the sensor's timeout has passed"), lifecycle.run_ids
                )
        except WaitTimedOut as error:
            self.log.info("%s", error)

    def _run_ids(self) -> tuple[RunId, ...]:
        # Two spellings of one id (capitals, blanks) are one run.
        return tuple(dict.fromkeys(self.check_run_id(run_id) for run_id in parse_ids(self.run_ids)))

    def _soften(self, error: Exception) -> Exception:
        if self.soft_fail or self.never_fail:
            return AirflowSkipException(f"Skipped instead of failed (soft_fail or never_fail): {error}")
        return error

    def _adopt_runs(self, context: Any) -> Lifecycle:
        from airflow_provider_testerarmy.runs.service import Submission

        ids: list[RunId] = []
        lifecycle = self._open(context, lambda: ids.extend(self._run_ids()))
        lifecycle.adopt(lambda: Submission(tuple(ids)))
        lifecycle.waiter.start_timeout()
        return lifecycle


def parse_ids(value: Any) -> list[RunId]:
    """Ids from a list, one id, a task's summary, or rendered text of these.

    :raises RequestInvalid: if there is no id.
    """
    return ids(value, "run_ids")


def _choose_interval(
    poll_interval: Seconds | None, poke_interval: Seconds | None, default_args: Mapping[str, Any]
) -> Seconds | Unset:
    """The interval from either name: ``poke_interval`` of Airflow's sensors, or ``poll_interval`` of the operators.

    :param default_args: the DAG's ``default_args``. A ``poke_interval`` from there applies only to sensors
        without an interval of their own.
    :raises ValueError: if both are given and differ.
    """
    if poke_interval is None:
        return UNSET if poll_interval is None else poll_interval
    if poll_interval is not None and default_args.get("poke_interval") == poke_interval:
        return poll_interval
    if poll_interval is not None and not _same_duration(poll_interval, poke_interval):
        raise ValueError(
            f"poll_interval ({poll_interval!r}) and poke_interval ({poke_interval!r}) differ. They are two names "
            "for the interval between status checks: set only one."
        )
    return poke_interval


def _same_duration(one: Seconds, other: Seconds) -> bool:
    if is_template(one) or is_template(other):
        return one == other
    return seconds(one, "poll_interval") == seconds(other, "poke_interval")
