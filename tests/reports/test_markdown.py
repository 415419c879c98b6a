from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from airflow_provider_testerarmy.reports import markdown
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import MAX_BYTES, summarize
from tests.reports.cases import ISSUE, LONG, NAME, NASTY, NIGHT, RUNS, hostile_run, run, summary_of

READER = MarkdownIt("commonmark", {"html": True}).enable("table")
OWN_TOKENS = {"text", "softbreak", "strong_open", "strong_close", "link_open", "link_close", "text_special"}
OWN_BLOCKS = {"paragraph", "table", "thead", "tbody", "tr", "th", "td", "bullet_list", "list_item"}


def read(text):
    """Parse the text, check what must hold for every text, and return its links and visible words."""
    links, words = [], []
    for block in READER.parse(text):
        assert block.type == "inline" or block.type.rpartition("_")[0] in OWN_BLOCKS
        for token in block.children or ():
            assert token.type in OWN_TOKENS
            if token.type == "link_open":
                links.append(token.attrs["href"])
            words.append(token.content)
        # Two blocks are not one text: a title "#" before the word "queued" is no link.
        words.append("\n")
    shown = "".join(words)
    # What GitHub links although it is only text.
    assert not re.search(r"@\w|#\w|(?i:\bgh-\d)|://|(?i:\bwww\.)", shown)
    return links, shown


def brief_of(results, **options):
    """Render the text for the summary, and check that it fits."""
    verdict = QualityGate().judge(results)
    text = markdown.brief(verdict, results, total=len(results), **options)
    assert len(text) <= 2000
    ids = [result.run_id for result in results]
    summary = summarize(verdict, results, run_ids=ids, report_markdown=text)
    assert len(json.dumps(summary).encode()) <= MAX_BYTES
    assert summary["report_markdown"] == text
    return text


def test_a_usual_night():
    """The text has the verdict, the runs that did not pass, the issues, and links."""
    assert markdown.render(summary_of(NIGHT), NIGHT, name=NAME) == (
        "❌ **Failed**: 1 failed, 1 errored, 1 unknown, 1 cancelled, 1 skipped, 2 passed of 7 · shop.nightly · "
        "[dashboard](https://tester.army/batches/b-7)\n"
        "\n"
        "2 of 6 judged runs passed (33.3%; 100.0% needed).\n"
        "\n"
        "| Outcome | Test | Reason | Time |\n"
        "| --- | --- | --- | --- |\n"
        '| failed | [Checkout](https://tester.army/runs/1) | issue "Total is wrong" (severity 5); step "Pay" '
        "failed (ASSERTION) - Compare. | 30 s |\n"
        "| errored | [Upload](https://tester.army/runs/3) | BROWSER: No browser. | 30 s |\n"
        "| unknown | [Returns](https://tester.army/runs/6) | ended in the unknown state 'completed', which is not "
        "a pass | 30 s |\n"
        "| cancelled | [Newsletter](https://tester.army/runs/4) |  | 30 s |\n"
        "| skipped | [Gift cards](https://tester.army/runs/5) | Nothing to test. | 30 s |\n"
        "\n"
        "**Issues**\n"
        "\n"
        "- **Issue (severity 5)** Total is wrong, in [Checkout](https://tester.army/runs/1) · "
        "[screenshot](https://cdn.example/shot.png?sig=a&b=c)\n"
        "- **Warning (severity 2)** Search is slow, in [Checkout](https://tester.army/runs/1)\n"
        "- **Warning (severity 2)** Search is slow, in [Search](https://tester.army/runs/0)\n"
        "\n"
        "**Flaky**\n"
        "\n"
        "- [Log in](https://tester.army/runs/2)\n"
    )


def test_a_gate_that_passed_runs_break():
    """Without failed runs there is no table; the reasons explain the verdict."""
    results = [run(1, issues=(ISSUE,))]
    text = markdown.render(summary_of(results, max_severity=3), results)
    assert text.startswith("❌ **Failed**: 1 passed of 1")
    assert "above the allowed severity 3" in read(text)[1]


def test_all_passed():
    """If all runs passed, the text has two lines."""
    assert brief_of([run(1), run(2)]).count("\n") == 3


def test_runs_that_are_not_awaited():
    """Without waiting there is no verdict yet."""
    text = markdown.brief(None, (), total=3, url="https://tester.army/b")
    assert text == "▶️ **Started**: 3 runs · [dashboard](https://tester.army/b)\n"


@pytest.mark.parametrize("text", [NASTY, LONG, "- a", "# a", "1. a", "> a", "===", "    code"])
def test_hostile_texts(text):
    """Hostile texts become no link, table, mention, heading or HTML."""
    results = [hostile_run(number, text, outcome) for number, outcome in enumerate(Outcome)]
    whole = markdown.render(summary_of(results), results, name=text)
    assert set(read(whole)[0]) == {"https://tester.army/batches/b-7"}
    rows = [row for row in whole.splitlines() if row.startswith("|")]
    assert len(rows) == 2 + 5
    assert read(brief_of(results, name=text))[0] == []


@pytest.mark.parametrize("limit", [200, 1000, 60_000])
def test_a_thousand_failures(limit):
    """The table has as many rows as fit, and says how many more there are."""
    results = [run(number, Outcome.FAILED, issues=(ISSUE,)) for number in range(1000)]
    text = markdown.render(summary_of(results), results, limit=limit)
    assert len(text) <= limit
    assert len(text) > limit // 4
    if limit > 200:
        left_out = re.search(r"and (\d+) more runs that did not pass", text)
        assert text.count("\n| failed") + int(left_out[1]) == 1000


@pytest.mark.parametrize("title", ["🧦" * 200, "價" * 200, '"\\' * 100])
def test_the_summary_keeps_its_bound(title):
    """Characters that JSON escapes count with their escapes, and do not crowd out the table."""
    results = [run(number, Outcome.FAILED, title=title, issues=(ISSUE,) * 5) for number in range(300)]
    text = brief_of(results)
    assert len(json.dumps(text)) <= markdown.BRIEF_BYTES
    assert "| failed |" in text


def test_a_summary_without_room():
    """When the texts alone fill the summary, it omits the report and stays within its limit."""
    summary = summarize(None, (), run_ids=["a"], url="🧦" * 2000, report_markdown="x")
    assert (summary["url"], summary["report_markdown"]) == (None, None)
    assert len(json.dumps(summary).encode()) <= MAX_BYTES


@given(results=RUNS, limit=st.integers(200, 3000))
def test_any_results(results, limit):
    """Any results give a bounded, harmless text, and the same one each time."""
    summary = summary_of(results)
    text = markdown.render(summary, results, limit=limit)
    assert len(text) <= limit
    assert markdown.render(summary, results, limit=limit) == text
    read(text)
    brief_of(results)
