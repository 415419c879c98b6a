"""How a task on test runs fails, by whose fault it is, and what Airflow makes of each.

::

    TestRunError                    every failure of this package
    ├── TestsFailed                 the product: fail without retry (retried with ``retry_failed_tests``)
    ├── RunErrored                  the service broke the run: Airflow's retries
    ├── RunCancelled                somebody stopped it, so it is untested: fail
    │   └── RunRejected             the service rejected every run at submission: fail
    ├── NothingTested               there was nothing to run: fail
    ├── WaitTimedOut                not finished in time, so cancelled: Airflow's retries
    ├── RunNotFound                 the service does not know the run: fail
    ├── ServiceUnavailable          no good answer for ``max_outage``: Airflow's retries, which reconnect
    ├── TriggerFailed               the triggerer could not wait: Airflow's retries, which reconnect
    ├── RunInterrupted              the worker was stopped: Airflow's retries, which reconnect
    ├── CredentialsRejected         the key is wrong, revoked or not allowed: fail
    ├── RequestRefused              the service or this package refused the request: fail
    ├── SubmissionUnclear           a run may exist that nobody knows the id of: fail, and do not guess
    └── RunsForgotten               the task was resumed, and what it waited for is gone: fail

Airflow does not retry what is an ``AirflowFailException``; everything else it does. That is decided here and
nowhere else. :class:`TestsSkipped` skips the task.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.submission.cancel import Fate
from airflow_provider_testerarmy.runs.submission.setting import SubmitEnd, Submitted
from airflow_provider_testerarmy.runs.text import name_runs
from airflow_provider_testerarmy.runs.verdict.gate import Verdict, VerdictKind


class TestRunError(AirflowException):
    """Root of the tree; it pickles with what it carries.

    :param message: what happened, to which run, and what to do next.
    :param run_ids: the runs it is about.
    """

    __test__ = False

    def __init__(self, message: str, run_ids: Sequence[RunId] = ()) -> None:
        super().__init__(message)
        self.run_ids = tuple(run_ids)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.run_ids)


class TestsFailed(TestRunError):
    """The product did not pass the gate. Raised as such it is retried; see :class:`TestsFailedFinally`."""


class TestsFailedFinally(TestsFailed, AirflowFailException):
    """The product did not pass the gate, and a retry would only hide it: the usual form."""


class RunErrored(TestRunError):
    """The service broke runs before they came to an outcome, and the gate cannot hold without them."""


class RunCancelled(TestRunError, AirflowFailException):
    """Runs were cancelled, and an untested thing has not passed."""


class RunRejected(RunCancelled):
    """The service rejected every run as it was submitted: a duplicate in flight, or a quota."""


class NothingTested(TestRunError, AirflowFailException):
    """There was no run at all, e.g. a group without a runnable test."""


class WaitTimedOut(TestRunError):
    """The runs were not finished at the deadline, and were cancelled unless the task was told not to."""


class ServiceUnavailable(TestRunError):
    """The service gave no good answer for ``max_outage``. The next try reconnects to the same runs."""


class TriggerFailed(TestRunError):
    """The deferral ended without a word of the trigger. The next try reconnects to the same runs."""


class RunNotFound(TestRunError, AirflowFailException):
    """The service does not know a run, or its id can belong to none: waiting longer does not help."""


class RunInterrupted(TestRunError):
    """The worker was told to stop while the task was waiting."""


class CredentialsRejected(TestRunError, AirflowFailException):
    """The service rejected the API key of the connection."""


class RequestRefused(TestRunError, AirflowFailException):
    """The request cannot be sent as it is, or the service refused it; nothing was started."""


class SubmissionUnclear(TestRunError, AirflowFailException):
    """The service may have started runs, and which cannot be settled; ``run_ids`` are the candidates."""


class RunsForgotten(TestRunError, AirflowFailException):
    """A resumed task whose run ids are nowhere to be found."""


class TestsSkipped(AirflowSkipException):
    """Nothing needed to be tested, in the words of the service or by leave of the gate."""

    __test__ = False


def submit_error(ended: Submitted, label: str, *, remembered: bool) -> TestRunError:
    """The failure that an unsuccessful submission is.

    :param label: what was to be started.
    :param remembered: whether the next try knows of it and looks for what it started.
    """
    if ended.end is SubmitEnd.DENIED:
        return CredentialsRejected(f"The {label} was not started: {ended.message}. {_CHECK_KEY}")
    if ended.end is SubmitEnd.REFUSED:
        return RequestRefused(f"The {label} was not started: {ended.message}.")
    if ended.end is SubmitEnd.UNAVAILABLE:
        return ServiceUnavailable(f"The {label} was not started: {ended.message}.")
    if ended.look_again and remembered:
        return ServiceUnavailable(
            f"Whether the {label} was started is not known yet: {ended.message}. The next try looks for it "
            "before it starts anything."
        )
    return SubmissionUnclear(
        f"The {label} may or may not have been started: {ended.message}. Nothing was sent a second time. Look "
        "at the newest runs on the dashboard, cancel what should not run, then clear this task to start anew.",
        ended.candidates,
    )


def wait_error(waited: Waited, run_ids: Sequence[RunId], fate: Fate | None = None) -> TestRunError:
    """The failure that a wait is which ended before its runs did.

    :param run_ids: the runs that were awaited.
    :param fate: what became of the runs that had not ended; None where they are kept.
    """
    finished = {run_id for run_id, run in waited.results.items() if run.finished}
    active = [run_id for run_id in run_ids if run_id not in finished]
    if waited.end is WaitEnd.DEADLINE:
        return WaitTimedOut(f"Timed out: {waited.message}. {_FATES[fate or Fate.UNKNOWN]}", active)
    if waited.end is WaitEnd.DENIED:
        return CredentialsRejected(
            f"The service stopped accepting the key while {name_runs(active)} ran: {waited.message}. {_CHECK_KEY}",
            active,
        )
    if waited.end is WaitEnd.NOT_FOUND:
        return RunNotFound(
            f"Stopped waiting: {waited.message}. Check the run ids, and that the connection is the one that "
            "started the runs.",
            active,
        )
    said = "The next try waits for the same runs." if fate is None else _FATES[fate]
    if waited.end is WaitEnd.LOST:
        return TriggerFailed(f"Gave up waiting: {waited.message}. {said}", active)
    return ServiceUnavailable(f"Gave up waiting: {waited.message}. {said}", active)


_FATES = {
    Fate.STOPPED: "The runs that had not ended were cancelled.",
    Fate.RUNNING: "The runs that had not ended were not cancelled and may still be running.",
    Fate.UNKNOWN: "The runs that had not ended may still be running.",
}

_CHECK_KEY = (
    "Check the password of the connection: the key may be revoked, mistyped, or not allowed to do this. "
    "Keys are made at https://tester.army/dashboard/profile/api-keys (TesterArmy), or at "
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
) -> TestRunError | TestsSkipped | None:
    """What the task raises for a verdict, or None when it succeeds.

    ``not_judged`` succeeds: whoever calls a test non-blocking says that its failure must not stop the DAG.
    """
    if verdict.kind in (VerdictKind.PASSED, VerdictKind.NOT_JUDGED):
        return None
    message = f"Verdict: {verdict.kind}. " + " | ".join(verdict.reasons[:20])
    if verdict.kind is VerdictKind.SKIPPED:
        return TestsSkipped(message)
    if not run_ids:
        return NothingTested(message)
    if all_rejected:
        return RunRejected(f"The service rejected every run as it was submitted. {message}", run_ids)
    if verdict.kind is VerdictKind.FAILED and retry_failed_tests:
        return TestsFailed(message, run_ids)
    return _BY_VERDICT[verdict.kind](message, run_ids)
