"""The fenced blocks of the pages, and how the tests treat each kind.

Nothing here needs Airflow, or anything else that is not in Python itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("skills/*/*.md")])

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

#: What begins a command that is not run, and why. Everything else in a `console` block is.
NOT_RUN = {
    "pip install": "would fetch a release from a package index; `make test-matrix` installs the built wheel",
    "git ": "works on the repository of whoever releases",
    "export ": "sets a variable for the commands after it",
    ".venv/bin/": "starts the suite that this test belongs to, or a part of it",
    "twine upload": "publishes",
}
#: Languages whose blocks are not executed, and why.
NOT_CODE = {
    "bash": "runs until it is stopped; the rig of the browser tests starts the same processes",
    "": "a drawing",
    "yaml": "a workflow of GitHub, which only GitHub can run, or a file beside a DAG; all are parsed",
    "markdown": "a test file; it is parsed, and synced by the DAG of its page",
}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    :param line: of the page, on which the fence begins.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def is_dag(self) -> bool:
        """Whether it is a whole DAG file."""
        return self.language == "python" and "@dag" in self.text

    @property
    def commands(self) -> list[str]:
        """The command lines of a `console` block, each as one line, without comments."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        lines = (re.sub(r"(^|\s)#\s.*$", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, from top to bottom."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        indent, language, body = found.groups()
        own = "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        yield Block(page, text.count("\n", 0, found.start()) + 1, language, own)


ALL = [block for page in PAGES for block in blocks(page)]


def why_not_run(command: str) -> str:
    """The reason for which a command is not run, empty for one that is."""
    return next((reason for start, reason in NOT_RUN.items() if command.startswith(start)), "")
