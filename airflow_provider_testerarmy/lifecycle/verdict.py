"""Verdict, reports and summary at the end of a try, from the results that are known by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_testerarmy import metrics
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupts
from airflow_provider_testerarmy.lifecycle.options import Options
from airflow_provider_testerarmy.lifecycle.reporting import report_markdown, write_report
from airflow_provider_testerarmy.lifecycle.search_report import report
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.lifecycle.try_log import TryLog
from airflow_provider_testerarmy.runs.memory.judge import Finding, Standing
from airflow_provider_testerarmy.runs.results import Deployment, Outcome, Phase, RunId, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest, ServiceFault, Submission
from airflow_provider_testerarmy.runs.submission.confirming import Plan, Rule, plan, settled
from airflow_provider_testerarmy.runs.submission.record import Record
from airflow_provider_testerarmy.runs.submission.rerun import own_runs
from airflow_provider_testerarmy.runs.submission.rounds import titles_used, with_rounds
from airflow_provider_testerarmy.runs.text import one_line, plural
from airflow_provider_testerarmy.runs.verdict.early_stop import count_failed, stopped
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate, Verdict, VerdictKind
from airflow_provider_testerarmy.runs.verdict.summary import summarize
from airflow_provider_testerarmy.runs.verdict.titles import titles_of

#: The verdicts that are possible while some runs have not ended. Any other would count untested things as tested.
_NOT_PASSED: Final = frozenset({VerdictKind.FAILED, VerdictKind.ERRORED, VerdictKind.CANCELLED})


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of a try with everything that it is based on, for lineage.

    :param verdict: None for runs that the task did not wait for.
    """

    gate: QualityGate
    verdict: Verdict | None
    results: Sequence[RunResult]
    summary: Mapping[str, Any]


