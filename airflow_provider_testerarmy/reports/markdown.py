"""The results as Markdown: for a comment on a pull request, a chat, or an e-mail, so short and safe to paste.

GitHub's dialect: what comes from elsewhere cannot make a link, a mention, a table, a heading or HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow_provider_testerarmy.reports.text import https, line, outcome_of, took
from airflow_provider_testerarmy.reports.view import ORDER, gravity
from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunResult
from airflow_provider_testerarmy.runs.verdict.gate import Verdict, explain

#: Characters; GitHub takes comments of up to 65,536.
MAX_CHARACTERS: Final = 60_000
#: Characters, and bytes of JSON, of what goes into the summary.
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
_HEAD: Final = ("", "| Outcome | Test | Why | Time |", "| --- | --- | --- | --- |")
_MAX_LINK: Final = 400
#: Room for the words on what was left out.
_RESERVE: Final = 60

_SPECIAL: Final = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
#: What begins a heading, a list or a rule where the text is the first of its line.
_BEGINNING: Final = re.compile(r"^(\d{0,9})([#+=.)-])")
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
#: What GitHub and chats make links of by themselves; a character without width inside prevents it.
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
) -> str:
    """Verdict, a table of what did not pass, issues with their severity and links.

    :param summary: as the task returns it.
    :param limit: characters, at least 200.
    """
    words = [str(reason) for reason in summary.get("reasons") or ()]
    sheet = _Sheet(limit)
    sheet.head(summary.get("verdict"), summary.get("counts") or {}, name, summary.get("url"))
    _fill(sheet, words, results)
    return sheet.text()


def brief(
    verdict: Verdict | None, results: Sequence[RunResult], *, total: int, name: str = "", url: str = ""
) -> str:
    """The same in at most 2,000 characters and 5,000 bytes of JSON, for the summary.

    :param verdict: None for runs that are not awaited.
    :param total: how many runs there are.
    """
    summary = {
        "verdict": str(verdict.kind) if verdict else None,
        "reasons": verdict.reasons if verdict else (),
        "counts": verdict.counts if verdict else {"total": total},
        "url": url,
    }
    limit = BRIEF_CHARACTERS
    while len(json.dumps(text := render(summary, results, name=name, limit=limit))) > BRIEF_BYTES:
        limit = limit * 4 // 5
    return text


def escape(text: object, limit: int = 120) -> str:
    """Text of others as inline Markdown that shows it and does nothing else; longer than ``limit`` by escapes."""
    shown = _SPECIAL.sub(r"\\\g<0>", line(text, limit)).translate(_ENTITIES)
    shown = _BEGINNING.sub(r"\1\\\2", shown)
    for pattern, replacement in _SELF_LINKING:
        shown = pattern.sub(replacement, shown)
    return shown


class _Sheet:
    """Lines as long as there is room for them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: list[str] = []
        self._length = 0

    def add(self, *lines: str, reserve: int = 0) -> bool:
        """Add all of the lines, or none when there is no room for them and ``reserve`` more characters."""
        length = sum(len(text) + 1 for text in lines)
        if self._length + length + reserve > self._limit:
            return False
        self._lines += lines
        self._length += length
        return True

    def head(self, verdict: object, counts: Mapping[str, int], name: str, url: object) -> None:
        """The verdict, how many runs came to what, and where to look."""
        word = line(verdict or "started", 20)
        by_outcome = [f"{counts[kind]} {kind}" for kind in map(str, ORDER) if counts.get(kind)]
        total = counts.get("total", 0)
        numbers = f"{', '.join(by_outcome)} of {total}" if by_outcome else f"{total} runs"
        text = f"{_SIGNS.get(word, '▶️')} **{word.capitalize().replace('_', ' ')}**: {numbers}"
        titled = f"{text} · {escape(name, 100)}" if name else text
        link = _link("dashboard", url)
        for head in (f"{titled} · {link}" if link else titled, titled, text):
            if self.add(head):
                return

    def section(self, head: Sequence[str], rows: Sequence[str], noun: str, share: float = 1.0) -> None:
        """Rows under a head, at most a share of the room that is left; then how many were left out."""
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
    # The first reason is the rate; of what did not pass, the table says the rest.
    for reason in reasons[: 1 if broken else 4]:
        sheet.add("", escape(reason, 300), reserve=_RESERVE)
    found = [(run, issue) for run in ranked for issue in run.issues]
    found.sort(key=lambda pair: gravity(pair[1]))
    flaky = [run for run in ranked if run.flaky]
    sheet.section(_HEAD, [_row(run) for run in broken], "runs that did not pass", 0.6 if found else 1.0)
    sheet.section(("", "**Issues**", ""), [_issue(run, issue) for run, issue in found], "issues")
    sheet.section(("", "**Flaky**", ""), [f"- {_name(run)}" for run in flaky], "flaky runs")


def _row(run: RunResult) -> str:
    outcome = str(outcome_of(run))
    why = explain(run).removeprefix(outcome).removeprefix(": ")
    return f"| {outcome} | {_name(run)} | {escape(why, 200)} | {took(run.duration)} |"


def _issue(run: RunResult, issue: Issue) -> str:
    kind = "" if issue.confirmed else " (warning)"
    severity = f"severity {issue.severity}" if issue.severity is not None else "no severity"
    picture = _link("screenshot", issue.screenshot_url)
    links = f" · {picture}" if picture else ""
    return f"- **{severity}**{kind} {escape(issue.name)}, in {_name(run)}{links}"


def _name(run: RunResult) -> str:
    return _link(escape(run.label), run.url) or escape(run.label)


def _link(text: str, url: object) -> str:
    """A link with text that is Markdown already; nothing for an address that cannot be one."""
    address = https(url)
    for char, code in (("(", "%28"), (")", "%29"), ("[", "%5B"), ("]", "%5D"), ("*", "%2A"), ("~", "%7E")):
        address = address.replace(char, code)
    return f"[{text}]({address})" if address and len(address) <= _MAX_LINK else ""
