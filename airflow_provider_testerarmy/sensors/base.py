"""The base of all run sensors: the lifecycle without its beginning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

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
from airflow_provider_testerarmy.lifecycle.task import DEFAULTS, LifecycleTask

# Imported where they are used, see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle
    from airflow_provider_testerarmy.runs.results import RunId
    from airflow_provider_testerarmy.runs.service import RunRequest

#: Seconds that lie at least between two looks in ``mode="reschedule"``. A task that is rescheduled at once can
#: overtake the news that its process has ended, and the scheduler then fails it (seen with Airflow 3.3.2).
RESCHEDULE_AFTER: Final = 5.0


class RunSensor(LifecycleTask, BaseSensorOperator):
    """Waits for runs that something else has started, judges them, and returns a summary.

    :param run_ids: the runs: a list (also of lists, as a mapped task has it), one id, an operator's ``output``
        or its XCom ``run_ids``, or text that renders to one of these.
    :param deferrable: wait in the triggerer; Airflow's configuration decides by default.
    :param poll_interval: seconds (or a timedelta) between two looks at a run that is no longer young; in
        ``mode="reschedule"`` between any two looks, and at least 5 there.
    :param poke_interval: another name for ``poll_interval``, the one that every Airflow sensor has; obeyed in every
        mode. Both together are refused when they differ.
    :param timeout: seconds (or a timedelta) after which the sensor gives up. None waits for ever.
    :param max_outage: seconds (or a timedelta) without one good answer after which waiting ends; in
        ``mode="reschedule"`` only ``timeout`` ends it.
    :param gate: what has to hold, a :class:`~airflow_provider_testerarmy.runs.gate.QualityGate` or a dict.
    :param cancel_on_kill: cancel the runs when the sensor is killed or gives up. Off by default: the sensor
        has not started them.
    :param report_path: where to write all results, one path or several: local or an object-store URL that ends in
        .json, .xml (JUnit), .html or .md.
    :param copy_screenshots: copy the runs' screenshots beside the report, because the service's addresses expire.

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
        timeout: Seconds | None = timedelta(hours=3),
        max_outage: Seconds = timedelta(minutes=10),
        gate: Gate | None = None,
        cancel_on_kill: bool = False,
        report_path: Paths | None = None,
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
        """The sensor does not know what the runs are of."""
        return None

    def check_run_id(self, run_id: RunId) -> RunId:
        """The id as the vendor has it.

        :raises RequestInvalid: when it is none.
        """
        raise NotImplementedError

    def execute(self, context: Any) -> Any:
        """Wait in the triggerer, in this worker, or look once and reschedule."""
        if self.reschedule and not self.deferrable:
            return self._reschedule(context)
        if self.deferrable:
            self._check_hook(context)
        return self._fail_as_sensor(lambda: self._wait(context))

    def _wait(self, context: Any) -> Any:
        with self._adopt_runs(context).guarded() as lifecycle:
            self._push_ids_and_url(context, lifecycle)
            run_ids = lifecycle.record.run_ids
            waited = None
            # A trigger that fires at once can overtake the news of the deferral, and the scheduler then
            # fails the task; so what is over by now is judged here.
            if self.deferrable and (waited := lifecycle.waiter.check_once(run_ids)) is None:
                self._defer(lifecycle)
            return lifecycle.conclude(waited or lifecycle.waiter.wait(run_ids), run_ids)

    def execute_complete(self, context: Any, event: Any = None) -> Any:
        """As the operators'; a time-out is a sensor's, so it is not retried."""
        return self._fail_as_sensor(lambda: super(RunSensor, self).execute_complete(context, event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As the operators'; a time-out is a sensor's, so it is not retried."""
        return self._fail_as_sensor(
            lambda: super(RunSensor, self).resume_execution(next_method, next_kwargs, context)
        )

    def _fail_as_sensor(self, work: Callable[[], Any]) -> Any:
        """Do something; what fails, fails as sensors do."""
        from airflow_provider_testerarmy.exceptions import TestRunError, WaitTimedOut

        try:
            return work()
        except WaitTimedOut as error:
            raise self._soften(AirflowSensorTimeout(str(error))) from error
        except TestRunError as error:
            raise self._soften(error) from error

    def poke(self, context: Any) -> PokeReturnValue:
        """Look once; with every run finished, judge them."""
        with self._adopt_runs(context).guarded() as lifecycle:
            self._push_note(context, lifecycle)
            run_ids = lifecycle.record.run_ids
            waited = lifecycle.waiter.check_once(run_ids)
            if waited is None:
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=lifecycle.conclude(waited, run_ids))

    def _reschedule(self, context: Any) -> Any:
        # Airflow's own loop does arithmetic with these, so they must be plain numbers by now.
        wanted = seconds(self._or_default("poll_interval"), "poll_interval")
        self.poke_interval = max(RESCHEDULE_AFTER, wanted)
        limit = self._timeout()
        self.timeout = float("inf") if limit is None else limit
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException):
            # With soft_fail Airflow makes a skip of its own time-out.
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
        # One id in two spellings is one run.
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
    """Ids from a list, one id, a task's summary, or what a template makes of them.

    :raises RequestInvalid: when there is none.
    """
    return ids(value, "run_ids")


def _choose_interval(
    poll_interval: Seconds | None, poke_interval: Seconds | None, default_args: Mapping[str, Any]
) -> Seconds:
    """One interval of the two names: Airflow's for every sensor, and the one that the operators have.

    :param default_args: the DAG's; a ``poke_interval`` from there is for sensors that give none themselves.

    :raises ValueError: when both are given and differ.
    """
    if poke_interval is None:
        return DEFAULTS["poll_interval"] if poll_interval is None else poll_interval
    if poll_interval is not None and default_args.get("poke_interval") == poke_interval:
        return poll_interval
    if poll_interval is not None and not _same_duration(poll_interval, poke_interval):
        raise ValueError(
            f"poll_interval ({poll_interval!r}) and poke_interval ({poke_interval!r}) differ: they are two "
            "names for the interval between status checks. Give one of them."
        )
    return poke_interval


def _same_duration(one: Seconds, other: Seconds) -> bool:
    if is_template(one) or is_template(other):
        return one == other
    return seconds(one, "poll_interval") == seconds(other, "poke_interval")
