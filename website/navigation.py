"""The navigation of the site, read from the tables of `docs/README.md`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
#: The section of pages that have no row in `docs/README.md`.
UNLISTED = "More"

_SECTION = re.compile(r"^## (.+)$")
_ROW = re.compile(r"^\| \[([^\]]+)\]\(([^)#]+\.md)\) \| (.+) \|$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation.

    :param file: the page, relative to `docs/`.
    """

    title: str
    file: str
    content: str

    @property
    def name(self) -> str:
        """The page's name on the site, without a suffix."""
        return Path(self.file).stem.lower()


def listed(text: str) -> dict[str, list[Entry]]:
    """Sections and their pages, as the tables list them."""
    sections: dict[str, list[Entry]] = {}
    heading = UNLISTED
    for line in text.splitlines():
        if found := _SECTION.match(line):
            heading = found[1]
        elif row := _ROW.match(line):
            sections.setdefault(heading, []).append(Entry(row[1], row[2], row[3]))
    return sections


def sections() -> dict[str, list[Entry]]:
    """Sections and their pages. Pages without a row are in the last section, so none is lost."""
    found = listed((DOCS / "README.md").read_text())
    for file in unlisted():
        title = (DOCS / file).read_text().partition("\n")[0].removeprefix("# ")
        found.setdefault(UNLISTED, []).append(Entry(title, file, title))
    return found


def unlisted() -> list[str]:
    """The pages in `docs/` that have no row in `docs/README.md`."""
    found = listed((DOCS / "README.md").read_text())
    known = {entry.file for entries in found.values() for entry in entries}
    return sorted(path.name for path in DOCS.glob("*.md") if path.name not in {*known, "README.md"})
