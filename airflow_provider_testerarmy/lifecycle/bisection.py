"""Bisects new failures: runs a failed test at the addresses of the nights since its last pass.

A search only adds to the reasons of a verdict. Whatever stops it leaves the verdict as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    CredentialsRejected,
    RequestRefused,
    ServiceUnavailable,
    wait_error,
)
from airflow_provider_testerarmy.lifecycle.conclusion import Finisher
from airflow_provider_testerarmy.lifecycle.confirmation import Confirmer
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.record_backends import StoreUnavailable
from airflow_provider_testerarmy.lifecycle.record_store import RecordStore
from airflow_provider_testerarmy.lifecycle.search_report import steps_of
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.lifecycle.start import Starter
from airflow_provider_testerarmy.lifecycle.temporary import TemporaryMaker
from airflow_provider_testerarmy.lifecycle.verdict import Judge
from airflow_provider_testerarmy.lifecycle.worker_wait import Waiter
from airflow_provider_testerarmy.runs.awaiting.watchlist import Waited, WaitEnd
from airflow_provider_testerarmy.runs.results import Deployment, Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.rounds import given_up
from airflow_provider_testerarmy.runs.submission.search import Search, Trial, search_of, stopped
from airflow_provider_testerarmy.runs.temporary import TemporaryTargets
from airflow_provider_testerarmy.runs.text import one_line, plural
from airflow_provider_testerarmy.runs.verdict.bisect import Answer, Probe, answer_of
from airflow_provider_testerarmy.runs.verdict.flaky import ConfirmRule

#: The most tests of one search. More new failures at once have one cause, which one test finds as well.
MOST_TESTS: Final = 5
#: Ends of a wait that end its search in any case.
_STOPPED_BY: Final = {WaitEnd.DEADLINE: "the timeout has passed"}
_OUTAGE: Final = "the service could not be reached"
_NO_GROUP: Final = "the service creates no temporary group"
_NO_ADDRESS: Final = "the task tests no address"
_GONE: Final = "the service does not run the temporary group"


class Bisector:
    """The search of one try."""

    def __init__(
        self,
        session: ServiceSession,
        store: RecordStore,
        starter: Starter,
        judge: Judge,
        confirmer: Confirmer,
        temporaries: TemporaryMaker,
        options: Options,
        finisher: Finisher,
        waiter: Waiter,
        log: Any,
    ) -> None:
        self._session = session
        self._store = store
        self._starter = starter
        self._judge = judge
        self._confirmer = confirmer
        self._temporaries = temporaries
        self._options = options
        self._finisher = finisher
        self._waiter = waiter
        self._log = log
        self._rule = options.gate.confirm or ConfirmRule()

    def start_round(
        self,
        known: Mapping[RunId, RunResult],
        deadline: float | None,
        build_request: Callable[[], RunRequest | None],
    ) -> bool:
        """Start the first or the next round of a search.

        :param known: the results of all runs of this round, and of those that the verdict judges.
        :param deadline: when the wait ends, in seconds since the epoch; None for never.
        :return: whether there are runs to wait for. If not, the search has ended, or there is none.
        :raises SubmissionUnclear: if it is unknown whether a run was started.
        """
        search = self._continued(known) if self._store.record.searching else self._begun(known)
        if search is None:
            return False
        self._store.record = replace(self._store.record, search=search)
        if not search.why_not and (planned := self._planned(search)):
            why = self._start(search, *planned, deadline, build_request())
            if not why:
                return True
            self._log.warning("Bisecting stopped: %s.", why)
            search = stopped(search, why)
        self._store.keep(self.ended(search))
        return False

    def ended(self, search: Search, left: Sequence[Part] = ()) -> Record:
        """The record without the round of its search.

        :param left: parts of the round that may still be active.
        """
        base = self._store.record.base
        return replace(base, search=search, leftovers=(*base.leftovers, *left))

    def leave(self, waited: Waited, run_ids: Sequence[RunId]) -> tuple[Waited, Sequence[RunId]]:
        """End a search whose wait ended early: the verdict needs none of its runs.

        After an outage the next try continues the search, if one follows.

        :return: the results that the verdict needs, and their runs; what was given if no search was active.
        """
        record, why = self._store.record, _STOPPED_BY.get(waited.end, "")
        if not record.searching or waited.end is WaitEnd.FINISHED:
            return waited, run_ids
        if not why and self._finisher.retry_follows(wait_error(waited, run_ids)):
            return waited, (*record.base.carried, *record.base.run_ids)
        self._store.record, _ = self._finisher.stop(record)
        left = [part for part in self._store.record.parts.values() if not part.settled]
        self._store.keep(self.ended(stopped(record.search or Search(), why or _OUTAGE), left))
        run_ids = (*self._store.record.carried, *self._store.record.run_ids)
        known = {**waited.results, **self._waiter.known(run_ids)}
        if all(run_id in known and known[run_id].finished for run_id in run_ids):
            return Waited(WaitEnd.FINISHED, known), run_ids
        return self._waiter.collect(run_ids), run_ids

    def _begun(self, known: Mapping[RunId, RunResult]) -> Search | None:
        """The search of this try, which may have no round yet; None if nothing is to be searched for."""
        record = self._store.record
        if record.search is not None:
            return record.search
        if not self._options.bisect or self._confirmer.why_not:
            return None
        if self._finisher.rerun_follows(known.values()):
            # The next try runs the failed tests again.
            return None
        broken = self._judge.broken(known, record)
        if not broken:
            return None
        search = search_of(dict(list(broken.items())[:MOST_TESTS]))
        tests = {known[run_id].test_id for run_id in (*record.carried, *record.run_ids)}
        if len(broken) > 1 and len(broken) > self._rule.unless_failing * len(tests):
            share = f"more than {self._rule.unless_failing:.0%} (unless_failing)"
            return stopped(search, f"{len(broken)} of {plural(len(tests), 'test')} newly fail, {share}")
        return search

    def _continued(self, known: Mapping[RunId, RunResult]) -> Search | None:
        """The search with the answers of the round that has ended."""
        record, search = self._store.record, self._store.record.search
        assert search is not None  # noqa: S101
        refused = [part.reason for part in record.parts.values() if part.state is PartState.REFUSED]
        if refused:
            return stopped(search, refused[0] or _GONE)
        runs = [known[run_id] for run_id in record.run_ids]
        judged = [known[run_id] for run_id in (*record.base.carried, *record.base.run_ids)]
        trials = tuple(self._trial(test, search.night, runs, judged) for test in search.tests)
        return replace(search, trials=(*search.trials, *trials), tests=())

    def _trial(self, test: str, night: int, runs: list[RunResult], judged: list[RunResult]) -> Trial:
        blocks = self._options.gate.blocks
        run = next((run for run in runs if run.test_id == test), None)
        if run is None:
            return Trial(test, night, "", Outcome.UNKNOWN, str(Answer.NONE))
        tonight = next((run for run in judged if run.test_id == test and blocks(run)), None)
        shows = answer_of(run, tonight, blocks)
        return Trial(test, night, run.run_id, run.outcome or Outcome.UNKNOWN, str(shows))

    def _planned(self, search: Search) -> tuple[int, tuple[str, ...]] | None:
        """The night that the next round tests, and the tests that run there; None at the end of the search."""
        wanted: dict[int, list[str]] = {}
        for span, step in steps_of(search):
            if isinstance(step, Probe):
                wanted.setdefault(search.places(span)[step.place], []).append(span.test_id)
        return next(((night, tuple(tests)) for night, tests in wanted.items()), None)

    def _start(
        self,
        search: Search,
        night: int,
        tests: tuple[str, ...],
        deadline: float | None,
        request: RunRequest | None,
    ) -> str:
        """Start a round. Returns why it was not started, and an empty text if there are runs to wait for."""
        spent = sum(map(len, self._store.record.confirming)) + len(search.trials)
        if spent + len(tests) > self._rule.max_reruns:
            return f"max_reruns ({self._rule.max_reruns}) is reached"
        if why := self._confirmer.hindrance(deadline, request):
            return why
        targets, place = self._session.service, search.nights[night]
        if request is None or not isinstance(targets, TemporaryTargets):
            return _NO_GROUP
        there = targets.on_deployment(request, place.address, place.commit)
        if there is None:
            return _NO_ADDRESS
        self._log.info("Bisecting: running %s as of %s.", plural(len(tests), "test"), place.text)
        alone = self._temporaries.make(there, tests)
        if alone is None:
            return _NO_GROUP
        return self._submit(replace(search, night=night, tests=tests), place, alone, request)

    def _submit(self, search: Search, place: Deployment, alone: RunRequest, request: RunRequest) -> str:
        before = self._store.record
        base = before.base
        record = replace(
            before,
            parts={alone.label[:200]: Part(alone)},
            held=base.parts,
            carried=tuple(dict.fromkeys((*base.carried, *base.run_ids))),
            search=search,
        )
        try:
            # A later try that found only the run of this round would take its pass for the verdict.
            self._store.keep_for_certain(record)
        except StoreUnavailable as error:
            self._store.record = before
            return one_line(str(error), 200)
        try:
            self._starter.submit_parts(request)
        except (BudgetExhausted, CredentialsRejected, RequestRefused, ServiceUnavailable) as error:
            if self._store.record.unknown:
                raise
            why = one_line(str(error), 300).rstrip(".")
            self._store.keep(given_up(self._store.record, why))
            return why
        return "" if any(part.active for part in self._store.record.parts.values()) else _GONE
