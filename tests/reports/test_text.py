from __future__ import annotations

import sys
import unicodedata

import pytest

from airflow_provider_testerarmy.reports.text import block, format_duration, https, line
from tests.reports.cases import LONG, NASTY, SCRIPT_URLS


def test_what_cannot_be_read_is_left_out():
    """Controls, formats, surrogates, private use and noncharacters are removed, for all of Unicode."""
    gone = {"Cc", "Cf", "Cs", "Co"}
    kept = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if (unicodedata.category(chr(code)) in gone or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF)
        and set(block(f"a{chr(code)}b", 9)) - set("ab\n\t")
    ]
    assert kept == []


def test_what_can_be_read_stays():
    """Text in any script is kept; only formats, such as the joiner between emojis, are removed."""
    text = "Preis: 12,40 € / 價格 цена السعر 🧦\n\tline two"
    assert block(text, 100) == text
    assert line(text, 100) == text.replace("\n\t", " ")


def test_colours_of_a_terminal_are_left_out():
    """Terminal escape sequences are removed as a whole."""
    assert line("\x1b[1;31mred\x1b[0m") == "red"


@pytest.mark.parametrize("limit", [1, 5, 200])
@pytest.mark.parametrize("text", [NASTY, LONG, "x" * 300, " " * 1000 + "x", "\x00" * 1000 + "x"])
def test_a_text_is_cut(text, limit):
    """Truncated text ends in an ellipsis."""
    for shown in (line(text, limit), block(text, limit)):
        assert len(shown) <= limit
        assert shown.endswith("…")


@pytest.mark.parametrize("url", [*SCRIPT_URLS, None, 5, "https://a.example/" + "a" * 3000])
def test_what_is_no_link(url):
    """Anything but a plain https URL is rejected."""
    assert https(url) == ""


@pytest.mark.parametrize(
    "url", ["https://a", "https://a.example:8443/b/c?d=e&f=%20#g", "https://a?b", "https://a/(b)[c]"]
)
def test_a_link(url):
    """A plain https URL is used unchanged."""
    assert https(url) == url


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-1, ""),
        (float("nan"), ""),
        (2**53, ""),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (3661, "1 h 01 min"),
    ],
)
def test_a_duration_in_words(seconds, words):
    """Durations that no run can have are not shown."""
    assert format_duration(seconds) == words
