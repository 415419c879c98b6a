from __future__ import annotations

import inspect
import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_testerarmy import exceptions
from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    BudgetUnavailable,
    CredentialsRejected,
    NothingTested,
    RequestRefused,
    RunCancelled,
    RunErrored,
    RunInterrupted,
    RunNotFound,
    RunRejected,
    RunsForgotten,
    ServiceUnavailable,
    SubmissionUnclear,
    TestRunError,
    TestsFailed,
    TestsFailedFinally,
    TestsSkipped,
    TriggerFailed,
    WaitTimedOut,
    submit_error,
    verdict_error,
    wait_error,
)
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunResult
from airflow_provider_testerarmy.runs.submission.cancel import StopResult
from airflow_provider_testerarmy.runs.submission.submit import SubmitEnd, Submitted
from airflow_provider_testerarmy.runs.verdict.gate import Verdict, VerdictKind

#: What Airflow does about each: fail for good, apply its retries, or skip.
DISPOSITIONS = {
    TestRunError: "retry",
    TestsFailed: "retry",
    TestsFailedFinally: "fail",
    RunErrored: "retry",
    RunCancelled: "fail",
    RunRejected: "fail",
    NothingTested: "fail",
    WaitTimedOut: "retry",
    RunNotFound: "fail",
    TriggerFailed: "retry",
    ServiceUnavailable: "retry",
    RunInterrupted: "retry",
    CredentialsRejected: "fail",
    RequestRefused: "fail",
    BudgetExhausted: "fail",
    BudgetUnavailable: "retry",
    SubmissionUnclear: "fail",
    RunsForgotten: "fail",
    TestsSkipped: "skip",
}

DEFINED = [
    each
    for _, each in inspect.getmembers(exceptions, inspect.isclass)
    if each.__module__ == exceptions.__name__
]


def disposition(kind):
    """What Airflow does about an exception of this class."""
    if issubclass(kind, AirflowSkipException):
        return "skip"
    return "fail" if issubclass(kind, AirflowFailException) else "retry"


@pytest.mark.parametrize("kind", DEFINED, ids=lambda kind: kind.__name__)
def test_what_airflow_makes_of_it(kind):
    """A class that is missing from the table fails here."""
    assert disposition(kind) == DISPOSITIONS[kind]
    assert issubclass(kind, AirflowException)


@pytest.mark.parametrize(
    "kind", [each for each in DEFINED if each is not TestsSkipped], ids=lambda k: k.__name__
)
def test_an_error_pickles_with_what_it_carries(kind):
    """Airflow moves exceptions between processes."""
    error = kind("run a: failed", ["a", 2])
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.run_ids) == (kind, "run a: failed", ("a", 2))
    assert isinstance(copy, TestRunError)


def test_a_skip_pickles():
    """It carries only its message."""
    copy = pickle.loads(pickle.dumps(TestsSkipped("nothing to test")))
    assert (type(copy), str(copy)) == (TestsSkipped, "nothing to test")


def test_no_class_is_more_than_three_levels_below_airflows():
    """The tree of classes stays small enough to draw."""
    for kind in DEFINED:
        ours = [each for each in kind.__mro__ if each.__module__ == exceptions.__name__]
        assert len(ours) <= 3


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        (VerdictKind.PASSED, {}, None),
        (VerdictKind.FAILED, {}, TestsFailedFinally),
        (VerdictKind.FAILED, {"retry_failed_tests": True}, TestsFailed),
        (VerdictKind.ERRORED, {}, RunErrored),
        (VerdictKind.ERRORED, {"retry_failed_tests": True}, RunErrored),
        (VerdictKind.CANCELLED, {}, RunCancelled),
        (VerdictKind.CANCELLED, {"all_rejected": True}, RunRejected),
        (VerdictKind.SKIPPED, {}, TestsSkipped),
        (VerdictKind.SKIPPED, {"all_rejected": True}, TestsSkipped),
    ],
)
def test_what_a_task_raises_for_a_verdict(kind, options, error):
    """The message contains the reasons, and `run_ids` the runs."""
    found = verdict_error(Verdict(kind, ("1 of 2 passed", "Checkout: failed"), {}), ["a", "b"], **options)
    if error is None:
        assert found is None
        return
    assert type(found) is error
    assert f"Verdict: {kind}. 1 of 2 passed | Checkout: failed" in str(found)
    assert isinstance(found, TestsSkipped) or found.run_ids == ("a", "b")


