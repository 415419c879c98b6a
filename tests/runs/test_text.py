from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.text import name_runs, one_line, plural
from airflow_provider_testerarmy.sandbox.core.hostile import CUT_EMOJI, NASTY_TEXT

#: Half emoji too, which hypothesis leaves out by default.
ANY_TEXT = st.text(st.characters(codec=None), max_size=300)


@given(text=ANY_TEXT | st.just(NASTY_TEXT) | st.just(CUT_EMOJI), limit=st.integers(1, 40))
def test_one_line_is_fit_for_a_log(text, limit):
    """One line of at most so many characters, none of which moves the cursor or hides others."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    line.encode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        (" a \t b\r\nc ", "a b c"),
        ("abcdefghij", "abcdefghij"),
        ("abcdefghijk", "abcdefghi…"),
        ("a\x1b[31mb", "a[31mb"),
        ("a\u202eb\u200bc", "abc"),
    ],
)
def test_one_line(text, line):
    """Space is one space, and a cut is shown."""
    assert one_line(text, 10) == line


def test_long_text_costs_little():
    """Only its beginning is read."""
    assert one_line("x" * 10_000_000, 5) == "xxxx…"


def test_plural():
    """One run, two runs."""
    assert [plural(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_name_runs():
    """With a few of the ids."""
    assert name_runs([]) == "0 runs ()"
    assert name_runs(["a", 7]) == "2 runs (a, 7)"
    assert name_runs(range(9), 2) == "9 runs (0, 1, ...)"
