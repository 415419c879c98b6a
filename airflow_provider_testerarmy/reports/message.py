"""A verdict as a message: the same lines for chats, e-mails and pull requests, escaped and limited for each."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy.reports import markdown
from airflow_provider_testerarmy.reports.text import https, line
from airflow_provider_testerarmy.runs.text import plural

#: The word for a task without a verdict.
NONE: Final = "no verdict"
#: The verdicts, the worst first. A message about several tasks has the worst of them.
WORST_FIRST: Final = ("failed", "errored", "cancelled", NONE, "not_judged", "skipped", "passed")
SIGNS: Final = {"passed": "✅", "failed": "❌", "cancelled": "🚫", "skipped": "⏭️"}
#: The most tasks, and the most reasons and tests of each task, that a message names.
TASKS: Final = 50
ENTRIES: Final = 10
#: The limit of a status description at GitHub, in characters
#: (https://docs.github.com/en/rest/commits/statuses).
STATUS: Final = 140
_RESERVE: Final = 40


@dataclass(frozen=True, slots=True)
class Style:
    """How a channel writes text.

    :param escape: makes remote text literal, on one line and of at most that many characters before escapes.
    :param strong: a pattern for bold text.
    :param link: a link with the text "dashboard" to a safe address.
    :param end: the end of a line.
    :param limit: the most characters of a message.
    """

    escape: Callable[[object, int], str]
    strong: str
    link: Callable[[str], str]
    end: str
    limit: int


def _unmentioned(text: object, limit: int) -> str:
    """Plain text that mentions nobody, and that no chat turns into a link."""
    return line(text, limit).replace("@", "@\u200b").replace("://", ":\u200b//")


def _slack(text: object, limit: int) -> str:
    """Text for Slack's mrkdwn. It has no escapes for its marks, and a zero-width space stops each of them."""
    # https://docs.slack.dev/messaging/formatting-message-text: these three characters are the only escapes.
    shown = html.escape(_unmentioned(text, limit), quote=False)
    for mark in "*_~`":
        shown = shown.replace(mark, f"\u200b{mark}\u200b")
    return shown


def _html(text: object, limit: int) -> str:
    return html.escape(line(text, limit))


#: For a text without any format.
PLAIN: Final = Style(_unmentioned, "{}", lambda url: url, "\n", 20_000)
#: Slack shows at most 3,000 characters of a block, and cuts a longer message into several.
SLACK: Final = Style(_slack, "*{}*", lambda url: f"<{html.escape(url)}|dashboard>", "\n", 3_000)
#: The dialect of GitHub, which Teams and Discord understand as well.
MARKDOWN: Final = Style(
    markdown.escape, "**{}**", lambda url: markdown.link("dashboard", url), "  \n", markdown.MAX_CHARACTERS
)
HTML: Final = Style(
    _html, "<b>{}</b>", lambda url: f'<a href="{html.escape(url)}">dashboard</a>', "<br>\n", 100_000
)


@dataclass(frozen=True, slots=True)
class TaskVerdict:
    """The verdict of a task.

    :param name: the task, with its map index.
    :param summary: what the task returned or pushed; empty if it has no verdict.
    :param reason: why it has none.
    """

    name: str
    summary: Mapping[str, Any]
    reason: str = ""

    @property
    def verdict(self) -> str:
        """The word of the verdict, one of :data:`WORST_FIRST`."""
        word = self.summary.get("verdict")
        return word if word in WORST_FIRST else NONE

    @property
    def numbers(self) -> str:
        """For example ``7 of 8 passed``; empty if nothing was counted."""
        counts = self.summary.get("counts")
        counts = counts if isinstance(counts, Mapping) else {}
        passed, total = counts.get("passed"), counts.get("total")
        return f"{int(passed or 0)} of {total} passed" if isinstance(total, int) and self.summary else ""


