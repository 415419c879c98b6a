"""Renders the results as Markdown for a pull request, a chat or an e-mail: short, and safe to paste.

The dialect is GitHub's. Remote text cannot create a link, a mention, a table, a heading or HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from airflow_provider_testerarmy.reports.bisected import Bisected, bisected
from airflow_provider_testerarmy.reports.commits import UNKNOWN, Repository, short
from airflow_provider_testerarmy.reports.text import format_duration, https, issue_label, line, outcome_of
from airflow_provider_testerarmy.reports.view import ORDER, severity_rank
from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunResult
from airflow_provider_testerarmy.runs.verdict.explanation import explain, shown_attempts
from airflow_provider_testerarmy.runs.verdict.gate import Verdict

#: Limit in characters. GitHub answers 422 "Body is too long (maximum is 65536 characters)" to longer comments.
MAX_CHARACTERS: Final = 60_000
#: Limits of the report in the summary, in characters and in bytes of JSON.
BRIEF_CHARACTERS: Final = 2_000
BRIEF_BYTES: Final = 5_000

_SIGNS: Final = {
    "passed": "✅",
    "failed": "❌",
    "errored": "⚠️",
    "cancelled": "🚫",
    "skipped": "⏭️",
    "not_judged": "⚠️",
}
_HEAD: Final = ("", "| Outcome | Test | Reason | Time |", "| --- | --- | --- | --- |")
_MAX_LINK: Final = 400
#: Characters reserved for the note on how many entries were left out.
_RESERVE: Final = 60

_SPECIAL: Final = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
#: Characters that start a heading, a list or a rule at the beginning of a line.
_BEGINNING: Final = re.compile(r"^(\d{0,9})([#+=.)-])")
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
#: What GitHub and chats turn into links by themselves; a zero-width space inside prevents it.
_SELF_LINKING: Final = (
    (re.compile(r"@"), "@\u200b"),
    (re.compile(r"#(?=\w)"), "#\u200b"),
    (re.compile(r"(?i)\bGH-(?=\d)"), "GH-\u200b"),
    (re.compile(r":(?=//)"), ":\u200b"),
    (re.compile(r"(?i)\b(www)\."), "\\1\u200b."),
)


def render(
    summary: Mapping[str, Any],
    results: Sequence[RunResult],
    *,
    name: str = "",
    limit: int = MAX_CHARACTERS,
    commit: str = "",
    repository: Repository = UNKNOWN,
) -> str:
    """Render the verdict, a table of the runs that did not pass, and the issues with severity and links.

    :param summary: the summary that the task returns.
    :param limit: the most characters, at least 200.
    :param commit: the commit that was tested; empty if it is unknown.
    :param repository: the repository that commits link to.
    """
    words = [str(reason) for reason in summary.get("reasons") or ()]
    sheet = _Sheet(limit)
    sheet.head(summary.get("verdict"), summary.get("counts") or {}, name, summary.get("url"))
    if commit:
        sheet.add("", f"Commit {_commit(short(commit), repository.commit_url(commit))}", reserve=_RESERVE)
    _fill(sheet, words, results)
    rows = [_bisected(one) for one in bisected(summary, repository)]
    sheet.section(("", "**Bisected failures**", ""), rows, "bisected failures")
    return sheet.text()


def brief(
    verdict: Verdict | None, results: Sequence[RunResult], *, total: int, name: str = "", url: str = ""
) -> str:
    """Render the same for the summary, in at most 2,000 characters and 5,000 bytes of JSON.

    :param verdict: None for a task that does not wait for its runs.
    :param total: the number of runs.
    """
    summary = {
        "verdict": str(verdict.kind) if verdict else None,
        "reasons": verdict.reasons if verdict else (),
        "counts": verdict.counts if verdict else {"total": total},
        "url": url,
    }
    limit = BRIEF_CHARACTERS
    # JSON escapes can make the text up to six times as long, so its encoded size is checked as well.
    while len(json.dumps(text := render(summary, results, name=name, limit=limit))) > BRIEF_BYTES:
        limit = limit * 4 // 5
    return text


def escape(text: object, limit: int = 120) -> str:
    """Remote text as inline Markdown that is shown literally. Escapes may make it longer than ``limit``."""
    shown = _SPECIAL.sub(r"\\\g<0>", line(text, limit)).translate(_ENTITIES)
    shown = _BEGINNING.sub(r"\1\\\2", shown)
    for pattern, replacement in _SELF_LINKING:
        shown = pattern.sub(replacement, shown)
    return shown


class _Sheet:
    """A list of lines with a limit on their total length."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: list[str] = []
        self._length = 0

    def add(self, *lines: str, reserve: int = 0) -> bool:
        """Add all lines, or none if they and ``reserve`` more characters do not fit."""
        length = sum(len(text) + 1 for text in lines)
        if self._length + length + reserve > self._limit:
            return False
        self._lines += lines
        self._length += length
        return True

    def head(self, verdict: object, counts: Mapping[str, int], name: str, url: object) -> None:
        """Add the verdict, the number of runs per outcome, and a link to the dashboard."""
        word = line(verdict or "started", 20)
        by_outcome = [f"{counts[kind]} {kind}" for kind in map(str, ORDER) if counts.get(kind)]
        total = counts.get("total", 0)
        numbers = f"{', '.join(by_outcome)} of {total}" if by_outcome else f"{total} runs"
        text = f"{_SIGNS.get(word, '▶️')} **{word.capitalize().replace('_', ' ')}**: {numbers}"
        titled = f"{text} · {escape(name, 100)}" if name else text
        address = link("dashboard", url)
        for head in (f"{titled} · {address}" if address else titled, titled, text):
            if self.add(head):
                return

    def section(self, head: Sequence[str], rows: Sequence[str], noun: str, share: float = 1.0) -> None:
        """Add rows under a head, using at most a share of the space left, and how many rows were left out."""
        if not rows:
            return
        outside = int((self._limit - self._length) * (1 - share))
        if not self.add(*head, rows[0], reserve=_RESERVE + outside):
            self.add("", f"{len(rows)} {noun}.")
            return
        shown = 1
        while shown < len(rows) and self.add(rows[shown], reserve=_RESERVE + outside):
            shown += 1
        if shown < len(rows):
            self.add("", f"… and {len(rows) - shown} more {noun}.")

    def text(self) -> str:
        return "".join(f"{text}\n" for text in self._lines)


