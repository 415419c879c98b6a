"""Reports the progress of a wait."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_testerarmy.runs.awaiting.schedule import Subscription
from airflow_provider_testerarmy.runs.awaiting.watchlist import Watchlist
from airflow_provider_testerarmy.runs.results import progress_line


class ProgressReporter:
    """Reports the progress of one waiter: a line per change, and one line per new fault.

    :param report: receives the lines.
    """

    def __init__(
        self, vendor: str, watch: Watchlist, mine: Subscription, report: Callable[[str], None]
    ) -> None:
        self._vendor = vendor
        self._watch = watch
        self._mine = mine
        self._report = report
        self._line = ""
        self._fault = ""
        self.reported_at = mine.began

    @property
    def has_reported(self) -> bool:
        """Whether any progress has been reported."""
        return bool(self._line)

    def report_progress(self, now: float) -> None:
        """Report the progress if it has changed."""
        line = progress_line(self._mine.results.values(), self._mine.total)
        if line != self._line:
            self._report(line)
            self._line, self.reported_at = line, now

    def report_fault(self) -> None:
        """Report the current fault, if it is a new one."""
        fault = self._watch.fault_of(self._mine)
        message = fault.message if fault else ""
        if message and message != self._fault:
            self._report(f"A request to {self._vendor} failed ({message}). Waiting continues.")
        self._fault = message
