"""Generated parts of a page that is otherwise written by hand."""

from __future__ import annotations


def between(page: str, name: str, content: str) -> str:
    """The page with this content between its markers of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, _, rest = page.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no markers {begin} and {end}")
    return f"{head}{begin}\n\n{content}\n\n{end}{tail}"
