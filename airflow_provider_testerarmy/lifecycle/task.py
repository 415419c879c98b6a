"""The Airflow side of operators and sensors: parameters, deferring, resuming, and kills."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_testerarmy import airflow_compat, configuration
from airflow_provider_testerarmy.configuration import UNSET, Unset
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.lifecycle.defaults import WithDefaults
from airflow_provider_testerarmy.lifecycle.lineage import WithLineage
from airflow_provider_testerarmy.lifecycle.mapped_serialization import stable_fields, stable_partial
from airflow_provider_testerarmy.lifecycle.parameters import Gate, Paths, Seconds
from airflow_provider_testerarmy.runs.rendered import is_nothing

# The DAG processor imports this module again and again, and never executes a task. So modules that only a task
# needs are imported inside its methods.
if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

    from airflow_provider_testerarmy.hooks.base import ServiceHook
    from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle
    from airflow_provider_testerarmy.lifecycle.memory import TaskMemory
    from airflow_provider_testerarmy.lifecycle.options import Options
    from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited
    from airflow_provider_testerarmy.runs.results import RunId
    from airflow_provider_testerarmy.runs.service import RunRequest, Submission
    from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
else:
    BaseOperator = object

#: How long after the trigger's own deadline Airflow ends the deferral, if the trigger has not.
#: ``defer(timeout=...)`` itself is too coarse: Airflow checks it every 15 s, and it cancels no runs (measured).
BACKSTOP = timedelta(seconds=60)


class LifecycleTask(WithLineage, WithDefaults, BaseOperator):
    """A mixin for a task with a lifecycle. It must come before Airflow's class among the bases."""

    #: The template fields that every concrete class has besides its own.
    common_template_fields: ClassVar[tuple[str, ...]] = (
        "gate",
        "poll_interval",
        "timeout",
        "max_outage",
        "report_path",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"gate": "json"}

    retry_failed_tests: bool = False
    stop_after_failures: Any = None
    memory_path: Any = None
    budget: Any = None
    #: Whether the task knows its target, without which there is no memory of earlier nights.
    _remembers: ClassVar[bool] = False
    _lifecycle: Lifecycle | None = None
    _killed: bool = False
    #: The record that the trigger has carried through the deferral; None without one.
    _carried: Any = None

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As in Airflow, with parameters that serialize the same in every process."""
        return stable_partial(super().partial(**cls.mapped_fields(kwargs)))

    @classmethod
    def mapped_fields(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The parameters of a mapped task as Airflow serializes them, with the memory that they need."""
        fields = stable_fields(kwargs, cls.template_fields)
        needed = parameters.gate_remembers(fields.get("gate")) or not is_nothing(fields.get("budget"))
        path = fields.get("memory_path", UNSET)
        path = configuration.usable("memory_path") if path is UNSET else path
        if cls._remembers and is_nothing(path) and needed:
            fields["inlets"] = airflow_compat.with_memory_inlet(fields.get("inlets"))
        return fields

    def _set_common(
        self,
        *,
        deferrable: bool,
        poll_interval: Seconds | Unset,
        timeout: Seconds | Unset | None,
        max_outage: Seconds | Unset,
        gate: Gate | None,
        cancel_on_kill: bool,
        durable: bool,
        report_path: Paths | Unset | None,
        copy_screenshots: bool,
    ) -> None:
        """Store the common parameters. A mistake that needs no rendering fails when the DAG file is parsed.

        :raises ValueError: with the parameter's name.
        """
        self.deferrable = parameters.flag(deferrable, "deferrable")
        self.poll_interval: Any = self._or_deployment("poll_interval", poll_interval)
        self.timeout: Any = self._or_deployment("timeout", timeout)
        self.max_outage: Any = self._or_deployment("max_outage", max_outage)
        # Airflow renders templates inside dicts, not inside models. A set would create needless DAG versions.
        self.gate: Any = parameters.stable(gate)
        self.cancel_on_kill = parameters.flag(cancel_on_kill, "cancel_on_kill")
        self.durable = parameters.flag(durable, "durable")
        self.report_path: Any = parameters.stable(self._or_deployment("report_path", report_path))
        self.copy_screenshots = parameters.flag(copy_screenshots, "copy_screenshots")
        if self.copy_screenshots and self.report_path is None:
            raise ValueError(
                "copy_screenshots needs a report_path, because the copies are stored beside the report. Set one."
            )
        checks: dict[str, Callable[[Any], object]] = {
            "gate": parameters.gate,
            "poll_interval": lambda value: parameters.seconds(value, "poll_interval"),
            "timeout": lambda value: parameters.seconds(value, "timeout"),
            "max_outage": lambda value: parameters.seconds(value, "max_outage"),
            "report_path": parameters.report_path,
            "memory_path": parameters.memory_path,
            "budget": parameters.budget,
        }
        for name, check in checks.items():
            value = getattr(self, name)
            if name not in self._unset and not is_nothing(value) and not parameters.is_template(value):
                check(value)
        if parameters.gate_remembers(self.gate):
            self._find_memory(parameters.NO_PLACE)
        if not is_nothing(self.budget):
            self._find_memory(parameters.NO_LEDGER)
        if not self._remembers and parameters.gate_confirms(self.gate):
            raise ValueError(parameters.NO_RERUNS)

    def _find_memory(self, no_place: str) -> None:
        """Give a gate that remembers, or a budget, a place in Airflow.

        :raises ValueError: if there is none.
        """
        if not self._remembers:
            raise ValueError(parameters.NO_TARGET)
        if not is_nothing(self.memory_path):
            return
        if not airflow_compat.ASSET_STATE_STORE.available:
            raise ValueError(no_place)
        self.inlets = airflow_compat.with_memory_inlet(self.inlets)

    @property
    @abstractmethod
    def hook(self) -> ServiceHook:
        """The hook for the task's connection."""

    @abstractmethod
    def target(self) -> RunRequest | None:
        """The test, group or other target of the runs, without a request body; None if it is unknown."""

    def execute_complete(self, context: Any, event: Any = None) -> dict[str, Any]:
        """Collect and judge the runs that the trigger waited for.

        :param event: the payload of the trigger's event.
        :raises TestRunError: see :mod:`airflow_provider_testerarmy.exceptions`.
        """
        from airflow_provider_testerarmy.runs.awaiting.watchlist import WaitEnd
        from airflow_provider_testerarmy.runs.text import name_runs
        from airflow_provider_testerarmy.triggers.runs import is_known, read_event, record_of, runs_of

        self._carried = record_of(event)
        with self._open(context, self._outline).guarded() as lifecycle:
            waited, seen = read_event(event), runs_of(event)
            lifecycle.adopt(lambda: self._known_submission(context, seen), frozenset(seen))
            run_ids = lifecycle.run_ids
            if waited.end is WaitEnd.FINISHED:
                self.log.info("The trigger saw the end of %s; collecting the results.", name_runs(run_ids))
                waited = lifecycle.waiter.collect(run_ids)
            elif waited.end is WaitEnd.ENOUGH:
                waited = lifecycle.waiter.check_once(run_ids) or waited
            elif waited.end is WaitEnd.LOST:
                self.log.warning("%s", waited.message)
                checked = lifecycle.waiter.check_once(run_ids)
                if checked is not None and checked.end is WaitEnd.FINISHED:
                    waited = checked
                elif not is_known(event):
                    # During an upgrade, worker and triggerer run different versions of the provider. The runs
                    # are fine and only the event is unreadable, so the worker waits for them itself.
                    waited = lifecycle.waiter.wait(run_ids)
            return self._conclude(context, lifecycle, waited)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As in Airflow. If the deferral ended without an event, judge the known results before failing.

        Airflow bypasses ``execute_complete`` then, and only this method sees the failure of a trigger.
        """
        from airflow_provider_testerarmy.lifecycle.dashboard_link import leave_out_own_links
        from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd

        leave_out_own_links(self)
        if not airflow_compat.is_trigger_failure(next_method):
            return super().resume_execution(next_method, next_kwargs, context)
        timed_out = airflow_compat.is_deferral_timeout(next_method, next_kwargs)
        with self._open(context, self._outline).guarded() as lifecycle:
            lifecycle.adopt(lambda: self._known_submission(context, ()))
            run_ids = lifecycle.run_ids
            checked = lifecycle.waiter.check_once(run_ids)
            if checked is not None and checked.end is WaitEnd.FINISHED and not timed_out:
                return self._conclude(context, lifecycle, checked)
            known = lifecycle.waiter.known(run_ids)
            if timed_out:
                waited = Waited(WaitEnd.DEADLINE, known, "the trigger did not respond by the deadline")
            else:
                why = airflow_compat.trigger_failure(next_kwargs)
                waited = Waited(WaitEnd.LOST, known, f"the trigger failed ({why})")
            return lifecycle.conclude(waited, run_ids)

    def _conclude(self, context: Any, lifecycle: Lifecycle, waited: Waited) -> dict[str, Any]:
        """Judge the runs of a try, once its failures are confirmed. It defers again for that.

        :raises TestRunError, TestsSkipped: see the class.
        """
        while (goes_on := lifecycle.early_stop.goes_on(waited)) or lifecycle.confirm(
            waited, self._whole_request
        ):
            if not goes_on:
                self._push_started(context, lifecycle)
            if self.deferrable and lifecycle.can_be_active:
                self._defer(lifecycle)
            waited = lifecycle.waiter.wait(lifecycle.run_ids)
        return lifecycle.conclude(waited, lifecycle.run_ids)

    def on_kill(self) -> None:
        """Stop the task. If a user killed it, cancel its runs as well."""
        # Airflow calls this from its SIGTERM handler, once, and the task continues afterwards. The signal may come
        # before the lifecycle exists (measured: while the connection is read), so ``_open`` checks the flag.
        self._killed = True
        if self._lifecycle is not None:
            self._lifecycle.kill()

    def _open(self, context: Any, build_request: Callable[[], RunRequest | None]) -> Lifecycle:
        """Open a lifecycle from the rendered parameters. A mistake fails the task before anything is sent.

        :raises RequestRefused: for a mistake. The runs of earlier tries are stopped first.
        """
        from dataclasses import replace

        from airflow_provider_testerarmy.client.http.errors import RequestInvalid
        from airflow_provider_testerarmy.exceptions import RequestRefused
        from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle
        from airflow_provider_testerarmy.lifecycle.budget import open_budget
        from airflow_provider_testerarmy.lifecycle.record_store import is_first
        from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid

        try:
            options, request = self._options(), build_request()
            memory, budget = self._memory(options.gate, context, build_request), open_budget(self, context)
            starts = self._lifecycle is None and build_request != self._outline
            # It counts once: the task may go on in this process, and then its record has changed.
            carried, self._carried = self._carried, None
            options = replace(
                options,
                memory=memory,
                budget=budget,
                first=starts and is_first(context),
                carried=carried,
            )
            lifecycle = Lifecycle(self.hook, options, request, context, self.log)
        except (RequestInvalid, GateInvalid) as error:
            raise RequestRefused(f"{error} {self._stop_earlier(context)}") from error
        self._lifecycle = lifecycle
        if self._killed:
            lifecycle.kill()
        return lifecycle

    def _check_hook(self, context: Any) -> None:
        """Check that the triggerer can import the hook, before any run is started that it could not wait for.

        :raises RequestRefused: if it cannot.
        """
        from airflow_provider_testerarmy.exceptions import RequestRefused
        from airflow_provider_testerarmy.triggers.importable import importable_elsewhere

        path = self.hook.path
        if not importable_elsewhere(path, airflow_compat.dag_folders(context["ti"])):
            raise RequestRefused(
                f"The triggerer cannot import the hook {path}, because it is part of a DAG file. Move it into a "
                f"module that is installed there too, or set deferrable=False. {self._stop_earlier(context)}"
            )

    def _stop_earlier(self, context: Any) -> str:
        """Stop the runs of earlier tries, because this try cannot continue; returns a sentence on the result."""
        from airflow_provider_testerarmy.lifecycle.broken_task import stop_earlier

        return stop_earlier(
            lambda: self.hook,
            self._outline,
            context,
            self.log,
            cancel_on_kill=self.cancel_on_kill,
            durable=self.durable,
        )

    def _outline(self) -> RunRequest | None:
        """The request without a body, for a try that only resumes."""
        from dataclasses import replace

        target = self.target()
        return None if target is None else replace(target, whole=False)

    def _options(self) -> Options:
        from airflow_provider_testerarmy.lifecycle.options import Options

        self._check_deployment()
        return Options(
            gate=parameters.gate(self.gate),
            poll_interval=parameters.seconds(self._or_default("poll_interval"), "poll_interval"),
            timeout=self._timeout(),
            max_outage=parameters.seconds(self._or_default("max_outage"), "max_outage"),
            cancel_on_kill=self.cancel_on_kill,
            durable=self.durable,
            report_path=self._report_path(),
            copy_screenshots=self.copy_screenshots,
            retry_failed_tests=self.retry_failed_tests,
            stop_after_failures=parameters.count(self.stop_after_failures, "stop_after_failures"),
            softened=bool(getattr(self, "soft_fail", False) or getattr(self, "never_fail", False)),
        )

    def _memory(self, gate: QualityGate, context: Any, build_request: Any) -> TaskMemory | None:
        """The memory of the gate, None if it needs none.

        :raises RequestInvalid: if there is no place for it, or if the quarantine file is not valid.
        """
        if not (parameters.needs_memory(gate) or gate.quarantine_file or gate.tests_folder or gate.confirm):
            return None
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid
        from airflow_provider_testerarmy.lifecycle.memory import open_memory

        if not self._remembers and (gate.confirm or parameters.needs_memory(gate)):
            raise RequestInvalid(parameters.NO_RERUNS if gate.confirm else parameters.NO_TARGET)
        starting = build_request != self._outline
        path, owner = parameters.memory_path(self.memory_path), f"{self.hook.path} {self.hook.conn_id}"
        return open_memory(gate, path, context, owner, self._whole_request, starting=starting)

    def _whole_request(self) -> RunRequest | None:
        """The request with its body, also for a try that only resumes; None if the task starts no runs."""
        return self.target()

    def _push_started(self, context: Any, lifecycle: Lifecycle) -> None:
        from airflow_provider_testerarmy.lifecycle.task_note import push_started

        push_started(self, lifecycle, context["ti"])

    def _known_submission(self, context: Any, seen: Sequence[RunId]) -> Submission:
        from airflow_provider_testerarmy.lifecycle.task_note import known_submission

        return known_submission(self, context["ti"], seen)

    def _defer(self, lifecycle: Lifecycle) -> None:
        from airflow_provider_testerarmy.triggers.runs import AwaitRunsTrigger

        lifecycle.check_wanted()
        if not airflow_compat.LISTENER.available:
            self.log.info(
                "If you mark this task while it is deferred and no triggerer is alive, its runs are not cancelled "
                "and end by themselves. Airflow %s and later cancel them.",
                airflow_compat.LISTENER.version,
            )
        hook, pace, submission = self.hook, lifecycle.waiter.pace(), lifecycle.submission
        # Airflow stores a trigger's arguments in plain text in its database, so the key is not among them.
        trigger = AwaitRunsTrigger(
            hook=hook.path,
            conn_id=hook.conn_id,
            run_ids=list(submission.run_ids),
            rejected_run_ids=list(submission.rejected_run_ids),
            batch_id=submission.batch_id,
            poll_interval=pace.poll_interval,
            max_outage=pace.max_outage,
            deadline=pace.deadline,
            cancel_on_kill=self.cancel_on_kill,
            stop_at=pace.stop_at,
            record=lifecycle.record_to_carry,
        )
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            timeout=lifecycle.waiter.time_left(BACKSTOP),
        )


def with_common_fields(*own: str) -> tuple[str, ...]:
    """The template fields of a concrete class: its own, then the common ones."""
    return (*own, *LifecycleTask.common_template_fields)