class Judge:
    """Judges the runs of one try.

    :param request: the submitted request, None for a sensor.
    :param tries: keeps what this try says for the tries after it.
    """

    def __init__(
        self,
        session: ServiceSession,
        options: Options,
        request: RunRequest | None,
        task: Any,
        ti: Any,
        log: Any,
        interrupts: Interrupts,
        tries: TryLog,
    ) -> None:
        self._session = session
        self._options = options
        self._request = request
        self._task = task
        self._ti = ti
        self._log = log
        self._interrupts = interrupts
        self._tries = tries

    @metrics.span("testerarmy.judge")
    def judge(
        self,
        known: Mapping[RunId, RunResult],
        record: Record,
        run_ids: Sequence[RunId],
        unconfirmed: str = "",
    ) -> tuple[Verdict, list[RunResult], dict[str, Any]]:
        """Judge runs that have all ended, and write the reports.

        :param known: the results by run id.
        :param unconfirmed: why failures were not confirmed; empty if they were, or need not be.
        :return: the verdict, the results in order, and the summary.
        """
        results = self._together(self._with_titles(_in_order(known, run_ids)), record)
        failed = self.count_failed(results)
        verdict, known_tests = self._judge_night(results)
        if (limit := self._options.stop_after_failures) is not None:
            rejected = submission_of(record).rejected_run_ids
            verdict = stopped(verdict, [run for run in results if run.run_id not in rejected], failed, limit)
        verdict = with_inherited(verdict, results, record)
        if unconfirmed:
            said = f"Failures were not confirmed: {unconfirmed}."
            verdict = replace(verdict, reasons=(*verdict.reasons, said))
        bisected = None if record.search is None else report(record.search, results)
        lines = tuple(str(entry["text"]) for entry in bisected or ())
        decided = tuple(answer.sentence for answer in reversed(record.answers))
        verdict = replace(verdict, reasons=(*decided, *lines, *verdict.reasons))
        summary = self._report(verdict, results, record, run_ids, known_tests, bisected, final=True)
        return verdict, results, summary

    def broken(self, known: Mapping[RunId, RunResult], record: Record) -> dict[str, tuple[Deployment, ...]]:
        """The tests whose new failures fail the gate, each with the nights from its last good to its first bad one.

        :param known: the results of all runs of the record, which have ended.
        """
        memory = self._options.memory
        if memory is None:
            return {}
        results = self._together(_in_order(known, (*record.carried, *record.run_ids)), record)
        judged = memory.preview(self._options.gate, results, now=self._session.clock())
        if judged.verdict.kind is not VerdictKind.FAILED:
            return {}
        return {one.test_id: one.between for one in judged.findings if one.judged and one.between}

    def count_failed(self, results: Sequence[RunResult]) -> int:
        """How many tests have failed for good; 0 if the task does not stop early."""
        if self._options.stop_after_failures is None:
            return 0
        return count_failed(results, self._options.gate.blocks, self._counted(results))

    def settled(
        self, known: Mapping[RunId, RunResult], record: Record, run_ids: Sequence[RunId]
    ) -> tuple[list[RunResult], Callable[[RunResult], bool]]:
        """One result for each test of an earlier generation, and whether a run counts against the gate."""
        return settled(_in_order(known, run_ids), record, self.rule), self._options.gate.blocks

    def plan(self, known: Mapping[RunId, RunResult], record: Record, run_ids: Sequence[RunId]) -> Plan:
        """Which failed tests the gate wants to run again before the verdict, now that all runs have ended."""
        rule = self.rule
        if rule is None:
            return Plan()
        results = _in_order(known, run_ids)
        return plan(results, record, rule, self._counted(results))

    @property
    def rule(self) -> Rule | None:
        """When the gate confirms a failure; None if it never does."""
        gate = self._options.gate
        if gate.confirm is None or self._request is None:
            return None
        rule = gate.confirm
        stop_after = self._options.stop_after_failures
        return Rule(rule.times, rule.of, rule.unless_failing, rule.max_reruns, gate.blocks, stop_after)

    def _counted(self, results: Sequence[RunResult]) -> frozenset[str]:
        """The tests whose failures count. Confirming a known failure would be a waste."""
        tests, memory = frozenset(run.test_id for run in results), self._options.memory
        if memory is None:
            return tests
        judged = memory.preview(self._options.gate, results, now=self._session.clock())
        return tests - {one.test_id for one in judged.findings if not one.judged}

    def _together(self, results: Sequence[RunResult], record: Record) -> list[RunResult]:
        """The results that count, as all rounds together show them, with the owners of their tests."""
        together = with_rounds(settled(results, record, self.rule), record)
        return together if self._options.memory is None else self._options.memory.owned(together)

    def _judge_night(self, results: Sequence[RunResult]) -> tuple[Verdict, list[dict[str, Any]] | None]:
        """The verdict, and the tests that earlier nights keep out of it; None if the gate needs no memory."""
        memory = self._options.memory
        if memory is None:
            return self._options.gate.judge(results), None
        judged, fault = memory.judge(self._options.gate, results, now=self._session.clock())
        verdict = judged.verdict
        if fault is not None:
            said = f"This night is not remembered: {fault}. Failures that are new in it count as new again."
            self._log.warning("%s", said)
            verdict = replace(verdict, reasons=(said, *verdict.reasons))
        return verdict, [_known_entry(one) for one in judged.findings if not one.judged]

    @metrics.span("testerarmy.judge")
    def judge_early(
        self,
        known: Mapping[RunId, RunResult],
        record: Record,
        run_ids: Sequence[RunId],
        why: str,
        *,
        cancelled: bool = False,
        failed: bool = False,
        brief: bool = False,
    ) -> tuple[Verdict, list[RunResult], dict[str, Any]]:
        """As :meth:`judge`, for runs of which some may not have ended. The verdict is never *passed*.

        :param why: why the try ended; the first reason of the verdict.
        :param cancelled: whether the active runs were cancelled.
        :param failed: whether enough tests have failed, so that the verdict is *failed* in any case.
        :param brief: True sends no further request to the service.
        """
        found = list(complete(known, run_ids, cancelled=cancelled).values())
        results = self._together(found if brief else self._with_titles(found), record)
        verdict = self._options.gate.judge(results)
        # A gate may hold without the missing runs, for example with a low ``min_pass_rate``. That is no pass.
        kind = verdict.kind if verdict.kind in _NOT_PASSED else VerdictKind.ERRORED
        kind = VerdictKind.FAILED if failed else kind
        verdict = replace(verdict, kind=kind, reasons=(why, *verdict.reasons))
        return verdict, results, self._report(verdict, results, record, run_ids)

    def unjudged(self, record: Record, run_ids: Sequence[RunId]) -> dict[str, Any]:
        """The summary of runs that the task does not wait for."""
        return self._summary(None, (), record, run_ids)

    def url(self, record: Record, run_ids: Sequence[RunId]) -> str:
        """The dashboard address of the runs, empty if it is unknown."""
        return self._session.service.submission_url(submission_of(record)) if run_ids else ""

    def push(self, summary: Mapping[str, Any]) -> None:
        """Push the summary of a task that fails.

        Airflow pushes a return value only on success, and downstream tasks need the summary of a failure too.
        """
        # A failed task has no return value, so this pushes under the key that it would have had.
        if self._task.do_xcom_push:
            self._ti.xcom_push(key="return_value", value=summary)

    def _report(
        self,
        verdict: Verdict,
        results: Sequence[RunResult],
        record: Record,
        run_ids: Sequence[RunId],
        known_tests: Sequence[Mapping[str, Any]] | None = None,
        bisected: Sequence[Mapping[str, Any]] | None = None,
        *,
        final: bool = False,
    ) -> dict[str, Any]:
        summary = self._summary(verdict, results, record, run_ids, known_tests, bisected)
        # A task may succeed without a single judged run. That deserves attention, so it is logged as a warning.
        say = self._log.warning if verdict.kind is VerdictKind.NOT_JUDGED else self._log.info
        say("Verdict: %s. %s", verdict.kind, " | ".join(verdict.reasons))
        # The runs were counted before a person was asked.
        if record.answer is None:
            self._measure(verdict, results, record)
        if self._options.report_path:
            with metrics.span("testerarmy.report"):
                write_report(
                    self._options.report_path,
                    summary,
                    results,
                    self._log,
                    name=self._name,
                    screenshots=self._options.copy_screenshots,
                    loopback=self._session.hook.endpoint.on_loopback,
                    commit="" if self._request is None else self._request.commit,
                )
        self._tries.keep(summary, record_follows=final)
        return summary

    def _measure(self, verdict: Verdict, results: Sequence[RunResult], record: Record) -> None:
        service, ti = self._session.service.vendor, self._ti
        metrics.count(
            metrics.VERDICTS, service=service, verdict=str(verdict.kind), dag_id=ti.dag_id, task_id=ti.task_id
        )
        # An earlier try has counted the runs that it passes on.
        for run in (run for run in results if run.run_id not in record.carried):
            for outcome in [one.outcome for one in run.attempts] or [run.outcome]:
                if outcome is not None:
                    metrics.count(metrics.RUNS_FINISHED, service=service, outcome=str(outcome))
            if run.outcome is not None and run.duration is not None:
                metrics.took(metrics.RUN_DURATION, run.duration, service=service, outcome=str(run.outcome))

    def _summary(
        self,
        verdict: Verdict | None,
        results: Sequence[RunResult],
        record: Record,
        run_ids: Sequence[RunId],
        known_tests: Sequence[Mapping[str, Any]] | None = None,
        bisected: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        url = self.url(record, run_ids) or next((run.url for run in results if run.url), "")
        markdown = report_markdown(verdict, results, self._log, total=len(run_ids), name=self._name, url=url)
        summary = summarize(
            verdict,
            results,
            run_ids=run_ids,
            batch_id=submission_of(record).batch_id,
            url=url,
            report_markdown=markdown,
            known=known_tests,
            bisected=bisected,
            decisions=[answer.entry() for answer in record.answers] or None,
        )
        self._task._judgement = Judgement(self._options.gate, verdict, results, summary)
        return summary

    @property
    def _name(self) -> str:
        return f"{self._ti.dag_id}.{self._ti.task_id}"

    def _with_titles(self, results: Sequence[RunResult]) -> list[RunResult]:
        project_id = next((run.project_id for run in results if run.project_id), "")
        if self._request is None or not any(run.test_id for run in results):
            return list(results)
        try:
            with self._interrupts.waiting():
                titles = self._session.drive(titles_of(self._session.service, self._request, project_id))
        except ServiceFault as fault:
            self._log.info(
                "The tests' titles could not be read (%s). The report uses the runs' names.", fault
            )
            return list(results)
        return titles_used(results, titles)


def with_inherited(verdict: Verdict, results: Sequence[RunResult], record: Record) -> Verdict:
    """The verdict of a clear that ran only what had not passed. Passes from before the clear alone are no pass."""
    kept = len(results) - len(own := own_runs(record, results))
    if not kept:
        return verdict
    said = f"{plural(kept, 'test')} passed before the clear, which ran only the tests that had not passed."
    if verdict.kind is VerdictKind.PASSED and not any(run.outcome is Outcome.PASSED for run in own):
        none = "No test passed since the task was cleared. Clear the task to run everything again."
        return replace(verdict, kind=VerdictKind.ERRORED, reasons=(none, said, *verdict.reasons))
    return replace(verdict, reasons=(*verdict.reasons, said))


def submission_of(record: Record) -> Submission:
    """All parts that this round has started, as one submission."""
    # A round that repeats single tests has one submission per test. Then no batch covers all of its runs.
    parts = record.submissions
    batches = {part.batch_id for part in parts}
    return Submission(
        record.run_ids,
        tuple(run_id for part in parts for run_id in part.rejected_run_ids),
        batches.pop() if len(batches) == 1 else "",
    )


def complete(
    known: Mapping[RunId, RunResult], run_ids: Sequence[RunId], *, cancelled: bool
) -> dict[RunId, RunResult]:
    """A result for each run, so that the counts cover all of them.

    :param cancelled: whether the active runs were cancelled.
    """
    found = {run_id: known.get(run_id) or _unseen(run_id) for run_id in dict.fromkeys(run_ids)}
    if not cancelled:
        return found
    return {run_id: run if run.finished else _cancelled(run) for run_id, run in found.items()}


def _in_order(known: Mapping[RunId, RunResult], run_ids: Sequence[RunId]) -> list[RunResult]:
    return [known[run_id] for run_id in dict.fromkeys(run_ids)]


def _known_entry(finding: Finding) -> dict[str, Any]:
    first = finding.first
    return {
        "test_id": one_line(finding.test_id, 200),
        "title": finding.title,
        "standing": str(finding.standing),
        "nights": finding.nights,
        "since": datetime.fromtimestamp(first.at, UTC).date().isoformat() if first else None,
        "commit": (first.commit or None) if first else None,
        # Owner, reason and end of a quarantine, which a file beside the DAG may declare.
        **({"note": one_line(finding.text, 200)} if finding.standing is Standing.QUARANTINED else {}),
    }


def _unseen(run_id: RunId) -> RunResult:
    return RunResult(run_id, "not seen", Phase.UNKNOWN)


def _cancelled(run: RunResult) -> RunResult:
    why = "cancelled before it ended"
    return replace(run, status="cancelled", phase=Phase.FINISHED, outcome=Outcome.CANCELLED, reason=why)
