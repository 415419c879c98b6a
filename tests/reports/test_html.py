from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from airflow_provider_testerarmy.reports import html
from airflow_provider_testerarmy.reports.text import https
from airflow_provider_testerarmy.reports.view import ORDER
from airflow_provider_testerarmy.runs.results import Outcome
from tests.reports.cases import LONG, NAME, NASTY, NIGHT, RUNS, THOUSAND, hostile_run, run, summary_of

ALONE = {"meta", "link", "input", "br"}
OWN_TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "link",
    "style",
    "body",
    "a",
    "header",
    "main",
    "footer",
    "section",
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "span",
    "div",
    "i",
    "b",
    "ul",
    "ol",
    "li",
    "time",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "fieldset",
    "legend",
    "label",
    "input",
    "details",
    "summary",
}
OWN_ATTRIBUTES = {
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "rel",
    "href",
    "class",
    "id",
    "role",
    "aria-hidden",
    "aria-labelledby",
    "tabindex",
    "style",
    "dir",
    "datetime",
    "scope",
    "type",
    "checked",
    "autocomplete",
    "open",
}


class Page(HTMLParser):
    """A parsed page: its elements and its texts by element; checks that all elements are closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ALONE:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(text for tag, text in self.texts if tag != "style").split())


def page_of(results, **gate):
    """Render and parse a page, and check what must hold for every page."""
    text = html.render(summary_of(results[:50], **gate), results, name=NAME)
    assert len(text.encode()) <= html.MAX_BYTES
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= OWN_TAGS
    assert {name for _, attributes in page.elements for name in attributes} <= OWN_ATTRIBUTES
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        target = attributes.get("href", "")
        if target.startswith("#"):
            assert target[1:] in ids
        elif tag == "link":
            assert target == "data:,"
        elif tag == "a":
            assert https(target)
            assert attributes["rel"] == "noopener noreferrer"
        style = attributes.get("style", "")
        assert re.fullmatch(r"|flex-grow:\d+|left:[\d.]+%;width:[\d.]+%", style)
    return page


def test_the_page_needs_and_allows_nothing_else():
    """The page has no script and no URL in its style, and a policy that forbids both."""
    page = page_of(NIGHT)
    [policy] = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert not re.search(r"url\(|@import|expression", "".join(t for tag, t in page.texts if tag == "style"))


def test_what_the_page_says():
    """The page has the verdict with its reasons, and every run with its steps and issues."""
    page = page_of(NIGHT)
    for words in (
        "Failed",
        NAME,
        "Started 2026-02-11 12:00 UTC",
        "took 36 s",
        "2 of 6 judged runs passed",
        "Total is wrong",
        "A hundred times too high.",
        "Expected 24.80",
        "Issue (severity 5)",
        "Warning (severity 2)",
        "Compare.",
        "BROWSER No browser.",
        "flaky",
        "Run r1, test t1, service status: completed",
    ):
        assert words in page.words
    for result in NIGHT:
        assert result.title in page.words
        assert result.url in [link["href"] for link in page.all("a")]


def test_the_order():
    """Runs that need attention come first; passed runs are collapsed."""
    text = html.render(summary_of(NIGHT), NIGHT)
    cards = re.findall(r'<li class="run (\w+)( flaky)?">\s*<details( open)?>', text)
    assert [outcome for outcome, _, _ in cards] == [
        "failed",
        "errored",
        "unknown",
        "cancelled",
        "skipped",
        "passed",
        "passed",
    ]
    assert [bool(opened) for _, _, opened in cards] == [True] * 5 + [False] * 2


def test_people_who_do_not_see_it_can_use_it():
    """The page has landmarks, one h1, no skipped heading level, and names for tables, regions and controls."""
    page = page_of(NIGHT)
    for tag in ("header", "main", "footer", "h1", "title", "legend"):
        assert len(page.all(tag)) == 1
    assert page.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all("aria-labelledby" in section for section in page.all("section"))
    assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))
    skip = next(attributes for tag, attributes in page.elements if tag == "a")
    assert skip["href"] == "#runs"


def test_a_filter_for_each_outcome_there_is():
    """There is one filter per outcome, without a script, and no filter if all runs have the same outcome."""
    page = page_of(NIGHT)
    shows = [control["id"] for control in page.all("input")]
    assert shows == [
        "show-all",
        *[f"show-{name}" for name in ORDER],
        "show-flaky",
    ]
    style = "".join(text for tag, text in page.texts if tag == "style")
    assert all(f"body:has(#{show}:checked)" in style for show in shows[1:])
    assert page_of([run(1), run(2)]).all("input") == []


@pytest.mark.parametrize("text", [NASTY, LONG], ids=["nasty", "3 MB"])
def test_hostile_texts(text):
    """Hostile texts are shown, and become neither markup nor style nor a URL."""
    page = page_of([hostile_run(number, text, outcome) for number, outcome in enumerate(Outcome)])
    assert "<script>alert(1)</script>" in page.words
    external = [link["href"] for link in page.all("a") if not link["href"].startswith("#")]
    assert external == ["https://tester.army/batches/b-7"]
    shown = "".join(shown for _, shown in page.texts)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )


def test_a_thousand_runs():
    """A thousand runs with all their steps fit into 3 MB."""
    page = page_of(THOUSAND)
    assert len(page.all("details")) == 1000
    assert page.words.count("Open the shop") == 8 * 1000
    assert sum("open" in details for details in page.all("details")) == 10


@pytest.mark.parametrize("count", [500, 2500])
def test_more_than_there_is_room_for(count):
    """Details are truncated first, then passed runs, and the page says what was truncated."""
    signed = ("https://cdn.example/" + "a" * 1500,)
    results = [hostile_run(number, NASTY * 9, urls=signed, copies=9) for number in range(count)]
    page = page_of(results)
    assert "Truncated: " in page.words
    shown = len(page.all("details"))
    assert shown == count if count == 500 else f"Truncated: {count - shown} runs." in page.words


def test_what_failed_keeps_its_details_longest():
    """Passed runs lose their details before others do."""
    chatty = [hostile_run(number, NASTY * 9, Outcome.PASSED, copies=9) for number in range(300)]
    page = page_of([*chatty, run(7, Outcome.FAILED, reason="The one reason " + "x" * 1900 + " to its end.")])
    assert "to its end." in page.words


def test_no_runs():
    """The page says that no runs were started."""
    page = page_of([])
    assert "No runs were started." in page.words
    assert page.all("table") == []


def test_a_shared_issue_belongs_to_each_of_its_runs():
    """The same issue in two tests is listed for both."""
    issue = NIGHT[1].issues[0]
    words = page_of([run(1, title="One", issues=(issue,)), run(2, title="Two", issues=(issue,))]).words
    assert "Search is slow One" in words
    assert "Search is slow Two" in words


@settings(max_examples=50)
@given(results=RUNS)
def test_any_results(results):
    """Any results give a valid page, and the same page each time."""
    page_of(results)
    summary = summary_of(results)
    assert html.render(summary, results) == html.render(summary, results)


def colours(style):
    """The colours of the light and the dark theme."""
    light, dark = re.findall(r":root\{(.*?)\}", style, re.DOTALL)
    return [dict(re.findall(r"--(\w+):(#\w{6}|\d+%)", text)) for text in (light, light + dark)]


def luminance(rgb):
    parts = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_all_text_can_be_read(theme):
    """The contrast is at least 4.5 (WCAG 2.2 AA), also on a badge's tinted background."""
    style = "".join(text for tag, text in page_of(NIGHT).texts if tag == "style")
    named = colours(style)[theme]
    rgb = {
        name: [int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        for name, code in named.items()
        if code.startswith("#")
    }
    tint = int(named["tint"].rstrip("%")) / 100
    for name in ("text", "dim", "link", *map(str, Outcome)):
        tinted = [tint * own + (1 - tint) * card for own, card in zip(rgb[name], rgb["card"], strict=True)]
        assert contrast(rgb[name], rgb["card"]) >= 4.5
        assert contrast(rgb[name], rgb["page"]) >= 4.5
        assert contrast(rgb[name], tinted) >= 4.5
