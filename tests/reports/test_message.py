"""The message of a verdict in each channel's form: escaped, limited, and never a pass by accident."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.reports.message import (
    HTML,
    MARKDOWN,
    PLAIN,
    SLACK,
    WORST_FIRST,
    Message,
    TaskVerdict,
)

STYLES = {"plain": PLAIN, "slack": SLACK, "markdown": MARKDOWN, "html": HTML}
HOSTILE = "<!channel> @everyone *x* _y_ `z` <b>&amp;</b> [a](https://evil.example) ![](x)\r\n# Passed\u202e"


def message(verdict="failed", *titles, tasks=1, **more):
    tests = [{"title": title, "outcome": "failed"} for title in titles]
    summary = {"verdict": verdict, "counts": {"total": 9, "passed": 1}, "tests": tests, **more}
    return Message("nightly · manual", [TaskVerdict(f"task{number}", summary) for number in range(tasks)])


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_hostile_title_stays_on_its_line(style):
    plain = message("failed", "x").render(style).count("\n")
    text = message("failed", HOSTILE).render(style)
    assert text.count("\n") == plain
    assert "\u202e" not in text


@pytest.mark.parametrize("style", [PLAIN, SLACK, MARKDOWN], ids=["plain", "slack", "markdown"])
def test_nobody_is_mentioned(style):
    text = message("failed", HOSTILE).render(style)
    assert "@everyone" not in text
    assert "https://evil" not in text


def test_slack_shows_marks_as_they_are():
    text = message("failed", HOSTILE).slack
    assert "<" not in text
    assert not re.search(r"(?<![\u200b\w])[*_`](?!\u200b)\w", text.partition("• ")[2])


def test_html_has_the_message_s_own_elements_only():
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, attrs))

    text = message("failed", HOSTILE, "</b><script>", url='https://tester.army/"onclick="x').html
    Reader().feed(text)
    assert {tag for tag, _ in found} == {"b", "br"}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_link_is_safe(style):
    assert "javascript" not in message("failed", "x", url="javascript:alert(1)").render(style)
    assert "https://tester.army/r" in message("failed", "x", url="https://tester.army/r").render(style)


@given(title=st.text(max_size=400), count=st.integers(1, 12), tasks=st.sampled_from([1, 3, 60]))
def test_every_form_is_limited(title, count, tasks):
    made = message("failed", *[title] * count, tasks=tasks)
    for style in STYLES.values():
        text = made.render(style)
        assert len(text) <= style.limit
        assert len(made.render(style, 200)) <= 200
    assert len(made.status) <= 140
    assert len(made.subject) <= 200
    assert "\n" not in made.status + made.subject


def test_a_truncated_message_says_so():
    text = message("failed", *[f"test {number}" for number in range(9)], tasks=49).slack
    assert re.search(r"… and \d+ more lines\.$", text)


@given(st.lists(st.sampled_from([*WORST_FIRST, "unheard", None]), max_size=6))
def test_a_pass_needs_a_pass(words):
    """And nothing that was not tested."""
    made = Message("x", [TaskVerdict("t", {"verdict": word, "counts": {}}) for word in words])
    passed = bool(words) and set(words) <= {"passed"}
    assert (made.verdict == "passed") == passed
    assert ("✅" in made.text) == passed


@pytest.mark.parametrize(
    "summary",
    [
        {"verdict": "failed", "counts": None, "tests": 7, "reasons": {"a": 1}, "url": 5},
        {"verdict": ["passed"], "counts": {"total": "8", "passed": None}},
        {"verdict": "failed", "counts": {"total": 3}, "tests": [None, {"title": None}, 5], "reasons": [7]},
    ],
)
def test_an_edited_xcom_breaks_nothing(summary):
    """Users can edit XComs."""
    made = Message("x", [TaskVerdict("t", summary)])
    for style in STYLES.values():
        assert made.render(style)
    assert made.status
