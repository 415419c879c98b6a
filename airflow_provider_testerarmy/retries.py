"""``TestRetryPolicy``, a value for ``retry_policy`` of every operator and sensor of this package.

The module can be imported on every version of Airflow.

:raises ImportError: before Airflow 3.3, when ``TestRetryPolicy`` is imported from it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.airflow_compat import RETRY_POLICY
from airflow_provider_testerarmy.exceptions import (
    RunErrored,
    RunInterrupted,
    ServiceUnavailable,
    TestsFailed,
    TriggerFailed,
    WaitTimedOut,
)

#: What the product did not cause, and another try may mend.
_RETRIED: Final = (RunErrored, ServiceUnavailable, TriggerFailed, RunInterrupted, WaitTimedOut)

if TYPE_CHECKING or RETRY_POLICY.available:
    from airflow_provider_testerarmy.airflow_compat.retry_policies import RetryDecision, RetryPolicy

    class TestRetryPolicy(RetryPolicy):
        """Retries what the service broke, when the service wants it, and never hides a failed test.

        Airflow asks it only about errors that it may retry: not about a failed verdict without
        ``retry_failed_tests``, a rejected key, or a refused request. ``retries`` limits it in any case. Other
        exceptions than those of this package are left to the task's ``retries``.

        :param confirm: bool. True lets failed tests run once more, to confirm the failure. It needs
            ``retry_failed_tests`` on the task. False fails the task at the first failed verdict.
        :param longest: timedelta; the maximum of a ``Retry-After``. Without one in the service's response, the
            task's ``retry_delay`` applies.
        """

        __test__ = False

        def __init__(self, *, confirm: bool = False, longest: timedelta = timedelta(hours=1)) -> None:
            self.confirm = confirm
            self.longest = longest

        def evaluate(
            self,
            exception: BaseException,
            try_number: int,
            max_tries: int,
            context: Any = None,
        ) -> RetryDecision:
            """Decide on an error of a task; see :class:`airflow.sdk.RetryPolicy`."""
            if isinstance(exception, TestsFailed):
                if not self.fails(exception):
                    return RetryDecision.retry(reason="Failed tests run once more, to confirm the failure.")
                said = "failed again" if exception.confirmed else "failed"
                return RetryDecision.fail(f"Tests {said}. A retry could hide the failure.")
            if not isinstance(exception, _RETRIED):
                return RetryDecision.default()
            if exception.retry_after is None:
                return RetryDecision.retry(reason=f"{type(exception).__name__}: not caused by the product.")
            delay = min(timedelta(seconds=exception.retry_after), self.longest)
            return RetryDecision.retry(
                delay,
                f"{type(exception).__name__}: retry after {delay.total_seconds():g} s, as the service asks.",
            )

        def fails(self, error: BaseException) -> bool:
            """Whether a task fails without a retry after this error, whatever its ``retries`` are."""
            return isinstance(error, TestsFailed) and (error.confirmed or not self.confirm)

        def serialize(self) -> dict[str, Any]:
            """The policy as JSON."""
            return {"confirm": self.confirm, "longest": self.longest.total_seconds()}

        @classmethod
        def deserialize(cls, data: dict[str, Any]) -> TestRetryPolicy:
            """The policy from the result of :meth:`serialize`."""
            return cls(confirm=bool(data["confirm"]), longest=timedelta(seconds=data["longest"]))

else:

    def __getattr__(name: str) -> Any:
        """Say which version the policy needs."""
        if name == "TestRetryPolicy":
            from airflow_provider_testerarmy.airflow_compat import retry_policies

            return retry_policies.RetryPolicy
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
