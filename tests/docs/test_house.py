"""What `architecture.md` says of the layout, against the files."""

from __future__ import annotations

import re

import pytest

from tests.docs import house

ROOT = house.REPOSITORY / house.PACKAGE
PAGE = (house.REPOSITORY / "docs" / "architecture.md").read_text()
FILES = [path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
PLACES = re.findall(r"^\| [^|]+ \| `([\w./]+)` \| `(.+)` \|$", PAGE, re.MULTILINE)
DESCRIBED = re.findall(r"^### `(\w[\w/]*/)`\n\n(.+?)(?=^#)", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "text"), PLACES, ids=lambda value: value.replace("/", "."))
def test_a_change_is_made_in_one_file(file, text):
    """The text is there, and nowhere else in the package."""
    assert [str(path.relative_to(ROOT)) for path in FILES if text.encode() in path.read_bytes()] == [file]


def test_there_are_six_answers():
    assert len(PLACES) == 6


@pytest.mark.parametrize(("folder", "table"), DESCRIBED, ids=[folder for folder, _ in DESCRIBED])
def test_every_module_of_a_described_folder_is_named(folder, table):
    """And no module that there is not."""
    named = set(re.findall(r"`(\w+\.py)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))))
    assert named == {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}


def test_the_important_folders_are_described():
    assert {folder for folder, _ in DESCRIBED} >= {
        "runs/awaiting/",
        "runs/submission/",
        "runs/verdict/",
        "lifecycle/",
        "client/http/",
        "hooks/",
        "triggers/",
        "ui/",
    }


def test_imports_are_measured():
    """As `test_architecture` has it: nothing points up, and nothing goes round."""
    report = "\n".join(house.report(house.sources("")))
    assert "floors: 4" in report
    assert "arrows up: 0" in report
    assert "circles of parts: 0" in report
    assert "circles of files: 0" in report


def test_arrows_up_chains_and_circles():
    """On a house that has them."""
    graph = {"runs": {"hooks"}, "hooks": {"client"}, "client": set(), "ui": {"hooks"}}
    assert house.up(graph) == ["runs → hooks"]
    assert house.longest_chain(graph) == 3
    assert house.circles({**graph, "client": {"runs"}}) == [{"runs", "hooks", "client"}]
    assert house.longest_chain({**graph, "client": {"runs"}}) == 0
