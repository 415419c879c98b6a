"""The exceptions that a task raises; their base classes decide which of them Airflow retries.

::

    TestRunError                    base class
    ├── TestsFailed                 the product failed: no retry (retried with ``retry_failed_tests``)
    ├── RunErrored                  the service could not complete a run: retry
    ├── RunCancelled                a run was cancelled, so its test is untested: no retry
    │   └── RunRejected             the service rejected every run at submission: no retry
    ├── NothingTested               there was nothing to run: no retry
    ├── WaitTimedOut                not finished in time, so cancelled: retry
    ├── RunNotFound                 the service does not know the run: no retry
    ├── ServiceUnavailable          no successful request for ``max_outage``: retry, which reconnects
    │   └── BudgetUnavailable       the budget could not be read or stored: retry
    ├── TriggerFailed               the triggerer could not wait: retry, which reconnects
    ├── RunInterrupted              the worker was stopped: retry, which reconnects
    ├── CredentialsRejected         the key is wrong, revoked or lacks the permission: no retry
    ├── RequestRefused              the service or this package refused the request: no retry
    ├── BudgetExhausted             the budget has no room for the runs: no retry
    ├── SubmissionUnclear           a run with an unknown id may exist: no retry
    └── RunsForgotten               a resumed task does not know its run ids: no retry

Airflow retries every exception except ``AirflowFailException``. Only this module decides which ones are.
:class:`TestsSkipped` skips the task.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.setting import SubmitEnd, Submitted
from airflow_provider_testerarmy.runs.text import name_runs
from airflow_provider_testerarmy.runs.verdict.gate import Verdict, VerdictKind


class TestRunError(AirflowException):
    """Base class; instances can be pickled with their run ids.

    :param message: what happened, to which run, and what to do next.
    :param run_ids: the runs concerned.
    :param retry_after: the seconds for which the service wants no request, from ``Retry-After``; None if it did not
        say.
    """

    __test__ = False

    def __init__(
        self, message: str, run_ids: Sequence[RunId] = (), *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.run_ids = tuple(run_ids)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        # Airflow moves exceptions between processes. The default would lose everything but the message.
        return type(self), (str(self), self.run_ids), {"retry_after": self.retry_after}


class TestsFailed(TestRunError):
    """The product did not pass the gate. Raised directly, it is retried; see :class:`TestsFailedFinally`.

    :param confirmed: whether every test that failed has failed in an earlier try as well.
    """

    def __init__(self, message: str, run_ids: Sequence[RunId] = (), *, confirmed: bool = False) -> None:
        super().__init__(message, run_ids)
        self.confirmed = confirmed

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.run_ids), {"confirmed": self.confirmed}


# Two classes, because Airflow decides by the base class: it consults neither `retries` nor a retry policy for an
# AirflowFailException. Handlers of TestsFailed catch both.
class TestsFailedFinally(TestsFailed, AirflowFailException):
    """The product did not pass the gate. Not retried, because a retry could hide the failure; the default."""


class RunErrored(TestRunError):
    """The service could not complete some runs, and the gate cannot pass without them."""


class RunCancelled(TestRunError, AirflowFailException):
    """Runs were cancelled, so their tests have not passed."""


class RunRejected(RunCancelled):
    """The service rejected every run at submission, e.g. because of a duplicate in flight or a quota."""


class NothingTested(TestRunError, AirflowFailException):
    """There was no run at all, e.g. a group without a runnable test."""


class WaitTimedOut(TestRunError):
    """The runs were not finished at the deadline, and were cancelled unless ``cancel_on_kill`` is False."""


class ServiceUnavailable(TestRunError):
    """No request to the service succeeded for ``max_outage``. The next try reconnects to the same runs."""


class TriggerFailed(TestRunError):
    """The deferral ended without an event of the trigger. The next try reconnects to the same runs."""


class RunNotFound(TestRunError, AirflowFailException):
    """The service does not know a run, or its id is invalid. Waiting longer would not help."""


class RunInterrupted(TestRunError):
    """The worker was stopped while the task was waiting."""


class CredentialsRejected(TestRunError, AirflowFailException):
    """The service rejected the API key of the connection."""


class RequestRefused(TestRunError, AirflowFailException):
    """The request is invalid, or the service refused it. Nothing was started."""


class BudgetExhausted(TestRunError, AirflowFailException):
    """The budget of the task's pool has no room for its runs. Nothing was started."""


class BudgetUnavailable(ServiceUnavailable):
    """The budget could not be read or stored. Nothing was started; the next try reads it again."""


class SubmissionUnclear(TestRunError, AirflowFailException):
    """The service may have started runs, but it is unclear which; ``run_ids`` are the candidates."""


class RunsForgotten(TestRunError, AirflowFailException):
    """A task was resumed, and its run ids are neither in its record nor in the trigger's event."""


class TestsSkipped(AirflowSkipException):
    """Nothing was tested, and the gate allows that: the service skipped all runs, or there were none."""

    __test__ = False