@dataclass(frozen=True, slots=True)
class Message:
    """The verdicts of one or several tasks of a DAG run, for any channel.

    :param where: the DAG and its run.
    :param tasks: the tasks.
    """

    where: str
    tasks: Sequence[TaskVerdict]

    @property
    def verdict(self) -> str:
        """The worst verdict of the tasks."""
        found = {task.verdict for task in self.tasks}
        return next((word for word in WORST_FIRST if word in found), NONE)

    @property
    def subject(self) -> str:
        """A line without any format, for the subject of an e-mail: at most 150 characters."""
        return _unmentioned(f"{self._words}: {self.where}", 150)

    @property
    def status(self) -> str:
        """A line of at most 140 characters, for the status of a commit."""
        of = self.tasks[0].numbers if len(self.tasks) == 1 else self._counted
        return _cut(_unmentioned(f"{self._words}: {of}" if of else self._words, STATUS), STATUS)

    @property
    def text(self) -> str:
        """Without any format."""
        return self.render(PLAIN)

    @property
    def slack(self) -> str:
        """In Slack's mrkdwn, at most 3,000 characters."""
        return self.render(SLACK)

    @property
    def markdown(self) -> str:
        """In GitHub's Markdown, at most 60,000 characters."""
        return self.render(MARKDOWN)

    @property
    def html(self) -> str:
        """As the content of an e-mail."""
        return self.render(HTML)

    @property
    def url(self) -> str:
        """The dashboard address of the first task that needs attention; empty if there is none."""
        return next((url for task in self._ranked() if (url := https(task.summary.get("url")))), "")

    def render(self, style: Style, limit: int | None = None) -> str:
        """The message in a style.

        :param limit: the most characters, if they are fewer than those of the style.
        """
        most = min(style.limit, limit or style.limit)
        lines: list[str] = []
        length = 0
        rows = self._rows(style)
        for number, row in enumerate(rows):
            left = len(rows) - number
            room = most - length - (_RESERVE if left > 1 else 0)
            if len(row) + len(style.end) > room:
                more = f"… and {plural(left, 'more line')}."
                return style.end.join([*lines, more]) if lines else _cut(more, most)
            lines.append(row)
            length += len(row) + len(style.end)
        return style.end.join(lines)

    @property
    def _words(self) -> str:
        return self.verdict.replace("_", " ").capitalize()

    @property
    def _counted(self) -> str:
        passed = sum(task.verdict == "passed" for task in self.tasks)
        return f"{passed} of {plural(len(self.tasks), 'task')} passed"

    def _ranked(self) -> list[TaskVerdict]:
        return sorted(self.tasks, key=lambda task: WORST_FIRST.index(task.verdict))

    def _rows(self, style: Style) -> list[str]:
        head = f"{SIGNS.get(self.verdict, '⚠️')} {style.strong.format(self._words)}: {style.escape(self.where, 300)}"
        ranked = self._ranked()
        rows = [head, *(row for task in ranked[:TASKS] for row in _rows_of(task, style))]
        return rows if len(ranked) <= TASKS else [*rows, f"… and {len(ranked) - TASKS} more tasks."]


def _rows_of(task: TaskVerdict, style: Style) -> list[str]:
    word = task.verdict.replace("_", " ")
    parts = [f"{style.strong.format(style.escape(task.name, 120))}: {word}", task.numbers]
    if url := https(task.summary.get("url")):
        parts.append(style.link(url))
    rows = [" · ".join(filter(None, parts))]
    if task.verdict == "passed":
        return rows
    if task.reason:
        rows.append(f"• {style.escape(task.reason, 500)}")
    return rows + _limited(_broken(task, style) or _reasons(task, style))


def _broken(task: TaskVerdict, style: Style) -> list[str]:
    """The tests that did not pass."""
    tests = task.summary.get("tests")
    return [
        f"• {style.escape(test.get('title') or test.get('test_id') or 'a test', 120)}: "
        f"{style.escape(test.get('outcome') or 'unknown', 60)}"
        for test in (tests if isinstance(tests, list) else ())
        if isinstance(test, Mapping) and test.get("outcome") != "passed"
    ]


def _reasons(task: TaskVerdict, style: Style) -> list[str]:
    reasons = task.summary.get("reasons")
    return [f"• {style.escape(reason, 500)}" for reason in (reasons if isinstance(reasons, list) else ())]


def _limited(rows: list[str]) -> list[str]:
    return rows if len(rows) <= ENTRIES else [*rows[:ENTRIES], f"• … and {len(rows) - ENTRIES} more"]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
