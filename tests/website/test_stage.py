"""The pages that Sphinx gets, without Sphinx: what they link to is on the site."""

from __future__ import annotations

import re

import pytest

from website import agents, links
from website.navigation import sections
from website.stage import SKILL, examples, stage


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    agents.write(folder / "out", stage(folder / "pages"))
    return folder / "out"


def test_every_page_and_example_has_a_twin(site):
    names = [entry.name for entries in sections().values() for entry in entries]
    assert not [name for name in [*names, "index"] if not (site / f"{name}.md").exists()]
    assert len(list((site / "examples").glob("*.md"))) == len(examples()) > 4


def test_no_link_of_a_twin_or_of_llms_txt_is_dead(site):
    assert links.broken(site) == []


def test_a_dead_link_is_found(tmp_path):
    """Of each kind: a page, an anchor, an image, and a link in Markdown."""
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="b.html">b</a><a href="#top">t</a><a href="#none">n</a><img src="c.png">'
    )
    (tmp_path / "d.md").write_text("[x](gone.md#y) and [z](https://example.com)")
    (tmp_path / "llms.txt").write_text("[d](d.md)")
    assert links.broken(tmp_path) == ["a.html: b.html", "a.html: #none", "a.html: c.png", "d.md: gone.md"]


def test_links_in_code_are_kept(site):
    """Only the text changes."""
    code = re.compile(r"```python.*?```", re.DOTALL)
    original = (agents.REPOSITORY / "docs" / "how-to.md").read_text()
    assert code.findall((site / "how-to.md").read_text()) == code.findall(original)


def test_llms_txt_has_the_skill_and_lists_every_page(site):
    text = (site / "llms.txt").read_text()
    assert re.match(r"# [^\n]+\n\n> [^\n]+\n", text)
    for entries in sections().values():
        assert all(f"({entry.name}.md)" in text for entry in entries)
    assert "TesterArmyRunGroupOperator" in text
    assert text.rstrip().rpartition("\n## ")[2].startswith("Optional")


def test_llms_full_txt_has_the_pages_for_users(site):
    full = (site / "llms-full.txt").read_text()
    assert (site / "gate.md").read_text().strip() in full
    assert (site / "reference.md").read_text().strip() in full
    assert "<!-- releasing.md -->" not in full


def test_the_skill_is_on_the_site(site):
    text = (site / SKILL).read_text()
    assert text == (agents.REPOSITORY / SKILL).read_text()
    assert text.startswith("---\nname: airflow-testerarmy\ndescription: ")
