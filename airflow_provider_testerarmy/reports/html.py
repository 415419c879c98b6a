"""Renders the results as one self-contained HTML page, without scripts, requests or external resources.

People may open the page years later, in a browser that is signed in elsewhere, and it shows text from the site
under test. So Jinja escapes every text, links are https only, and a content security policy forbids the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow_provider_testerarmy.reports.bisected import bisected
from airflow_provider_testerarmy.reports.commits import UNKNOWN, Repository, short
from airflow_provider_testerarmy.reports.text import (
    DEFAULT_NAME,
    format_duration,
    https,
    issue_label,
    line,
    outcome_of,
    verdict_of,
)
from airflow_provider_testerarmy.reports.view import DETAILS, ORDER, Timeline, severity_rank, view_run
from airflow_provider_testerarmy.runs.results import Outcome, RunId, RunResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

#: The size limit of a page, whatever the number of runs and the length of their texts.
MAX_BYTES: Final = 2_900_000
#: The part of it that is reserved for everything but the runs.
_FRAME_BYTES: Final = 300_000
#: Levels of detail (indexes into DETAILS) for passed runs and for all others. The first pair that fits is used, so
#: passed runs lose their details first.
_STEPS_DOWN: Final = ((0, 0), (1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (4, 4))
#: How many of the runs that did not pass are expanded when the page opens.
_OPENED: Final = 10
_MAX_ISSUES: Final = 100
#: Size limit of the run ids in the page's head, which tell the tab to which task a report belongs.
_IDS_BYTES: Final = 100_000
_IDS: Final = re.compile(rb'<meta name="test-run-ids" content="([^"]*)">')
#: A sign next to each word, because colour must not be the only cue (WCAG 2.2, success criterion 1.4.1).
SIGNS: Final = {
    "passed": "✓",
    "failed": "✕",
    "errored": "!",
    "unknown": "?",
    "cancelled": "\u2013",
    "skipped": "»",
    "not_judged": "◌",
}


@dataclass(frozen=True, slots=True)
class _IssueRow:
    severity: int | None
    confirmed: bool
    name: str
    test: str
    anchor: str


@dataclass(frozen=True, slots=True)
class _Reason:
    text: str
    anchor: str


def render(
    summary: Mapping[str, Any],
    results: Sequence[RunResult],
    *,
    name: str = "",
    copies: Mapping[str, str] | None = None,
    commit: str = "",
    repository: Repository = UNKNOWN,
) -> str:
    """Render the page, at most :data:`MAX_BYTES` of UTF-8.

    :param summary: the summary that the task returns.
    :param name: the heading, e.g. ``dag_id.task_id``.
    :param copies: URLs of screenshot copies, relative to the page, by the screenshot's original URL.
    :param commit: the commit that was tested; empty if it is unknown.
    :param repository: the repository that commits link to.
    """
    ranked = sorted(results, key=lambda run: (ORDER.index(outcome_of(run)), not run.issues, not run.flaky))
    cards = _cards(ranked, copies or {})
    shown = ranked[: len(cards)]
    counts = Counter(str(outcome_of(run)) for run in results)
    timeline = Timeline(results)
    issues = _issues(shown)
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            name=line(name, 200) or DEFAULT_NAME,
            verdict=verdict_of(summary),
            reasons=_reasons(summary, shown),
            more_reasons=(summary.get("truncated") or {}).get("reasons", 0),
            counts=[(str(kind), counts[str(kind)]) for kind in ORDER if counts[str(kind)]],
            total=len(results),
            flaky=sum(run.flaky for run in results),
            began=timeline.began,
            took=format_duration(timeline.seconds),
            url=https(summary.get("url")),
            batch_id=line(summary.get("batch_id") or "", 200),
            commit=short(commit),
            commit_url=repository.commit_url(commit),
            bisected=bisected(summary, repository),
            issues=issues,
            more_issues=sum(len(run.issues) for run in results) - len(issues),
            cards=cards,
            more_runs=len(results) - len(cards),
            filters=[str(kind) for kind in ORDER if counts[str(kind)]],
            signs=SIGNS,
            ids=_ids(results),
        )
    )


def ids_in(page: bytes) -> frozenset[str] | None:
    """The ids of the runs that a page is about; None for a page of a version that did not write them."""
    # Only the part before <title> is searched: everything after it may hold text from the site under test.
    found = _IDS.search(page, 0, page.find(b"<title>"))
    return frozenset(found.group(1).decode("utf-8", "replace").split()) if found else None


def id_in_page(run_id: RunId) -> str:
    """A run's id as it is written in a page's head: percent-encoded, so without spaces and quotes."""
    return quote(line(run_id, 200), safe="")


def _ids(results: Sequence[RunResult]) -> list[str]:
    """The run ids, as many as fit."""
    ids = [id_in_page(run.run_id) for run in results]
    ends = accumulate(len(one) + 1 for one in ids)
    return [one for one, end in zip(ids, ends, strict=True) if end <= _IDS_BYTES]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("airflow_provider_testerarmy.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["issue_label"] = issue_label
    return environment


def _cards(ranked: Sequence[RunResult], copies: Mapping[str, str]) -> list[str]:
    """The runs as HTML fragments, with the most detail at which all of them fit."""
    macro: Callable[..., str] = getattr(_environment().get_template("run.html.jinja").module, "card")  # noqa: B009
    timeline = Timeline(ranked)
    opened = {number for number, run in enumerate(ranked) if outcome_of(run) is not Outcome.PASSED}
    opened = {number for number in opened if number < _OPENED}
    room = MAX_BYTES - _FRAME_BYTES

    @cache
    def card(number: int, level: int) -> tuple[str, int]:
        view = view_run(number + 1, ranked[number], timeline, DETAILS[level], copies)
        text = macro(view, number in opened, SIGNS)
        return text, len(text.encode())

    for passed, other in _STEPS_DOWN:
        levels = [passed if outcome_of(run) is Outcome.PASSED else other for run in ranked]
        total = 0
        for number, level in enumerate(levels):
            total += card(number, level)[1]
            if total > room:
                break
        else:
            return [card(number, level)[0] for number, level in enumerate(levels)]
    return _as_many_as_fit([card(number, len(DETAILS) - 1) for number in range(len(ranked))], room)


def _as_many_as_fit(cards: Sequence[tuple[str, int]], room: int) -> list[str]:
    kept = []
    for text, size in cards:
        room -= size
        if room < 0:
            break
        kept.append(text)
    return kept


def _reasons(summary: Mapping[str, Any], shown: Sequence[RunResult]) -> list[_Reason]:
    """The gate's reasons; a run's URL at the end of a reason becomes a link to that run on the page."""
    anchors = {run.url: f"#run-{number}" for number, run in enumerate(shown, 1) if run.url}
    reasons = []
    for reason in summary.get("reasons") or ():
        text, _, url = str(reason).rpartition(" ")
        known = url in anchors
        reasons.append(_Reason(line(text if known else reason, 500), anchors.get(url, "")))
    return reasons


def _issues(shown: Sequence[RunResult]) -> list[_IssueRow]:
    """The most severe issues of all runs."""
    found = [(number, run, issue) for number, run in enumerate(shown, 1) for issue in run.issues]
    return [
        _IssueRow(issue.severity, issue.confirmed, line(issue.name), line(run.label, 160), f"#run-{number}")
        for number, run, issue in sorted(found, key=lambda entry: severity_rank(entry[2]))[:_MAX_ISSUES]
    ]
