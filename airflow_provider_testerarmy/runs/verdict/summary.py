"""The summary that a task returns as its XCom: a JSON document of bounded size for any number of runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.runs.verdict.gate import Verdict

#: The maximum size of a summary in bytes of JSON. Airflow stores XComs in its database, and shows them whole.
MAX_BYTES: Final = 16 * 1024
#: The maximum number of entries of each list; the most important entries come first.
MAX_ENTRIES: Final = {
    "reasons": 20,
    "issues": 20,
    "tests": 60,
    "run_ids": 150,
    "known": 20,
    "bisected": 5,
    "decisions": 10,
}
#: The XCom that says what a task has started. The task pushes it before it waits, so it exists for every verdict.
NOTE: Final = "test_runs"


def note(
    label: str,
    title: str = "",
    url: str = "",
    *,
    environment: str = "",
    address: str = "",
    commit: str = "",
    rejected: Sequence[RunId] = (),
) -> dict[str, Any]:
    """What a task has started, as JSON values without secrets, for lists of tasks.

    :param label: what was started in the vendor's words; empty if something else started the runs.
    :param title: the title of the test or group.
    :param url: the dashboard page of the runs.
    :param environment, address: where the product was tested; empty if the task does not say so.
    :param commit: what was tested; empty if the task does not say so.
    :param rejected: the runs that the service rejected on submission.
    """
    return {
        "version": 1,
        "label": one_line(label, 200),
        "title": one_line(title, 200),
        "url": one_line(url, 2000),
        "environment": one_line(environment, 200),
        "address": one_line(address, 200),
        "commit": one_line(commit, 64),
        "rejected": [_shown(run_id) for run_id in rejected[: MAX_ENTRIES["run_ids"]]],
    }


def summarize(
    verdict: Verdict | None,
    results: Sequence[RunResult],
    *,
    run_ids: Sequence[RunId],
    batch_id: str = "",
    url: str = "",
    report_markdown: str | None = None,
    known: Sequence[Mapping[str, Any]] | None = None,
    bisected: Sequence[Mapping[str, Any]] | None = None,
    decisions: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The verdict and the results as JSON values of at most 16 KiB.

    :param verdict: None for runs that the task did not wait for, which have neither passed nor failed.
    :param run_ids: the ids of all runs, in the order in which they were started.
    :param url: the dashboard page of the runs.
    :param report_markdown: a Markdown report, which is added under this key. The key is absent if this is None,
        and null if the report does not fit.
    :param known: the tests that were not judged because of earlier nights. The key is absent if this is None.
    :param bisected: the failures that were bisected, with what was tried. The key is absent if this is None.
    :param decisions: what people have decided, the last one at the end. The key is absent if this is None.
    :return: ``verdict``, ``reasons``, ``counts``, ``run_ids``, ``batch_id``, ``url``, ``issues`` (the most severe
        first), ``tests`` (one entry per run, those that did not pass first), ``flaky`` (the number of runs that
        passed only on a later attempt), ``started_at`` (of the first run to start), ``finished_at`` (of the last
        run to finish) and ``truncated`` (the number of omitted entries of each list).
    """
    # Lists are truncated at their end, so the runs that need attention come first.
    ranked = sorted(results, key=lambda run: run.outcome is Outcome.PASSED and not run.issues)
    summary: dict[str, Any] = {
        "verdict": str(verdict.kind) if verdict else None,
        "reasons": [one_line(reason, 500) for reason in verdict.reasons] if verdict else [],
        "counts": dict(verdict.counts) if verdict else {"total": len(run_ids)},
        "run_ids": [_shown(run_id) for run_id in run_ids],
        "batch_id": one_line(batch_id, 200) or None,
        "url": one_line(url, 2000) or None,
        "issues": [_issue_entry(run, issue) for run, issue in _gravest_first(ranked)],
        "tests": [_test_entry(run) for run in ranked],
        "flaky": sum(run.flaky for run in results),
        "started_at": _moment(min, (run.started_at for run in results)),
        "finished_at": _moment(max, (run.finished_at for run in results)),
    }
    if known is not None:
        summary["known"] = list(known)
    if bisected is not None:
        summary["bisected"] = list(bisected)
    if decisions is not None:
        summary["decisions"] = list(decisions)
    if report_markdown is not None:
        summary["report_markdown"] = report_markdown
    return _bounded(summary)


def _gravest_first(results: Iterable[RunResult]) -> list[tuple[RunResult, Issue]]:
    found = [(run, issue) for run in results for issue in run.issues]
    return sorted(found, key=lambda pair: (not pair[1].confirmed, -(pair[1].severity or 0)))


def _issue_entry(run: RunResult, issue: Issue) -> dict[str, Any]:
    return {
        "test": one_line(run.label, 120),
        "run_id": _shown(run.run_id),
        "name": one_line(issue.name, 160),
        "type": "issue" if issue.confirmed else "warning",
        "severity": issue.severity,
        "url": one_line(run.url, 2000) or None,
    }


def _test_entry(run: RunResult) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "run_id": _shown(run.run_id),
        "test_id": one_line(run.test_id, 200) or None,
        "title": one_line(run.label, 120),
        "outcome": str(run.outcome) if run.outcome else one_line(run.status, 60),
    }
    if run.duration is not None and math.isfinite(run.duration) and run.duration >= 0:
        entry["seconds"] = round(run.duration, 1)
    if run.attempts:
        entry["attempts"] = [
            {"run_id": _shown(one.run_id), "outcome": str(one.outcome) if one.outcome else None}
            for one in run.attempts
        ]
    if run.owner:
        entry["owner"] = one_line(run.owner, 120)
    return {**entry, "flaky": True} if run.flaky else entry


def _moment(
    choose: Callable[[Iterable[datetime]], datetime], moments: Iterable[datetime | None]
) -> str | None:
    known = [
        moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments if moment is not None
    ]
    return choose(known).isoformat(timespec="seconds") if known else None


def _shown(run_id: RunId) -> RunId:
    return run_id if isinstance(run_id, int) else one_line(run_id, 200)


def _bounded(summary: dict[str, Any]) -> dict[str, Any]:
    lengths = {name: len(summary[name]) for name in MAX_ENTRIES if name in summary}
    for name in lengths:
        del summary[name][MAX_ENTRIES[name] :]
    while _size(summary, lengths) > MAX_BYTES:
        largest = max(lengths, key=lambda name: len(json.dumps(summary[name])))
        if not summary[largest]:
            # All lists are empty, and only texts are left. Drop the Markdown, which repeats the other fields.
            summary.update(dict.fromkeys(summary.keys() & {"report_markdown", "url"}))
            break
        del summary[largest][len(summary[largest]) * 3 // 4 :]
    return _with_truncated(summary, lengths)


def _with_truncated(summary: dict[str, Any], lengths: Mapping[str, int]) -> dict[str, Any]:
    cut = {
        name: length - len(summary[name]) for name, length in lengths.items() if length > len(summary[name])
    }
    return {**summary, "truncated": cut}


def _size(summary: dict[str, Any], lengths: Mapping[str, int]) -> int:
    return len(json.dumps(_with_truncated(summary, lengths)).encode())
