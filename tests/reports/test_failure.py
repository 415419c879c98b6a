"""A failure as Markdown for an issue tracker."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from airflow_provider_testerarmy.reports.failure import failure
from airflow_provider_testerarmy.reports.text import https
from airflow_provider_testerarmy.reports.view import DETAILS, Timeline, view_run
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from tests.reports.cases import hostile_run

READER = MarkdownIt("commonmark", {"html": True}).enable("table")
OWN = {
    *("text", "softbreak", "strong_open", "strong_close", "link_open", "link_close", "text_special"),
    "code_inline",
}
BLOCKS = {"heading", "paragraph", "bullet_list", "ordered_list", "list_item"}
ISSUE = Issue(
    "Total is wrong",
    True,
    5,
    "The cart adds tax twice.",
    "https://shop.example/cart",
    "12 EUR",
    "14 EUR",
    ("Open the cart", "Read the total"),
)
RUN = RunResult(
    "run-1",
    "completed",
    Phase.FINISHED,
    Outcome.FAILED,
    title="Checkout (web)",
    url="https://tester.army/runs/1",
    issues=(ISSUE,),
    steps=(Step("Open the cart", True), Step("Pay", False, error="No button", error_code="NOT_FOUND")),
)


def markdown_of(run: RunResult) -> str:
    return failure(view_run(1, run, Timeline(()), DETAILS[1]))


def links_of(text: str) -> list[str]:
    """Parse the text, check what must hold for every text, and return its links."""
    links, words = [], []
    for block in READER.parse(text):
        assert block.type == "inline" or block.type.rpartition("_")[0] in BLOCKS
        for token in block.children or ():
            assert token.type in OWN
            words += [token.content] if token.type == "text" else []
            links += [str(token.attrs["href"])] if token.type == "link_open" else []
    assert not re.search(r"@\w|#\w|(?i:\bgh-\d)|://|(?i:\bwww\.)", "".join(words))
    return links


def test_a_failure_has_title_issue_steps_and_links() -> None:
    assert markdown_of(RUN) == (
        "### Checkout (web)\n"
        "\n"
        "**Total is wrong** (issue, severity 5)\n"
        "\n"
        "The cart adds tax twice.\n"
        "\n"
        "* Expected: 12 EUR\n"
        "* Actual: 14 EUR\n"
        "* [Page](https://shop.example/cart)\n"
        "\n"
        "To reproduce:\n"
        "\n"
        "1. Open the cart\n"
        "2. Read the total\n"
        "\n"
        "**Steps**\n"
        "\n"
        "1. ✅ Open the cart\n"
        "2. ❌ Pay — `NOT_FOUND` No button\n"
        "\n"
        "[Run](https://tester.army/runs/1) · run `run-1`\n"
    )
    assert links_of(markdown_of(RUN)) == ["https://shop.example/cart", "https://tester.army/runs/1"]


def test_hostile_text_stays_text() -> None:
    """No text of a run becomes a link, a mention, HTML or a heading of its own."""
    text = markdown_of(hostile_run(1))
    assert links_of(text) == []
    assert text.count("\n#") == 0


@given(st.text(max_size=60))
def test_any_text_stays_text(text: str) -> None:
    issue = Issue(text, True, None, text, text, text, text, (text,))
    step = Step(text, False, text, text, text, text, text)
    run = RunResult(
        text,
        text,
        Phase.FINISHED,
        Outcome.FAILED,
        title=text,
        reason=text,
        error_code=text,
        issues=(issue,),
        steps=(step,),
    )
    # Only an address that is https on its own becomes a link.
    assert set(links_of(markdown_of(run))) <= {https(text)}


def test_a_long_list_of_steps_is_cut() -> None:
    steps = tuple(Step(f"Step {number}", number < 59) for number in range(60))
    run = RunResult("1", "completed", Phase.FINISHED, Outcome.FAILED, title="T", steps=steps)
    text = failure(view_run(1, run, Timeline(()), DETAILS[0]))
    assert "40. " in text
    assert "41. " not in text
    assert "and 20 more" in text
