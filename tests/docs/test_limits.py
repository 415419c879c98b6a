"""The page of limits names each place that lists some."""

from __future__ import annotations

import re

from tests.docs.blocks import REPOSITORY
from tests.docs.test_links import anchors

DOCS = REPOSITORY / "docs"
PAGE = (DOCS / "limits.md").read_text()
#: What a heading calls a list of limits.
LIMITS = re.compile(r"(?:^|-)(?:limits|assumptions|remaining-risks|faults-of-the-vendor)")


def places() -> set[str]:
    """Page and anchor of each list of limits."""
    pages = [*DOCS.glob("*.md"), REPOSITORY / "SECURITY.md"]
    return {f"{page.name}#{anchor}" for page in pages for anchor in anchors(page) if LIMITS.search(anchor)}


def test_every_list_of_limits_is_named():
    """A new list without a row shows."""
    found = places()
    assert len(found) > 8
    assert [place for place in sorted(found) if f"{place})" not in PAGE] == []
