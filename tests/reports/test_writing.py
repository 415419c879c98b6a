from __future__ import annotations

import json
import stat

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.lifecycle.reporting import (
    SUFFIXES,
    report_markdown,
    write_report,
)
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from tests.reports.cases import NAME, NASTY, NIGHT, hostile_run, summary_of

BEGINNINGS = {".json": "{", ".xml": "<?xml", ".html": "<!doctype html>", ".md": "❌"}


class Lines:
    """A log that records its lines; Airflow reconfigures logging when it is first used."""

    def __init__(self):
        self.told = []

    def info(self, message, *values):
        self.told.append(("INFO", message % values))

    def warning(self, message, *values):
        self.told.append(("WARNING", message % values))


LOG = Lines()


@pytest.fixture
def lines():
    LOG.told.clear()
    return lambda: LOG.told


def write(path, results=NIGHT):
    write_report(path, summary_of(results), results, LOG, name=NAME)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_the_suffix_says_the_kind(tmp_path, lines, suffix, case):
    """Folders are created, no temporary file remains, and the umask decides who can read the report."""
    path = tmp_path / "a" / "b" / f"report{case(suffix)}"
    write(str(path))
    assert path.read_text().lstrip().startswith(BEGINNINGS[suffix])
    assert NAME in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert lines() == [("INFO", f"The report is at {path}.")]


def test_several_reports(tmp_path):
    """Each path in a list gets the report that its suffix names."""
    paths = [tmp_path / f"report{suffix}" for suffix in SUFFIXES]
    write([str(path) for path in paths])
    assert all(path.stat().st_size > 500 for path in paths)


def test_a_report_is_replaced(tmp_path):
    """The next report replaces the file as a whole."""
    path = tmp_path / "report.json"
    path.write_text("old " * 100_000)
    write(f"file://{path}")
    assert json.loads(path.read_text())["name"] == NAME


def test_one_report_that_cannot_be_written_keeps_none_of_the_others(tmp_path, lines):
    """A report that cannot be written is logged, and leaves no temporary file."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.html").mkdir()
    wrong = [str(tmp_path / "file" / "a.xml"), str(tmp_path / "folder.html"), "nowhere://a/b.json", "a.pdf"]
    write([*wrong, str(tmp_path / "good.md")])
    levels = [level for level, _ in lines()]
    assert levels == ["WARNING"] * 4 + ["INFO"]
    for path, (_, message) in zip(wrong, lines(), strict=False):
        assert message.startswith(f"The report could not be written to {path}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.html", "good.md"]


class Bucket(MemoryFileSystem):
    """An in-memory object store whose key may only write."""

    cachable = False

    def mkdir(self, path, create_parents=True, **options):
        raise PermissionError("CreateBucket is not allowed")

    makedirs = mkdir


def test_an_object_store(lines):
    """Writing a report needs no permission but to write."""
    try:
        from airflow.sdk.io import attach
    except ImportError:
        from airflow.io.store import attach  # Airflow 2
    attach(protocol="memory", fs=Bucket())
    write(["memory://nightly/2026/report.json", "memory://nightly/report.xml"])
    assert [level for level, _ in lines()] == ["INFO", "INFO"]
    assert json.loads(Bucket().cat("/nightly/2026/report.json"))["name"] == NAME


def test_hostile_results_can_be_written(tmp_path, lines):
    """Hostile results can be written in every format."""
    results = [hostile_run(number, NASTY, outcome) for number, outcome in enumerate(Outcome)]
    write([str(tmp_path / f"report{suffix}") for suffix in SUFFIXES], results)
    assert [level for level, _ in lines()] == ["INFO"] * len(SUFFIXES)


def test_results_that_no_markdown_can_be_made_of(lines):
    """If the Markdown cannot be rendered, it is empty and the verdict stands."""
    verdict = QualityGate().judge(NIGHT)
    options = {"total": 7, "name": NAME, "url": ""}
    assert report_markdown(verdict, NIGHT, LOG, **options).startswith("❌ **Failed**")
    assert report_markdown(verdict, [None], LOG, **options) == ""
    assert [level for level, _ in lines()] == ["WARNING"]


@pytest.mark.parametrize("given", ["a.XML", " a.html ", ["a.json", "s3://b/c.md"], ("a.xml",)])
def test_report_paths(given):
    """A report path is one path or a list of paths."""
    assert parameters.report_path(given) == given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "empty"),
        (["a.json", " "], "empty"),
        (["a.json", "b.pdf"], r"'b.pdf' must end in one of \.json, \.xml, \.html, \.md"),
        (["a.json", None], "a path or a list of paths"),
        (7, "a path or a list of paths"),
    ],
)
def test_what_are_no_report_paths(given, words):
    """The message says what is wrong with the path."""
    with pytest.raises(RequestInvalid, match=words):
        parameters.report_path(given)
