"""Measures the layout of the package: `python -m tests.docs.house [REVISION]`, by default the working tree.

It prints the files per folder, the longest file, and figures of the imports. A *part* is a folder of the package,
or a file beside the folders. An *arrow* is the import of one part by another. It points *up* if the imported part
is on a higher floor of `FLOORS`. A *chain* is a sequence of arrows. A *circle* is a set of parts, or of files, that
import one another.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "airflow_provider_testerarmy"
#: The floors from the ground up. Parts that belong to no floor are not listed.
FLOORS = (
    {"client", "runs", "catalogue"},
    {"hooks", "triggers", "reports", "exceptions"},
    {"lifecycle"},
    {"operators", "decorators", "notifications", "sensors", "task_groups", "ui", "cli", "listener", "plugin"},
)

Graph = Mapping[str, set[str]]


def sources(revision: str) -> dict[str, str]:
    """The package's Python files: path within the package, and text."""
    if not revision:
        root = REPOSITORY / PACKAGE
        return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.py"))}
    names = _git("ls-tree", "-r", "--name-only", revision, f"{PACKAGE}/").splitlines()
    return {
        name.removeprefix(f"{PACKAGE}/"): _git("show", f"{revision}:{name}")
        for name in names
        if name.endswith(".py")
    }


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout


def part_of(file: str) -> str:
    """The folder below the package, or the file beside the folders."""
    return PurePosixPath(file).parts[0].removesuffix(".py")


def imports(file: str, files: Mapping[str, str]) -> Iterator[str]:
    """The package's files that a file imports, also inside functions and for types only."""
    for node in ast.walk(ast.parse(files[file])):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if (found := _file_of(name, files)) not in ("", file):
                yield found


def _file_of(name: str, files: Mapping[str, str]) -> str:
    """The file that an imported name is in, empty for one of another package."""
    first, *words = name.split(".")
    while first == PACKAGE and words:
        path = "/".join(words)
        for candidate in (f"{path}.py", f"{path}/__init__.py"):
            if candidate in files:
                return candidate
        words.pop()
    return ""


def circles(graph: Graph) -> list[set[str]]:
    """The sets of nodes that import one another, directly or through others."""
    reached = {node: _reachable(node, graph) for node in graph}
    found: list[set[str]] = []
    for node in graph:
        around = {other for other in reached[node] if node in reached.get(other, set())}
        if len(around) > 1 and around not in found:
            found.append(around)
    return found


def _reachable(start: str, graph: Graph) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        new = graph.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen


def longest_chain(graph: Graph) -> int:
    """The number of parts on the longest chain, 0 if there is a circle."""
    if circles(graph):
        return 0

    @cache
    def height(part: str) -> int:
        return 1 + max(map(height, graph.get(part, set())), default=0)

    return max(map(height, graph))


def up(graph: Graph) -> list[str]:
    """The arrows that point up."""
    level = {part: number for number, parts in enumerate(FLOORS) for part in parts}
    return [
        f"{part} → {other}"
        for part, others in graph.items()
        for other in others
        if part in level and other in level and level[part] < level[other]
    ]


def report(files: Mapping[str, str]) -> Iterator[str]:
    """The figures, one line each."""
    graph = {file: set(imports(file, files)) for file in files}
    parts: dict[str, set[str]] = defaultdict(set)
    for file, others in graph.items():
        parts[part_of(file)] |= {part_of(other) for other in others} - {part_of(file), "__init__"}
    per_folder = Counter(str(PurePosixPath(file).parent) for file in files)
    most, folder = max((count, folder) for folder, count in per_folder.items())
    lines, longest = max((len(text.splitlines()), file) for file, text in files.items())
    yield f"files: {len(files)} in {len(per_folder)} folders"
    yield from (f"  {count:3} {folder}" for folder, count in sorted(per_folder.items()))
    yield f"most files in a folder: {most} ({folder})"
    yield f"longest file: {lines} lines ({longest})"
    yield f"floors: {sum(bool(floor & {*parts}) for floor in FLOORS)}"
    yield f"longest chain: {longest_chain(parts)} parts"
    yield f"arrows between parts: {sum(map(len, parts.values()))}"
    yield f"arrows up: {len(up(parts))}" + "".join(f"\n  {each}" for each in up(parts))
    yield f"circles of parts: {len(circles(parts))}" + "".join(
        f"\n  {sorted(each)}" for each in circles(parts)
    )
    yield f"circles of files: {len(circles(graph))}" + "".join(
        f"\n  {sorted(each)}" for each in circles(graph)
    )


if __name__ == "__main__":
    print(*report(sources(*sys.argv[1:] or [""])), sep="\n")
