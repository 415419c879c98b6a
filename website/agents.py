"""What coding agents read: `llms.txt`, `llms-full.txt`, a Markdown twin of every page, and the skill."""

from __future__ import annotations

import re
from pathlib import Path

from website.navigation import REPOSITORY, sections
from website.stage import SKILL, copy_files, examples

#: Pages that describe how the provider is made. They are no help for the author of a DAG.
_FOR_MAINTAINERS = ("Project",)


def write(site: Path, pages: dict[str, str]) -> None:
    """Write them into a built site.

    :param pages: the Markdown of each page, by its name.
    """
    for name, text in pages.items():
        path = site / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    copy_files(site)
    copied = site / SKILL
    copied.parent.mkdir(parents=True, exist_ok=True)
    copied.write_text((REPOSITORY / SKILL).read_text())
    (site / "llms.txt").write_text(short())
    (site / "llms-full.txt").write_text(full(pages))


def short() -> str:
    """The text of `llms.txt`: the skill, and a list of all pages."""
    description, body = skill()
    head, _, rest = body.partition("\n")
    parts = [f"{head}\n\n> {description}\n{rest.rstrip()}\n"]
    for heading, entries in sections().items():
        rows = [f"- [{entry.title}]({entry.name}.md): {entry.content}" for entry in entries]
        parts.append(
            f"## {'Optional' if heading in _FOR_MAINTAINERS else heading}\n\n" + "\n".join(rows) + "\n"
        )
    rows = [f"- [{path.stem}](examples/{path.stem}.md): a DAG to copy" for path in examples()]
    parts.insert(-1, "## Example DAGs\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def full(pages: dict[str, str]) -> str:
    """The text of `llms-full.txt`: `llms.txt`, then all pages for users, and the examples."""
    names = [
        entry.name
        for heading, entries in sections().items()
        if heading not in _FOR_MAINTAINERS
        for entry in entries
    ]
    names += [f"examples/{path.stem}" for path in examples()]
    return "\n\n".join([short(), *(f"<!-- {name}.md -->\n\n{pages[name].strip()}" for name in names)]) + "\n"


def skill() -> tuple[str, str]:
    """The description in the skill's head, and the text below the head."""
    text = (REPOSITORY / SKILL).read_text()
    head = re.match(r"---\n(.*?)\n---\n+", text, re.DOTALL)
    description = re.search(r"^description: (.+)$", head[1], re.MULTILINE) if head else None
    if head is None or description is None:
        raise ValueError(f"{SKILL} has no description in its head")
    return description[1], text[head.end() :]