def submit_error(ended: Submitted, label: str, *, remembered: bool) -> TestRunError:
    """The exception for an unsuccessful submission.

    :param label: the name of the request's target.
    :param remembered: whether the next try has the intent, and looks up what it started.
    """
    if ended.end is SubmitEnd.DENIED:
        return CredentialsRejected(f"The {label} was not started: {ended.message}. {_CHECK_KEY}")
    if ended.end is SubmitEnd.REFUSED:
        return RequestRefused(f"The {label} was not started: {ended.message}.")
    if ended.end is SubmitEnd.UNAVAILABLE:
        said = f"The {label} was not started: {ended.message}."
        return ServiceUnavailable(said, retry_after=ended.retry_after)
    # The next try can settle it, so let Airflow retry.
    if ended.look_again and remembered:
        return ServiceUnavailable(
            f"Whether the {label} was started is not known yet: {ended.message}. The next try looks for it "
            "before it starts anything.",
            retry_after=ended.retry_after,
        )
    return SubmissionUnclear(
        f"The {label} may or may not have been started: {ended.message}. The request was not sent again. Check "
        "the newest runs on the dashboard, cancel those that should not run, then clear this task to start again.",
        ended.candidates,
    )


def resource_error(fault: ServiceFault, label: str) -> TestRunError:
    """The exception for a failed request that creates or deletes what runs need.

    :param label: the object in messages, e.g. ``environment 'PR 7'``.
    """
    message = f"The {label} is not ready: {fault.message}."
    if fault.kind is FaultKind.DENIED:
        return CredentialsRejected(f"{message} {_CHECK_KEY}")
    if fault.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED):
        said = f"{message} The next try looks for it before it creates it."
        return ServiceUnavailable(said, retry_after=fault.retry_after)
    return RequestRefused(message)


def wait_error(waited: Waited, run_ids: Sequence[RunId], stopped: StopResult | None = None) -> TestRunError:
    """The exception for a wait that ended before its runs.

    :param run_ids: the awaited runs.
    :param stopped: whether the active runs were stopped; None if they are kept for the next try.
    """
    finished = {run_id for run_id, run in waited.results.items() if run.finished}
    active = [run_id for run_id in run_ids if run_id not in finished]
    if waited.end is WaitEnd.DEADLINE:
        return WaitTimedOut(f"Timed out: {waited.message}. {stop_text(stopped)}", active)
    if waited.end is WaitEnd.DENIED:
        return CredentialsRejected(
            f"The service rejected the key while {name_runs(active)} ran: {waited.message}. {_CHECK_KEY}",
            active,
        )
    if waited.end is WaitEnd.NOT_FOUND:
        return RunNotFound(
            f"Stopped waiting: {waited.message}. Check the run ids, and use the connection that started the runs.",
            active,
        )
    said = "The next try waits for the same runs." if stopped is None else stop_text(stopped)
    if waited.end is WaitEnd.LOST:
        return TriggerFailed(f"Gave up waiting: {waited.message}. {said}", active)
    message = f"Gave up waiting: {waited.message}. {said}"
    return ServiceUnavailable(message, active, retry_after=waited.retry_after)


def stop_text(stopped: StopResult | None) -> str:
    """A sentence on the runs that had not ended, for a message."""
    return _STOPPED[stopped or StopResult.UNKNOWN]


_STOPPED = {
    StopResult.STOPPED: "The runs that had not ended were cancelled.",
    StopResult.RUNNING: "The runs that had not ended were not cancelled and may still be running.",
    StopResult.UNKNOWN: "The runs that had not ended may still be running.",
}

_CHECK_KEY = (
    "Check the password of the connection: the key may be revoked, mistyped, or lack the permission. "
    "Create keys at https://tester.army/dashboard/profile/api-keys (TesterArmy), or at "
    "https://app.docketqa.com under CI/CD (Docket)."
)

_BY_VERDICT: dict[VerdictKind, type[TestRunError]] = {
    VerdictKind.FAILED: TestsFailedFinally,
    VerdictKind.ERRORED: RunErrored,
    VerdictKind.CANCELLED: RunCancelled,
}


def verdict_error(
    verdict: Verdict,
    run_ids: Sequence[RunId],
    *,
    all_rejected: bool = False,
    retry_failed_tests: bool = False,
    confirmed: bool = False,
) -> TestRunError | TestsSkipped | None:
    """The exception for a verdict, or None if the task succeeds.

    :param confirmed: whether every test that failed has failed in an earlier try as well.

    ``not_judged`` succeeds, because a failure of a non-blocking test must not stop the DAG.
    """
    if verdict.kind in (VerdictKind.PASSED, VerdictKind.NOT_JUDGED):
        return None
    # The message ends up in logs and notifications. The summary and the reports have all reasons.
    message = f"Verdict: {verdict.kind}. " + " | ".join(verdict.reasons[:20])
    if verdict.kind is VerdictKind.SKIPPED:
        return TestsSkipped(message)
    if not run_ids:
        return NothingTested(message)
    if all_rejected:
        return RunRejected(f"The service rejected every run at submission. {message}", run_ids)
    if verdict.kind is VerdictKind.FAILED and retry_failed_tests:
        return TestsFailed(message, run_ids, confirmed=confirmed)
    return _BY_VERDICT[verdict.kind](message, run_ids)