@pytest.mark.parametrize("kind", [VerdictKind.FAILED, VerdictKind.CANCELLED, VerdictKind.ERRORED])
def test_no_run_at_all_is_nothing_tested(kind):
    """It is never retried, because the next try would find no run either."""
    assert type(verdict_error(Verdict(kind, (), {}), [], retry_failed_tests=True)) is NothingTested


def test_a_long_list_of_reasons_is_cut():
    """A message is read by people."""
    verdict = Verdict(VerdictKind.FAILED, tuple(f"reason {number}" for number in range(100)), {})
    message = str(verdict_error(verdict, ["a"]))
    assert "reason 19" in message
    assert "reason 20" not in message


@pytest.mark.parametrize(
    ("ended", "remembered", "error", "words"),
    [
        (Submitted(SubmitEnd.DENIED, message="401"), True, CredentialsRejected, "Check the password"),
        (Submitted(SubmitEnd.REFUSED, message="400"), True, RequestRefused, "was not started: 400."),
        (Submitted(SubmitEnd.UNAVAILABLE, message="503"), True, ServiceUnavailable, "was not started: 503."),
        (
            Submitted(SubmitEnd.UNCLEAR, message="504", look_again=True),
            True,
            ServiceUnavailable,
            "The next try looks for it",
        ),
        (
            Submitted(SubmitEnd.UNCLEAR, message="504", look_again=True),
            False,
            SubmissionUnclear,
            "may or may not",
        ),
        (
            Submitted(SubmitEnd.UNCLEAR, message="two found", candidates=("a", "b")),
            True,
            SubmissionUnclear,
            "The request was not sent again",
        ),
    ],
)
def test_what_a_task_raises_for_a_submission(ended, remembered, error, words):
    """The message contains the label of the request."""
    found = submit_error(ended, "group 3f0e", remembered=remembered)
    assert type(found) is error
    assert "The group 3f0e " in str(found) or "Whether the group 3f0e " in str(found)
    assert words in str(found)
    assert found.run_ids == ended.candidates


@pytest.mark.parametrize(
    ("end", "fate", "error", "words"),
    [
        (WaitEnd.DEADLINE, StopResult.STOPPED, WaitTimedOut, "were cancelled."),
        (WaitEnd.DEADLINE, StopResult.RUNNING, WaitTimedOut, "were not cancelled and may still be running"),
        (WaitEnd.DEADLINE, StopResult.UNKNOWN, WaitTimedOut, "may still be running"),
        (WaitEnd.DENIED, StopResult.STOPPED, CredentialsRejected, "Check the password"),
        (WaitEnd.NOT_FOUND, StopResult.STOPPED, RunNotFound, "Check the run ids"),
        (WaitEnd.UNAVAILABLE, None, ServiceUnavailable, "The next try waits for the same runs"),
        (WaitEnd.UNAVAILABLE, StopResult.STOPPED, ServiceUnavailable, "were cancelled."),
        (WaitEnd.LOST, None, TriggerFailed, "The next try waits for the same runs"),
        (WaitEnd.LOST, StopResult.STOPPED, TriggerFailed, "were cancelled."),
    ],
)
def test_what_a_task_raises_for_a_wait(end, fate, error, words):
    """It carries the runs that were not finished."""
    results = {"a": RunResult("a", "completed", Phase.FINISHED, Outcome.PASSED)}
    found = wait_error(Waited(end, results, "why"), ["a", "b"], fate)
    assert type(found) is error
    assert words in str(found)
    assert found.run_ids == ("b",)
