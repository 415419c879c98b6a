"""The navigation comes from `docs/README.md`, and loses no page."""

from __future__ import annotations

import warnings

from website import navigation
from website.navigation import DOCS, UNLISTED, Entry, listed, sections

TABLES = """# Documentation

## Start

| page | content |
| --- | --- |
| [First](first.md) | one |

## Other

| [Changes](../CHANGELOG.md) | two |
"""


def test_sections_and_pages_are_those_of_the_tables():
    assert listed(TABLES) == {
        "Start": [Entry("First", "first.md", "one")],
        "Other": [Entry("Changes", "../CHANGELOG.md", "two")],
    }
    assert listed(TABLES)["Other"][0].name == "changelog"


def test_every_page_is_in_the_navigation():
    """A page without a row is in the last section."""
    if rowless := navigation.unlisted():
        warnings.warn(f"add a row to docs/README.md for {', '.join(rowless)}", stacklevel=1)
    files = [entry.file for entries in sections().values() for entry in entries]
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= set(files)
    assert len(files) == len(set(files))


def test_a_page_without_a_row_is_in_the_last_section(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text(TABLES)
    (tmp_path / "first.md").write_text("# First\n")
    (tmp_path / "push.md").write_text("# Push\n\nText.\n")
    monkeypatch.setattr(navigation, "DOCS", tmp_path)
    assert sections()[UNLISTED] == [Entry("Push", "push.md", "Push")]
    assert list(sections()) == ["Start", "Other", UNLISTED]
