"""Finds links of the built site that lead nowhere: pages, files and anchors."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_MARKDOWN = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)\s]*)?\)")


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken(site: Path) -> list[str]:
    """Every link to a page, a file or an anchor that is not there, with the page that has it."""
    pages = {path: _Page(path.read_text()) for path in _pages(site)}
    found = []
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchors = pages[target].anchors if target in pages else None
            if not target.exists() or (parts.fragment and anchors and unquote(parts.fragment) not in anchors):
                found.append(f"{path.relative_to(site)}: {link}")
    for path in [*site.rglob("*.md"), site / "llms.txt"]:
        found += [
            f"{path.relative_to(site)}: {link}"
            for link in dict.fromkeys(_MARKDOWN.findall(path.read_text()))
            if not (path.parent / link).exists()
        ]
    return found


def _pages(site: Path) -> list[Path]:
    """The pages, without the theme's own files."""
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts)
