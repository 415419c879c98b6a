"""The words of pages and code: phrases that we do not use, each with a better one, and the length of sentences."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, REPOSITORY
from tests.docs.prose import handwritten, plain, sentences, texts

#: Words that a sentence may have.
MOST = 30
PACKAGE = REPOSITORY / "airflow_provider_testerarmy"
CODE = [
    *sorted(PACKAGE.rglob("*.py")),
    *sorted(
        path for path in (PACKAGE / "ui" / "static").iterdir() if path.suffix in (".js", ".html", ".css")
    ),
]
#: Written by `make docs` from docstrings, which are checked where they stand.
HANDWRITTEN = [page for page in PAGES if page.name != "reference.md"]

#: A phrase, as a regular expression, and what to write instead.
BANNED = {
    r"what becomes of": "what happens to, outcome",
    r"(?:left|leaves?|leaving)(?: \w+)? alone": "rate-limited, not touched, ignored",
    r"(?:asks?|asked|asking)(?: \w+)? for itself": "polled individually",
    r"put (?:a|its|the|this|that) questions?|questions? (?:is|are|was|were) put": "send a request",
    r"(?:is|are|was|were|be) over\b(?! [\d{%])": "has finished, has passed",
    r"\bnews\b": "events, results",
    r"\bsightings?\b": "result, state",
    r"\btold\b": "notified, distinguished",
    r"\b(?:bears?|borne)\b": "accept, handle",
    r"\b(?:two|any|on a|one|another) looks?\b|\blooks? at (?:a |the )?runs?\b": "poll, status check",
    r"one good answer|no good answer": "a successful request",
    r"no longer young": "(shorter at first)",
    r"may be left out": "optional",
    r"answers? (?:as|like) (?:both|the (?:real|service|vendor)|TesterArmy|Docket)": "a local stand-in for",
    r"in clear\b": "unencrypted",
    r"\bone may see|may not see": "that you can access, You don't have access",
    r"nothing like that|no \w+ is like that": "No matching ...",
    r"how to see it": "Steps to reproduce",
    r"(?:it|was) found on": "Page",
    r"for want of": "Truncated, because ... is missing",
    r"no verdict task refused": "No verdict · refused",
    r"none of 1 run": "No runs were judged",
    r"ended as [“\"]": "service status: completed",
    r"choose something else": "Change the filters.",
    r"started: everything": "Test or group: All",
    r"for links and may": "optional; used only for dashboard links",
    r"one match is adopted, none is sent again": "three bullets",
    r"this went wrong": "Something went wrong",
    r"run this page from top to bottom": "Every command on this page is tested",
    r"came to another end": "the outcome changed",
    r"begins like a": "has a ... signature",
    r"somebody who waits": "a waiter",
    r"question that is under way": "concurrent requests are coalesced",
}


def banned(text: str) -> list[str]:
    """Each phrase of the text that has a better one."""
    return [
        f"{found[0]!r}: write {better!r}"
        for phrase, better in BANNED.items()
        for found in re.finditer(phrase, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", HANDWRITTEN, ids=lambda page: page.name)
def test_a_page_has_no_banned_phrase(page: Path) -> None:
    """Also in its tables and headings."""
    assert banned(" ".join(plain(handwritten(page)).split())) == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_code_has_no_banned_phrase(path: Path) -> None:
    """In docstrings, messages, and what the browser shows."""
    found = [f"line {line}: {each}" for line, text in texts(path) for each in banned(text)]
    assert found == []


@pytest.mark.parametrize("page", HANDWRITTEN, ids=lambda page: page.name)
def test_no_sentence_is_too_long(page: Path) -> None:
    """A reader reads it once."""
    assert [each for each in sentences(page) if len(each.split()) > MOST] == []


def test_sentences_are_found() -> None:
    """Code counts as one word, a link as its text; tables and code blocks do not count."""
    page = REPOSITORY / "docs" / "glossary.md"
    assert [*sentences(page)] == ["Code, messages and pages use each of these words with one meaning."]
    assert max(len(each.split()) for each in sentences(REPOSITORY / "README.md")) > 10
