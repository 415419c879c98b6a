"""Renders the results as JUnit XML, in the dialect that the strictest of the usual readers accepts.

The Jenkins xUnit plugin validates reports, and its schema allows no properties in a test case. So a run's ids and
links are lines ``[[PROPERTY|name=value]]`` at the top of its ``system-out``, as other tools write them. Properties
of the whole submission are properties of the suite.

========== ==================================================================================
outcome    in the file
========== ==================================================================================
passed     a test case without a result; with ``[[PROPERTY|flaky=true]]`` if it was flaky;
           ``failure`` if an issue contradicts the pass
failed     ``failure``
errored    ``error``
unknown    ``error``: the run is not known to have passed
cancelled  ``error``: the test was not run, so it did not pass. ``skipped`` if the gate allows it
skipped    ``skipped``
========== ==================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET  # used for writing only, so hostile XML is no concern

from airflow_provider_testerarmy.reports.text import (
    DEFAULT_NAME,
    block,
    format_duration,
    https,
    is_valid_time,
    line,
    outcome_of,
    verdict_of,
)
from airflow_provider_testerarmy.reports.view import Timeline, severity_rank
from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunResult, Step
from airflow_provider_testerarmy.runs.verdict.explanation import describe_issue, explain, shown_attempts

#: Limits in characters: of the text of all runs together, and of one run.
_ALL_TEXT: Final = 8_000_000
_MOST_TEXT: Final = 30_000
_MAX_ENTRIES: Final = 100


def render(
    summary: Mapping[str, Any], results: Sequence[RunResult], *, name: str = "", commit: str = ""
) -> str:
    """Render the document: one suite for the submission, one test case per run in the order of the results.

    :param summary: the summary that the task returns.
    :param name: the name of the suite and the class name of its cases. Readers use both names to match a test with
        its earlier results, so keep it stable.
    :param commit: the commit that was tested; empty if it is unknown.
    """
    suite_name = line(name, 200) or DEFAULT_NAME
    verdict = verdict_of(summary)
    kinds = [_kind(outcome_of(run), verdict, contradicts=_contradicts_itself(run)) for run in results]
    totals: Any = {
        "tests": str(len(results)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
    }
    timeline = Timeline(results)
    seconds = _seconds(
        timeline.seconds or sum(run.duration for run in results if is_valid_time(run.duration))
    )
    top = ET.Element("testsuites", name=suite_name, time=seconds, **totals)
    suite = ET.SubElement(
        top, "testsuite", name=suite_name, time=seconds, skipped=str(kinds.count("skipped")), **totals
    )
    if timeline.began:
        suite.set("timestamp", timeline.began.replace(tzinfo=None).isoformat(timespec="seconds"))
    _add_properties(suite, summary, results, commit)
    room = min(_MOST_TEXT, _ALL_TEXT // max(1, len(results)))
    for title, kind, run in zip(_titles(results), kinds, results, strict=True):
        _add_case(suite, title, suite_name, kind, run, room)
    # Indented, so that a diff or an editor can show it; readers ignore the white space.
    ET.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _contradicts_itself(run: RunResult) -> bool:
    """Whether the service says that a run passed while one of its issues says that it did not.

    A failed step alone is no contradiction: an agent may fail at a step, find another way, and pass.
    """
    return run.outcome is Outcome.PASSED and any(issue.contradicts_pass for issue in run.issues)


def _kind(outcome: Outcome, verdict: str, *, contradicts: bool = False) -> str:
    if outcome is Outcome.CANCELLED:
        return "skipped" if verdict in ("passed", "skipped", "not_judged") else "error"
    return {
        Outcome.PASSED: "failure" if contradicts else "",
        Outcome.FAILED: "failure",
        Outcome.SKIPPED: "skipped",
    }.get(outcome, "error")


def _titles(results: Sequence[RunResult]) -> Iterator[str]:
    """A unique name for each case: readers merge cases of the same name, so duplicates get their test id."""
    titles = [line(run.label, 200) or f"run {line(run.run_id, 80)}" for run in results]
    often = Counter(titles)
    seen: Counter[str] = Counter()
    for title, run in zip(titles, results, strict=True):
        full = f"{title} [{line(run.test_id or run.run_id, 80)}]" if often[title] > 1 else title
        seen[full] += 1
        yield full if seen[full] == 1 else f"{full} #{seen[full]}"


def _add_properties(
    suite: ET.Element, summary: Mapping[str, Any], results: Sequence[RunResult], commit: str
) -> None:
    values = {
        "verdict": verdict_of(summary),
        "batch_id": line(summary.get("batch_id") or ""),
        "url": https(summary.get("url")),
        "commit": line(commit, 64),
        "flaky": str(sum(run.flaky for run in results)),
    }
    values |= {
        f"reason.{number}": line(reason, 500) for number, reason in enumerate(summary.get("reasons") or (), 1)
    }
    properties = ET.SubElement(suite, "properties")
    for key, value in values.items():
        if value:
            ET.SubElement(properties, "property", name=key, value=value)


def _add_case(suite: ET.Element, title: str, class_name: str, kind: str, run: RunResult, room: int) -> None:
    case = ET.SubElement(suite, "testcase", name=title, classname=class_name)
    if is_valid_time(run.duration):
        case.set("time", _seconds(run.duration))
    if kind:
        outcome = outcome_of(run)
        result = ET.SubElement(case, kind, message=line(_headline(run), 500))
        if kind != "skipped":
            result.set("type", str(outcome))
            result.text = block(_what_broke(run), min(4000, room))
    ET.SubElement(case, "system-out").text = _joined(_output(run, room), room)


def _headline(run: RunResult) -> str:
    if _contradicts_itself(run):
        return next(issue.name for issue in run.issues if issue.contradicts_pass)
    return explain(run)


def _what_broke(run: RunResult) -> str:
    step = run.failed_step
    parts = [block(run.reason, 1500)]
    parts += [line(describe_issue(issue), 300) for issue in sorted(run.issues, key=severity_rank)[:10]]
    parts += list(_step_lines(step, 1500)) if step else []
    return "\n".join(part for part in [*parts, https(run.url)] if part)


def _joined(lines: Iterator[str], room: int) -> str:
    """The first lines, in at most ``room`` characters; further lines are not generated."""
    kept, left = [], room
    for text in lines:
        kept.append(text)
        left -= len(text) + 1
        if left < 0:
            break
    whole = "\n".join(kept)
    return whole if len(whole) <= room else whole[: room - 1] + "…"


def _output(run: RunResult, room: int) -> Iterator[str]:
    properties = {
        "run_id": line(run.run_id),
        "test_id": line(run.test_id),
        "owner": line(run.owner, 120),
        "status": line(run.status, 60),
        "outcome": str(outcome_of(run)),
        "flaky": "true" if run.flaky else "",
        "attempts": shown_attempts(run),
        "error_code": line(run.error_code, 60),
        "url": https(run.url),
        "video_url": https(run.video_url),
    }
    yield from (f"[[PROPERTY|{key}={_neutralize(value)}]]" for key, value in properties.items() if value)
    if run.flaky:
        yield "Flaky: it passed, but not at the first attempt."
    share = max(80, room // 20)
    if run.reason:
        yield _neutralize(block(run.reason, min(2000, share)))
    for issue in sorted(run.issues, key=severity_rank)[:_MAX_ENTRIES]:
        yield from map(_neutralize, _issue_lines(issue, share))
    for number, step in enumerate(run.steps[:_MAX_ENTRIES], 1):
        first, *rest = _step_lines(step, share)
        yield _neutralize(f"{number}. {first}")
        yield from map(_neutralize, rest)
    yield from (f"Screenshot: {shown}" for url in run.screenshots[:_MAX_ENTRIES] if (shown := https(url)))


def _issue_lines(issue: Issue, limit: int) -> Iterator[str]:
    yield line(describe_issue(issue), 300)
    details = {
        "": issue.description,
        "Expected: ": issue.expected,
        "Actual: ": issue.actual,
        "At: ": https(issue.url),
        "Screenshot: ": https(issue.screenshot_url),
    }
    yield from (f"   {key}{_indented(block(value, limit))}" for key, value in details.items() if value)
    yield from (f"   - {line(step, min(300, limit))}" for step in issue.reproduction_steps[:20])


def _step_lines(step: Step, limit: int) -> Iterator[str]:
    lasted = step.ended - step.started if is_valid_time(step.started) and is_valid_time(step.ended) else None
    time = f" ({format_duration(lasted)})" if format_duration(lasted) else ""
    yield f"[{'ok' if step.passed else 'FAILED'}] {line(step.title)}{time}"
    code = f"{line(step.error_code, 60)}: " if step.error_code else ""
    for text in (step.summary, code + step.error[: 4 * limit], step.hint):
        if text:
            yield f"   {_indented(block(text, limit))}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n   ")


def _neutralize(text: str) -> str:
    """The text without ``[[`` and ``]]``, so that it can forge no property and no attachment.

    Jenkins and GitLab attach any file that a line ``[[ATTACHMENT|path]]`` names
    (https://plugins.jenkins.io/junit-attachments/).
    """
    return text.replace("[[", "[ [").replace("]]", "] ]")


def _seconds(value: float) -> str:
    return f"{value:.3f}"
