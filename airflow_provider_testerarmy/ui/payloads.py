"""What the browser gets: every text is cleaned and truncated, and every URL is checked.

No input is trusted: users can edit an XCom, a report can be replaced, and the site under test wrote a run's texts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_testerarmy.reports.failure import failure
from airflow_provider_testerarmy.reports.pictures import NAME, addresses, before, stems
from airflow_provider_testerarmy.reports.text import https, is_valid_time, line
from airflow_provider_testerarmy.reports.view import (
    DETAILS,
    ORDER,
    Detail,
    IssueView,
    Timeline,
    severity_rank,
    view_run,
)
from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunId, RunResult
from airflow_provider_testerarmy.runs.verdict.gate import VerdictKind

Json = dict[str, Any]

#: How much of one run the tab shows; the report has the rest.
_DETAIL: Final = DETAILS[1]
#: Attempts of a test that the tab shows. A gate may ask for more, but hardly anybody does.
MAX_ATTEMPTS: Final = 20
#: Outcomes and phases of a run that nobody reports as a failure.
_NO_FAILURE: Final = frozenset({"passed", "skipped", "running", "queued", "cancelled"})
_NO_LINE: Final = Timeline(())
_OUTCOMES: Final = frozenset(map(str, Outcome))
_COUNTED: Final = ("total", *map(str, ORDER))
_VERDICTS: Final = frozenset(map(str, VerdictKind)) | _OUTCOMES


def run_key(run_id: RunId) -> str:
    """A run's id as text, which browser and server use as its key (Docket's ids are integers)."""
    return line(run_id, 200)


def run_row(run: RunResult) -> Json:
    """One row of the list of runs."""
    severities = [issue.severity for issue in run.issues if issue.severity is not None]
    return {
        "id": run_key(run.run_id),
        "title": line(run.label, 160),
        "outcome": outcome_of(run),
        "seconds": run.duration if is_valid_time(run.duration) else None,
        "flaky": run.flaky,
        "issues": len(run.issues),
        "attempts": [
            {
                "id": run_key(one.run_id),
                "outcome": str(one.outcome or Outcome.UNKNOWN),
                "url": https(one.url),
            }
            for one in run.attempts[:MAX_ATTEMPTS]
        ],
        "worst": max(severities, default=None),
        "owner": line(run.owner, 120),
        "test_id": line(run.test_id, 200),
        "started": _instant(run.started_at),
        "ended": _instant(run.finished_at),
    }


def outcome_of(run: RunResult) -> str:
    """The outcome of a finished run; the phase (queued or running) of any other."""
    if run.finished:
        return str(run.outcome or Outcome.UNKNOWN)
    return str(run.phase) if run.phase in (Phase.QUEUED, Phase.RUNNING) else str(Phase.RUNNING)


def run_detail(run: RunResult) -> Json:
    """One run with its issues, steps and screenshots. Pass the result to :func:`with_copies` before sending it."""
    view = view_run(1, run, _NO_LINE, _DETAIL)
    names = stems(run)
    return {
        **run_row(run),
        "status": view.status,
        "test_id": view.test_id,
        "reason": view.reason,
        "code": view.code,
        "url": view.url,
        "video": view.video,
        "findings": [_issue(issue) for issue in view.issues],
        "steps": [
            {
                "title": step.title,
                "kind": step.kind,
                "passed": step.passed,
                "summary": step.summary,
                "error": step.error,
                "code": step.code,
                "hint": step.hint,
                "time": step.time,
                "bar": [step.bar.start, step.bar.width] if step.bar else None,
            }
            for step in view.steps
        ],
        "pictures": _pictures(run, names, _DETAIL),
        "left_out": view.left_out,
        "markdown": failure(view) if view.outcome not in _NO_FAILURE else "",
    }


def _issue(issue: IssueView) -> Json:
    return {
        "name": issue.name,
        "confirmed": issue.confirmed,
        "severity": issue.severity,
        "description": issue.description,
        "url": issue.url,
        "expected": issue.expected,
        "actual": issue.actual,
        "reproduction": list(issue.reproduction),
    }


def _pictures(run: RunResult, names: Mapping[str, str], detail: Detail) -> list[Json]:
    # Several issues may share a screenshot; the most severe one, which comes last here, names it.
    minor_first = sorted(run.issues, key=severity_rank, reverse=True)
    of_issues = {issue.screenshot_url: line(issue.name, 120) for issue in minor_first}
    of_steps = {url: (line(step.title, 120), step.passed) for step in run.steps for url in step.screenshots}
    earlier = before(run)
    shown = []
    for url in addresses(run)[: detail.pictures]:
        step, passed = of_steps.get(url, ("", True))
        shown.append(
            {
                "stem": names[url],
                "link": https(url),
                "of": of_issues.get(url, ""),
                "step": step,
                "failed": not passed,
                "before": names[earlier[url]] if url in earlier else "",
            }
        )
    return shown


def with_copies(detail: Json, copies: Mapping[str, str]) -> Json:
    """The run with each screenshot as the name of its copy, or as a link where there is no copy.

    :param copies: the file names of the existing copies, by stem.
    """
    pictures = [
        {
            "copy": copies.get(picture["stem"], ""),
            "link": picture["link"],
            **{name: picture[name] for name in ("of", "step", "failed")},
            "before": copies.get(picture["before"], ""),
        }
        for picture in detail["pictures"]
    ]
    shown = [picture for picture in pictures if picture["copy"] or picture["link"]]
    return {**detail, "pictures": shown}


def is_copy(name: str) -> bool:
    """Whether this is a valid file name for a screenshot copy."""
    return bool(NAME.fullmatch(name))


# -- of summaries


def shown_summary(summary: Mapping[str, Any]) -> Json:
    """The verdict, its reasons, the counts and the issues of a summary."""
    truncated = _mapping(summary.get("truncated"))
    return {
        "verdict": verdict_of(summary),
        "reasons": [line(reason, 500) for reason in _list(summary.get("reasons"))[:20]],
        "more_reasons": _count(truncated.get("reasons")),
        "counts": _counts(summary),
        "flaky": _count(summary.get("flaky")),
        "batch_id": line(summary.get("batch_id") or "", 200),
        "issues": [
            {
                "id": line(issue.get("run_id", ""), 200),
                "test": line(issue.get("test", ""), 160),
                "name": line(issue.get("name", ""), 200),
                "confirmed": issue.get("type") == "issue",
                "severity": _severity(issue.get("severity")),
            }
            for issue in map(_mapping, _list(summary.get("issues"))[:20])
        ],
        "known": known_tests(summary),
        "more_known": _count(truncated.get("known")),
        "more_issues": _count(truncated.get("issues")),
        "started": _text_instant(summary.get("started_at")),
        "ended": _text_instant(summary.get("finished_at")),
    }


def verdict_and_times(
    summary: Mapping[str, Any], rejected: Collection[str]
) -> tuple[str, Json, float | None]:
    """A summary's verdict and counts, as :func:`with_rejected` has them, and its duration in seconds."""
    shown = with_rejected({"verdict": verdict_of(summary), "counts": _counts(summary)}, rejected)
    started, ended = _text_instant(summary.get("started_at")), _text_instant(summary.get("finished_at"))
    return shown["verdict"], shown["counts"], seconds_between(started, ended)


