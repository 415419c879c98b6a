"""Prepares the pages for Sphinx: one folder in which every link leads to another page of the site."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from website.navigation import DOCS, REPOSITORY, sections

EXAMPLES = REPOSITORY / "example_dags"
SKILL = Path("skills/airflow-testerarmy/SKILL.md")
#: Modules that pages link to, and the page of the site that describes them.
MODULES = {"airflow_provider_testerarmy/exceptions.py": "reference.md"}
#: Pages at the root of the repository, by their name on the site.
ROOT_PAGES = {"README.md": "index", "AGENTS.md": "agents"}

_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]+)?\)")


def stage(folder: Path) -> dict[str, str]:
    """Write the pages into the folder, and return their Markdown by name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = {name: _linked(path, name) for path, name in sources().items()}
    written |= {f"examples/{path.stem}": _example(path) for path in examples()}
    for name, text in written.items():
        target = folder / f"{name}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + (_toctrees() if name == "index" else ""))
    copy_files(folder)
    return written


def copy_files(folder: Path) -> None:
    """Copy what the pages show and link to, beside the pages."""
    for kind in ("images", "schemas"):
        shutil.copytree(DOCS / kind, folder / kind, dirs_exist_ok=True)


def sources() -> dict[Path, str]:
    """Every Markdown file that is a page, and its name on the site."""
    found = {DOCS / entry.file: entry.name for entries in sections().values() for entry in entries}
    found = {path.resolve(): name for path, name in found.items()}
    own = {path: ROOT_PAGES.get(path.name, path.stem.lower()) for path in REPOSITORY.glob("*.md")}
    return found | own | {DOCS / "README.md": "contents"}


def examples() -> list[Path]:
    """The example DAGs."""
    return sorted(EXAMPLES.glob("*.py"))


def _example(path: Path) -> str:
    return f"# {path.name}\n\n```python\n{path.read_text()}```\n"


def _linked(page: Path, name: str) -> str:
    """The page with links that work on the site. Code blocks stay as they are."""
    places = {path: f"{target}.md" for path, target in sources().items()}
    places |= {path: f"examples/{path.stem}.md" for path in examples()}
    places |= {REPOSITORY / module: target for module, target in MODULES.items()}
    start = Path(name).parent

    def replaced(found: re.Match[str]) -> str:
        mark, text, link, anchor = found.groups(default="")
        target = (page.parent / link).resolve()
        # A link to nothing stays, so that the build fails.
        if mark or not target.exists() or target.is_relative_to(DOCS / "schemas"):
            return f"{mark}[{text}]({os.path.relpath(target, DOCS)}{anchor})"
        if target == EXAMPLES:
            return f"[{text}](contents.md#example-dags)"
        place = places.get(target)
        # A file of the repository that is no page, such as a module.
        return f"[{text}]({os.path.relpath(place, start)}{anchor})" if place else text

    parts = _FENCE.split(page.read_text())
    text = "".join(part if _FENCE.fullmatch(part) else _LINK.sub(replaced, part) for part in parts)
    return text + (_example_list() if name == "contents" else "")


def _example_list() -> str:
    rows = [f"* [{path.stem}](examples/{path.stem}.md)" for path in examples()]
    return "\n## Example DAGs\n\n" + "\n".join(rows) + "\n"


def _toctrees() -> str:
    """The navigation, which Sphinx reads from the first page."""
    trees = [_toctree(heading, [entry.name for entry in entries]) for heading, entries in sections().items()]
    rest = sorted(
        {*sources().values()} - {"index", "contents", *(e.name for s in sections().values() for e in s)}
    )
    trees.append(_toctree("Example DAGs", [f"examples/{path.stem}" for path in examples()]))
    trees.append(_toctree("Repository", ["contents", *rest]))
    return "".join(trees)


def _toctree(caption: str, names: list[str]) -> str:
    listed = "\n".join(names)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"
