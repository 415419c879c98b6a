"""The prose of pages and code: sentences of Markdown, and the words that Python and static files show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_GENERATED = re.compile(r"<!-- ([\w ]+): begin -->.*?<!-- \1: end -->", re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|<https?:[^>]*>")
_BULLET = re.compile(r"^\s*(?:[-*]|\d+\.)\s+")
#: A full stop, an exclamation or a question mark that ends a sentence, with what may close after it.
_END = re.compile(r"(?<=[.!?])[*_)\"”]*\s+(?=[\"“*_(]*[A-Z`\d])|(?<=[.!?][*_)\"”])\s+(?=[A-Z`])")


def handwritten(page: Path) -> str:
    """The page without code blocks and without the parts that a command writes."""
    return _FENCE.sub("", _GENERATED.sub("", page.read_text(encoding="utf-8")))


def plain(text: str) -> str:
    """Markdown as words: code counts as one word, a link as its text."""
    return _LINK.sub(lambda found: found[1] or "link", _CODE.sub("CODE", text))


def sentences(page: Path) -> Iterator[str]:
    """The sentences of a page, without headings and tables."""
    for block in _blocks(handwritten(page)):
        yield from _END.split(plain(block))


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs and list items, each on one line."""
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        bare = line.strip()
        begins = _BULLET.match(line) is not None
        if lines and (begins or not bare or bare.startswith(("|", "#"))):
            yield " ".join(lines)
            lines = []
        if bare and not bare.startswith(("|", "#")):
            lines.append(_BULLET.sub("", line).strip())


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring and string literal of a Python file; the lines of any other file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, " ".join(node.value.split())
    else:
        yield from enumerate(source.splitlines(), 1)
