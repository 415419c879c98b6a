"""One failed run as Markdown, for an issue tracker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from airflow_provider_testerarmy.reports.markdown import escape
from airflow_provider_testerarmy.reports.text import https
from airflow_provider_testerarmy.reports.view import IssueView, RunView

#: The most characters of a sentence, and the most entries of a list.
_TEXT: Final = 600
_ENTRIES: Final = 40


def failure(run: RunView) -> str:
    """Title, steps, expected and actual result, and links. Remote text is shown literally.

    :param run: a run that did not pass.
    """
    lines = [f"### {escape(run.title, 160)}", ""]
    if run.reason or run.code:
        lines += [" ".join(filter(None, (_code(run.code), escape(run.reason, _TEXT)))), ""]
    for issue in run.issues:
        lines += [*_issue(issue), ""]
    steps = list(_steps(run))
    if steps:
        lines += ["**Steps**", "", *steps, ""]
    links = [
        f"[{name}]({url})" for name, url in (("Run", _link(run.url)), ("Recording", _link(run.video))) if url
    ]
    lines.append(" · ".join([*links, f"run `{_plain(run.run_id)}`"]))
    return "\n".join(lines) + "\n"


def _issue(issue: IssueView) -> Iterator[str]:
    rated = f"severity {issue.severity}" if issue.severity is not None else "no severity given"
    yield f"**{escape(issue.name, 200)}** ({'issue' if issue.confirmed else 'warning'}, {rated})"
    if issue.description:
        yield ""
        yield escape(issue.description, _TEXT)
    facts = (("Expected", issue.expected), ("Actual", issue.actual))
    told = [f"* {name}: {escape(text, _TEXT)}" for name, text in facts if text]
    if page := _link(issue.url):
        told.append(f"* [Page]({page})")
    if told:
        yield ""
        yield from told
    if issue.reproduction:
        yield ""
        yield "To reproduce:"
        yield ""
        for number, step in enumerate(issue.reproduction[:_ENTRIES], 1):
            yield f"{number}. {escape(step, _TEXT)}"


def _steps(run: RunView) -> Iterator[str]:
    for number, step in enumerate(run.steps[:_ENTRIES], 1):
        said = " ".join(filter(None, (_code(step.code), escape(step.error, _TEXT))))
        mark = "✅" if step.passed else "❌"
        yield f"{number}. {mark} {escape(step.title, 200)}{f' — {said}' if said else ''}"
    if len(run.steps) > _ENTRIES:
        yield f"\nand {len(run.steps) - _ENTRIES} more"


def _code(code: str) -> str:
    return f"`{_plain(code)}`" if code else ""


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum() or letter in "-_.:")[:200]


def _link(url: str) -> str:
    # A bracket would end the link's address.
    return https(url).replace("(", "%28").replace(")", "%29")