def _fill(sheet: _Sheet, reasons: Sequence[str], results: Sequence[RunResult]) -> None:
    ranked = sorted(results, key=lambda run: ORDER.index(outcome_of(run)))
    broken = [run for run in ranked if outcome_of(run) is not Outcome.PASSED]
    # The first reason is the rate. The others repeat what the table says about the runs that did not pass.
    for reason in reasons[: 1 if broken else 4]:
        sheet.add("", escape(reason, 300), reserve=_RESERVE)
    found = [(run, issue) for run in ranked for issue in run.issues]
    found.sort(key=lambda pair: severity_rank(pair[1]))
    flaky = [run for run in ranked if run.flaky]
    sheet.section(_HEAD, [_row(run) for run in broken], "runs that did not pass", 0.6 if found else 1.0)
    sheet.section(("", "**Issues**", ""), [_issue(run, issue) for run, issue in found], "issues")
    sheet.section(("", "**Flaky**", ""), [_flaky(run) for run in flaky], "flaky runs")


def _row(run: RunResult) -> str:
    outcome = str(outcome_of(run))
    # The reason is cut, so the owner has a place of its own.
    why = explain(replace(run, owner="")).removeprefix(outcome).removeprefix(": ")
    owner = f" ({escape(run.owner, 60)})" if run.owner else ""
    return f"| {outcome} | {_name(run)}{owner} | {escape(why, 200)} | {format_duration(run.duration)} |"


def _issue(run: RunResult, issue: Issue) -> str:
    picture = link("screenshot", issue.screenshot_url)
    links = f" · {picture}" if picture else ""
    label = issue_label(issue.confirmed, issue.severity)
    return f"- **{label}** {escape(issue.name)}, in {_name(run)}{links}"


def _flaky(run: RunResult) -> str:
    return f"- {_name(run)}" + (f" (attempts: {shown_attempts(run)})" if run.attempts else "")


def _bisected(found: Bisected) -> str:
    tried = []
    for night in found.tried:
        where = filter(None, (_commit(night.commit, night.commit_url), escape(night.address, 300)))
        tried.append(f"  - {night.date}, {' '.join(where)}: {night.outcome} ({night.shows})")
    return "\n".join((f"- {escape(found.text, 800)}", *tried))


def _commit(commit: str, url: str) -> str:
    return link(escape(commit), url) or escape(commit)


def _name(run: RunResult) -> str:
    return link(escape(run.label), run.url) or escape(run.label)


def link(text: str, url: object) -> str:
    """A link whose text is already Markdown; empty if the URL is not safe to link to."""
    address = https(url)
    # Markdown ends a link at an unbalanced parenthesis, and chats interpret * and ~ even inside URLs.
    for char, code in (("(", "%28"), (")", "%29"), ("[", "%5B"), ("]", "%5D"), ("*", "%2A"), ("~", "%7E")):
        address = address.replace(char, code)
    return f"[{text}]({address})" if address and len(address) <= _MAX_LINK else ""