def seconds_between(started: float | None, ended: float | None) -> float | None:
    """The time between two times; None if one is unknown or they are in the wrong order."""
    return ended - started if started is not None and ended is not None and ended >= started else None


def _counts(summary: Mapping[str, Any]) -> Json:
    given = _mapping(summary.get("counts"))
    return {kind: count for kind in _COUNTED if (count := _count(given.get(kind)))}


def ids_truncated(summary: Mapping[str, Any]) -> bool:
    """Whether a summary lacks some run ids because of its size limit."""
    return _count(_mapping(summary.get("truncated")).get("run_ids")) > 0


def summary_rows(summary: Mapping[str, Any]) -> list[Json]:
    """The runs that a summary lists, those that did not pass first. The summary of a large group is truncated."""
    rows = []
    for test in map(_mapping, _list(summary.get("tests"))[:1000]):
        outcome, seconds = test.get("outcome"), test.get("seconds")
        is_time = (
            isinstance(seconds, int | float) and not isinstance(seconds, bool) and is_valid_time(seconds)
        )
        rows.append(
            {
                "id": line(test.get("run_id", ""), 200),
                "test_id": line(test.get("test_id") or "", 200),
                "title": line(test.get("title", ""), 160),
                "outcome": outcome if outcome in _OUTCOMES else "unknown",
                "seconds": seconds if is_time else None,
                "flaky": test.get("flaky") is True,
                "owner": line(test.get("owner") or "", 120),
                "attempts": [_attempt(one) for one in _list(test.get("attempts"))[:MAX_ATTEMPTS]],
            }
        )
    return rows


