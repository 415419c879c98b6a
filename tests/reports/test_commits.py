"""Links from commits to a repository: only from hashes, and only to https."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.reports import html, junit, markdown
from airflow_provider_testerarmy.reports.commits import Repository
from tests.reports.test_bisected import RUNS, entry, summary_with

COMMIT = "4f2d1c9aa0b1c2d3e4f5061728394a5b6c7d8e9f"
SHOP = Repository("https://github.com/acme/shop/")
HOSTILE = (
    "",
    "main",
    "4f2d1c",
    "4f2d1c9/../../evil",
    "javascript:alert(1)",
    "4f2d1c9\n4f2d1c9",
    "<b>4f2d1c9</b>",
    "\uff14f2d1c9",
    COMMIT * 2,
)


def test_a_commit_has_a_page():
    assert SHOP.commit_url(COMMIT) == f"https://github.com/acme/shop/commit/{COMMIT}"
    assert SHOP.commit_url("4F2D1C9") == "https://github.com/acme/shop/commit/4F2D1C9"
    bitbucket = Repository("https://bitbucket.org/acme/shop/commits/{commit}?at=main")
    assert bitbucket.commit_url("4f2d1c9") == "https://bitbucket.org/acme/shop/commits/4f2d1c9?at=main"


def test_changes_have_a_page():
    """A pattern for commits says nothing of the page of changes."""
    assert SHOP.changes_url("1a2b3c4", COMMIT) == f"https://github.com/acme/shop/compare/1a2b3c4...{COMMIT}"
    assert SHOP.changes_url(COMMIT, COMMIT) == ""
    assert Repository("https://git.example/{commit}").changes_url("1a2b3c4", COMMIT) == ""
    assert Repository().changes_url("1a2b3c4", COMMIT) == ""


@pytest.mark.parametrize("commit", HOSTILE)
def test_only_a_hash_becomes_a_link(commit):
    """A commit may come from the configuration of a DAG run, which users write."""
    assert SHOP.commit_url(commit) == ""
    assert SHOP.changes_url(commit, COMMIT) == SHOP.changes_url(COMMIT, commit) == ""


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://git.example/shop",
        "javascript:alert('{commit}')",
        "data:text/html,{commit}",
        "//evil.example/{commit}",
        "https://git.example@evil.example/{commit}",
        'https://git.example/"><script>{commit}',
        "https://{commit}@evil.example",
    ],
)
def test_only_https_becomes_a_link(address):
    repository = Repository(address)
    assert (repository.commit_url(COMMIT), repository.changes_url("1a2b3c4", COMMIT)) == ("", "")


def test_reports_link_commits():
    """The commit that was tested, and those of a search."""
    summary = summary_with(entry())
    page = html.render(summary, RUNS, commit=COMMIT, repository=SHOP)
    assert (
        f'<a href="https://github.com/acme/shop/commit/{COMMIT}" rel="noopener noreferrer">{COMMIT[:12]}</a>'
        in page
    )
    assert 'href="https://github.com/acme/shop/commit/144f2d1c9"' in page
    text = markdown.render(summary, RUNS, commit=COMMIT, repository=SHOP)
    assert f"Commit [{COMMIT[:12]}](https://github.com/acme/shop/commit/{COMMIT})" in text
    assert "[144f2d1c9](https://github.com/acme/shop/commit/144f2d1c9)" in text
    assert f'<property name="commit" value="{COMMIT}"' in junit.render(summary, RUNS, commit=COMMIT)


@pytest.mark.parametrize("commit", HOSTILE)
def test_reports_show_other_commits_as_text(commit):
    page = html.render(summary_with(), RUNS, commit=commit, repository=SHOP)
    assert "acme/shop" not in page
    assert "<b>4f2d1c9" not in page
    text = markdown.render(summary_with(), RUNS, commit=commit, repository=SHOP)
    assert "acme/shop" not in text
    assert "<b>" not in text
