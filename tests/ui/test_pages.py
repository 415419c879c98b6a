"""What the endpoints on one task answer, from reports on a disk."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_testerarmy.lifecycle.reporting import render
from airflow_provider_testerarmy.reports.pictures import folder_of, stems
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.sandbox.screenshots import draw
from airflow_provider_testerarmy.ui import files
from airflow_provider_testerarmy.ui.pages import Pages, known_ids
from tests.reports.cases import NIGHT, summary_of
from tests.runs.scripted import finished
from tests.ui.test_shapes import stored

RUN = finished("a", Outcome.FAILED, title="Checkout", screenshots=("https://x/p.png",))


def reported(tmp_path: Path, results=NIGHT, name="night.json"):
    """A task with its report."""
    path = tmp_path / name
    summary = summary_of(results)
    path.write_text(render(str(path), summary, results))
    task = stored(summary)
    return replace(
        task,
        rendered={"report_path": [str(path), str(tmp_path / "night.html")]},
        xcoms={**task.xcoms, "run_ids": [run.run_id for run in results]},
    )


def overview(task):
    return asyncio.run(Pages().overview(task))


def details(task, ids):
    return asyncio.run(Pages().details(task, ids))


def test_a_report_has_everything(tmp_path):
    """More than the summary, and without the service."""
    task = reported(tmp_path)
    page = overview(task)
    assert (page["kind"], page["source"], len(page["runs"])) == ("tests", "report", len(NIGHT))
    assert page["runs"][0]["outcome"] == "failed"
    ids = [run["id"] for run in page["runs"]]
    found = details(task, ids[:2])
    assert (set(found["runs"]), found["notice"]) == (set(ids[:2]), "")


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "[" * 200_000, '{"schema_version": 99, "runs": []}', "<!doctype html>"]
)
def test_a_file_that_is_no_report(tmp_path, content):
    """The summary stands in for it."""
    task = reported(tmp_path)
    (tmp_path / "night.json").write_text(content)
    assert overview(task)["source"] == "summary"


def test_another_runs_report(tmp_path):
    """A path without the date in it has been written over since."""
    task = reported(tmp_path)
    other = [finished("another")]
    (tmp_path / "night.json").write_text(render("x.json", summary_of(other), other))
    page = overview(task)
    assert page["source"] == "summary"
    assert [row["id"] for row in page["runs"]] != ["another"]


def test_a_report_on_another_machine(tmp_path):
    """A worker's disk is not the API server's."""
    task = reported(tmp_path)
    (tmp_path / "night.json").unlink()
    page = overview(task)
    assert page["source"] == "summary"
    assert {row["title"] for row in page["runs"]} == {run.label for run in NIGHT}


def test_without_anything_it_is_no_test_task():
    """The tab shows on every task."""
    task = replace(stored(None), xcoms={"return_value": {"rows": 3}})
    assert overview(task)["kind"] == "none"


def test_copies_are_found_and_served(tmp_path):
    """By name, from beside the report, and only pictures."""
    task = reported(tmp_path, [RUN])
    folder = Path(folder_of(str(tmp_path / "night.json")))
    folder.mkdir()
    (stem,) = stems(RUN).values()
    (folder / f"{stem}.png").write_bytes(draw("x"))
    (folder / f"{'1' * 32}.png").write_text("<script>")
    (folder / "other.png").write_bytes(draw("y"))
    (picture,) = details(task, ["a"])["runs"]["a"]["pictures"]
    assert picture["copy"] == f"{stem}.png"

    def copy(name):
        return asyncio.run(Pages().copy(task, name))

    assert copy(f"{stem}.png") == (draw("x"), "image/png")
    assert [copy(name) for name in (f"{'1' * 32}.png", f"{'0' * 32}.png", f"{stem}.jpg", "other.png")] == [
        None
    ] * 4


def test_only_our_pages_are_opened(tmp_path):
    """A path is a template's result, and may be that of any file."""
    ours, other = tmp_path / "a.html", tmp_path / "b.html"
    ours.write_text(render("a.html", summary_of(NIGHT), NIGHT))
    other.write_text("<!doctype html><script>alert(1)</script>")
    assert files.read_page(str(ours)) == ours.read_bytes()
    assert [files.read_page(str(path)) for path in (other, tmp_path / "none.html")] == [None, None]


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    """It is not even read."""
    path = tmp_path / "a.json"
    path.write_text("[]")
    os.truncate(path, 200)
    monkeypatch.setattr(files, "MAX_REPORT_BYTES", 100)
    assert files.read_results(str(path)) is None


def test_where_the_ids_come_from():
    """What was pushed, else the summary, else what a sensor was given."""
    task = stored(None)
    assert known_ids(replace(task, rendered={"run_ids": ["a", 7, True, None, "a"]})) == ["a", 7]
    pushed = replace(task, xcoms={**task.xcoms, "run_ids": ["b"]}, rendered={"run_ids": ["a"]})
    assert known_ids(pushed) == ["b"]
    assert known_ids(replace(task, rendered={"run_ids": "a, b"})) == []


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder"])
def test_a_report_that_is_no_file(tmp_path, kind):
    """The summary is shown at once, whatever is in the report's place."""
    task = reported(tmp_path)
    path = tmp_path / "night.json"
    content = path.read_text()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        outside = tmp_path.parent / f"{tmp_path.name}.json"
        outside.write_text(content)
        path.symlink_to(outside)
    assert overview(task)["source"] == "summary"


def test_copies_behind_a_link(tmp_path):
    """A folder that leads elsewhere has no copies of this report."""
    task = reported(tmp_path, [RUN])
    outside = tmp_path.parent / f"{tmp_path.name}.elsewhere"
    outside.mkdir()
    (stem,) = stems(RUN).values()
    (outside / f"{stem}.png").write_bytes(draw("x"))
    Path(folder_of(str(tmp_path / "night.json"))).symlink_to(outside)
    assert asyncio.run(Pages().copy(task, f"{stem}.png")) is None
