"""The base of all run operators: the whole lifecycle; a concrete class only builds its request."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_testerarmy.lifecycle.parameters import Gate, Paths, Seconds, flag
from airflow_provider_testerarmy.lifecycle.task import LifecycleTask

if TYPE_CHECKING:
    from airflow_provider_testerarmy.runs.service import RunRequest


class RunOperator(LifecycleTask, BaseOperator):
    """Starts test runs, waits for them, judges them, and returns a summary.

    :param wait_for_completion: False returns once the runs are started; nothing is judged then.
    :param deferrable: wait in the triggerer, without a worker slot; Airflow's configuration decides by default.
    :param poll_interval: seconds (or a timedelta) between two looks at a run that is no longer young.
    :param timeout: seconds (or a timedelta) after which runs that are not finished are cancelled and the task
        fails; counted from the submission, also across retries. None waits for ever.
    :param max_outage: seconds (or a timedelta) without one good answer after which waiting ends.
    :param gate: what has to hold, a :class:`~airflow_provider_testerarmy.runs.gate.QualityGate` or a dict.
    :param cancel_on_kill: cancel the runs when the task is killed, cleared, failed by hand or times out.
    :param durable: remember the runs from one try to the next, so that a retry after a lost worker reconnects.
    :param retry_failed_tests: let Airflow's retries apply to a failed verdict too. The next try of a group runs
        only the tests again that did not pass (all of them where the service cannot do that, and where the group
        was started with more than platform, device and environment); a test that then passes is ``flaky``.
    :param report_path: where to write all results, one path or several: local or an object-store URL that ends in
        .json, .xml (JUnit), .html or .md.
    :param copy_screenshots: copy the runs' screenshots beside the report, because the service's addresses expire.
    :raises TestRunError: see :mod:`airflow_provider_testerarmy.exceptions`.
    """

    ui_color = "#eef2e6"

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: Seconds = 10.0,
        timeout: Seconds | None = timedelta(hours=3),
        max_outage: Seconds = timedelta(minutes=10),
        gate: Gate | None = None,
        cancel_on_kill: bool = True,
        durable: bool = True,
        retry_failed_tests: bool = False,
        report_path: Paths | None = None,
        copy_screenshots: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = flag(wait_for_completion, "wait_for_completion")
        self.retry_failed_tests = flag(retry_failed_tests, "retry_failed_tests")
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
        """What to start, from the rendered fields.

        :raises RequestInvalid: naming what is wrong.
        """

    def execute(self, context: Any) -> dict[str, Any]:
        """Start the runs, or reconnect to them, and wait here or in the triggerer."""
        if self.deferrable and self.wait_for_completion:
            self._check_hook(context)
        with self._open(context, self.build_request).guarded() as lifecycle:
            lifecycle.submit()
            self._push_ids_and_url(context, lifecycle)
            if not self.wait_for_completion:
                return lifecycle.unjudged()
            waited, run_ids = None, lifecycle.run_ids
            if self.deferrable and lifecycle.can_be_active:
                # A trigger that fires at once can overtake the news of the deferral, and the scheduler then fails
                # the try; so what an earlier try left, and is over by now, is judged here.
                waited = lifecycle.waiter.check_once(run_ids) if lifecycle.reconnected else None
                if waited is None:
                    self._defer(lifecycle)
            return lifecycle.conclude(waited or lifecycle.waiter.wait(run_ids), run_ids)