def _attempt(value: Any) -> Json:
    attempt = _mapping(value)
    outcome = attempt.get("outcome")
    known = isinstance(outcome, str) and outcome in _OUTCOMES
    return {"id": line(attempt.get("run_id", ""), 200), "outcome": outcome if known else "unknown", "url": ""}


def known_tests(summary: Mapping[str, Any]) -> list[Json]:
    """The tests that earlier nights or a quarantine exclude, with their standing; none in earlier versions."""
    return [
        {
            "test_id": line(test.get("test_id") or "", 200),
            "title": line(test.get("title", ""), 160),
            "standing": line(test.get("standing", ""), 60),
            "nights": _count(test.get("nights")),
            "since": _text_instant(test.get("since")),
            "commit": line(test.get("commit") or "", 40),
            "note": line(test.get("note") or "", 200),
        }
        for test in map(_mapping, _list(summary.get("known"))[:1000])
    ]


def with_rejected(summary: Json, rejected: Collection[str]) -> Json:
    """A shown summary that counts rejected runs as such, and not as cancelled ones.

    To the service, a run that it rejects at once (a duplicate, a quota) is a cancelled run.

    :param rejected: the keys of the runs that the service rejected on submission.
    """
    counts = dict(summary["counts"])
    moved = min(len(rejected), counts.get("cancelled", 0))
    if not moved:
        return summary
    counts["cancelled"] -= moved
    counts["rejected"] = moved
    all_rejected = summary["verdict"] == "cancelled" and not counts["cancelled"]
    return {**summary, "counts": counts, "verdict": "rejected" if all_rejected else summary["verdict"]}


def marked_rejected(row: Json, rejected: Collection[str]) -> Json:
    """The row, with the outcome `rejected` in place of `cancelled` if the run was rejected."""
    return {**row, "outcome": "rejected"} if row["id"] in rejected and row["outcome"] == "cancelled" else row


def verdict_of(summary: Mapping[str, Any]) -> str:
    """The verdict, or an empty string."""
    verdict = summary.get("verdict")
    return verdict if isinstance(verdict, str) and verdict in _VERDICTS else ""


def ids_of(values: Iterable[Any]) -> list[RunId]:
    """The values that can be run ids, without duplicates."""
    fit = [value for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
    return list(dict.fromkeys(fit))


def stamp(moment: datetime | None) -> float | None:
    """A time as seconds since the epoch."""
    return _instant(moment)


def _instant(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    # A time without a zone is taken as UTC, in which Airflow stores all times.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _text_instant(text: Any) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        return _instant(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _severity(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 99 else None


def _count(value: Any) -> int:
    # Python's JSON parser accepts NaN and Infinity, and bool is a subclass of int.
    fits = isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
    return max(0, min(int(value), 10**9)) if fits else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
