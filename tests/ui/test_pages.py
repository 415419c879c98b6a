"""Payloads for one task, from report files and from the service."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_testerarmy.lifecycle.reporting import render
from airflow_provider_testerarmy.reports.pictures import folder_of, stems
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.asked import Asked as AskedOf
from airflow_provider_testerarmy.runs.submission.asked import Generation
from airflow_provider_testerarmy.runs.submission.record import Part, PartState, Record
from airflow_provider_testerarmy.runs.submission.stored import to_json
from airflow_provider_testerarmy.sandbox.core.screenshots import draw
from airflow_provider_testerarmy.ui import report_files, tested
from airflow_provider_testerarmy.ui.history import entry_of
from airflow_provider_testerarmy.ui.pages import NOT_RECORDED, Pages, known_ids
from airflow_provider_testerarmy.ui.run_ownership import own_keys
from airflow_provider_testerarmy.ui.service import Found
from tests.reports.cases import NIGHT, summary_of
from tests.runs.scripted import finished
from tests.ui.test_payloads import stored

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
    """With a JSON report, all details are available without a request to the service."""
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
    """A file that is not a report is ignored, and the summary is shown."""
    task = reported(tmp_path)
    (tmp_path / "night.json").write_text(content)
    assert overview(task)["source"] == "summary"


def test_another_runs_report(tmp_path):
    """A `report_path` without the run id is overwritten by the next run."""
    task = reported(tmp_path)
    other = [finished("another")]
    (tmp_path / "night.json").write_text(render("x.json", summary_of(other), other))
    page = overview(task)
    assert page["source"] == "summary"
    assert [row["id"] for row in page["runs"]] != ["another"]


def test_a_report_on_another_machine(tmp_path):
    """The API server cannot read a worker's local disk."""
    task = reported(tmp_path)
    (tmp_path / "night.json").unlink()
    page = overview(task)
    assert page["source"] == "summary"
    assert {row["title"] for row in page["runs"]} == {run.label for run in NIGHT}


def test_without_anything_it_is_no_test_task():
    """Airflow shows the tab on every task, also on those that start no runs."""
    task = replace(stored(None), xcoms={"return_value": {"rows": 3}})
    assert overview(task)["kind"] == "none"


def test_copies_are_found_and_served(tmp_path):
    """Only images next to the report are served, and only by a valid name."""
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
    """`report_path` is templated, so it can name any file; only this provider's reports are opened."""
    ours, other = tmp_path / "a.html", tmp_path / "b.html"
    ours.write_text(render("a.html", summary_of(NIGHT), NIGHT))
    other.write_text("<!doctype html><script>alert(1)</script>")
    assert report_files.read_page(str(ours)) == ours.read_bytes()
    assert [report_files.read_page(str(path)) for path in (other, tmp_path / "none.html")] == [None, None]


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    """A file over the size limit is ignored."""
    path = tmp_path / "a.json"
    path.write_text("[]")
    os.truncate(path, 200)
    monkeypatch.setattr(report_files, "MAX_REPORT_BYTES", 100)
    assert report_files.read_results(str(path)) is None


def test_where_the_ids_come_from():
    """From XCom, else from the summary, else from a sensor's `run_ids`, else from the record."""
    task = stored(None)
    assert known_ids(replace(task, rendered={"run_ids": ["a", 7, True, None, "a"]})) == ["a", 7]
    pushed = replace(task, xcoms={**task.xcoms, "run_ids": ["b"]}, rendered={"run_ids": ["a"]})
    assert known_ids(pushed) == ["b"]
    assert known_ids(replace(task, rendered={"run_ids": "a, b"})) == ["a", "b"]
    recorded = replace(task, record={"parts": {"0": {"submission": {"run_ids": ["c"]}}}})
    assert known_ids(recorded) == ["c"]


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder"])
def test_a_report_that_is_no_file(tmp_path, kind):
    """The summary is shown at once when the report's path is not a regular file."""
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
    """Copies are not served from a folder that is a link out of the report's folder."""
    task = reported(tmp_path, [RUN])
    outside = tmp_path.parent / f"{tmp_path.name}.elsewhere"
    outside.mkdir()
    (stem,) = stems(RUN).values()
    (outside / f"{stem}.png").write_bytes(draw("x"))
    Path(folder_of(str(tmp_path / "night.json"))).symlink_to(outside)
    assert asyncio.run(Pages().copy(task, f"{stem}.png")) is None


def test_a_rejected_run_was_not_cancelled():
    """The service rejected the run on submission, and the worker recorded that."""
    results = [finished("a", Outcome.CANCELLED), finished("b", Outcome.CANCELLED), finished("c")]
    task = replace(stored(summary_of(results)), record=recorded("a", "b", "c", rejected=("a",)))
    page = overview(task)
    assert {row["id"]: row["outcome"] for row in page["runs"]} == {
        "a": "rejected",
        "b": "cancelled",
        "c": "passed",
    }
    counts = page["summary"]["counts"]
    assert (counts["cancelled"], counts["rejected"], counts["passed"]) == (1, 1, 1)


def test_a_rejected_run_is_known_without_a_record():
    """Before Airflow 3.3, and with `durable=False`, the task's note says which runs were rejected."""
    results = [finished("a", Outcome.CANCELLED), finished("b", Outcome.CANCELLED)]
    page = overview(stored(summary_of(results), {"rejected": ["a"]}))
    assert {row["id"]: row["outcome"] for row in page["runs"]} == {"a": "rejected", "b": "cancelled"}


def test_a_task_whose_runs_were_all_rejected():
    """The heading does not say that somebody cancelled them."""
    task = stored(summary_of([finished("a", Outcome.CANCELLED)]), {"rejected": ["a"]})
    assert overview(task)["summary"]["verdict"] == "rejected"


def test_why_there_is_no_verdict():
    """A task of an earlier version has no reason."""
    reason = "The test x was not started: not found."
    assert overview(stored(None, {"reason": reason}))["reason"] == reason
    assert overview(stored(None))["reason"] == ""


@pytest.mark.parametrize(("failed", "rest"), [(0, "passed"), (20, "passed"), (60, "passed"), (61, "")])
def test_the_runs_beyond_a_truncated_summary(failed, rest):
    """The list has as many passed runs as the counts say, where the summary lists all others."""
    results = [
        finished(str(number), Outcome.FAILED if number < failed else Outcome.PASSED) for number in range(100)
    ]
    task = stored(summary_of(results))
    task = replace(task, xcoms={**task.xcoms, "run_ids": [run.run_id for run in results]})
    rows = overview(task)["runs"]
    assert (len(task.summary["tests"]), len(rows)) == (60, 100)
    assert {row["outcome"] for row in rows[60:]} == {rest}
    if rest:
        assert sum(row["outcome"] == "passed" for row in rows) == task.summary["counts"]["passed"]


class Asked:
    """A stand-in for the service that notes which runs are fetched."""

    def __init__(self, *, signed=True):
        self.ids = []
        self.signed = signed

    async def is_record_signed(self, owner, task):
        return self.signed

    async def fetch(self, owner, ids):
        self.ids += ids
        return Found({str(each): {"id": str(each), "outcome": "passed", "pictures": []} for each in ids})


def fetched(task, wanted, *, signed=True):
    """The runs that are fetched from the service, and the notice.

    :param signed: whether the record is known to be the task's own.
    """
    pages = Pages()
    pages.service = Asked(signed=signed)
    answer = asyncio.run(pages.details(task, wanted))
    return pages.service.ids, answer["notice"]


def recorded(*ids, rejected=(), carried=()):
    """A record as the worker stores it."""
    part = Part(None, PartState.STARTED, submission=Submission(ids, rejected))
    return to_json(Record(AskedOf("hook", "c"), Generation(1), {"run": part}, carried=carried))


FOREIGN = "10000000-0000-4000-8000-000000000009"


@pytest.mark.parametrize("key", ["run_ids", "return_value"])
def test_an_edited_xcom_is_no_way_to_a_foreign_run(key):
    """A run that the record does not name is listed but not fetched, although the API key could read it."""
    task = stored(summary_of([finished("a")]))
    edited = [FOREIGN, "a"] if key == "run_ids" else {**task.summary, "run_ids": [FOREIGN, "a"]}
    task = replace(
        task,
        xcoms={**task.xcoms, key: edited},
        rendered={"testerarmy_conn_id": "c"},
        record=recorded("a"),
    )
    assert fetched(task, ["a", FOREIGN]) == (["a"], NOT_RECORDED)
    assert fetched(task, ["a"]) == (["a"], "")
    assert FOREIGN in [row["id"] for row in overview(task)["runs"]]


@pytest.mark.parametrize("record", [None, {}, [], "x", {"version": 9}, {"parts": {"0": {"submission": 1}}}])
def test_without_a_record_the_service_is_not_asked(record):
    """Nothing is fetched; the page shows the summary from XCom."""
    task = replace(stored(summary_of([finished("a")])), rendered={"docket_conn_id": "c"}, record=record)
    assert fetched(task, ["a"]) == ([], NOT_RECORDED)
    assert overview(task)["source"] == "summary"


def test_a_record_that_is_not_the_tasks_own_names_nothing():
    """A user who can edit task state can put any run id into the record."""
    task = replace(
        stored(summary_of([finished("a")])), rendered={"testerarmy_conn_id": "c"}, record=recorded("a")
    )
    assert fetched(task, ["a"], signed=False) == ([], NOT_RECORDED)


@pytest.mark.parametrize("given", [["a", 7], "['a', 7]", '["a", 7]', "a, 7"])
def test_a_sensor_was_given_its_runs(given):
    """A sensor's runs come from its rendered field, which only the worker writes; an XCom adds none."""
    task = replace(stored(None), rendered={"testerarmy_conn_id": "c", "run_ids": given})
    task = replace(task, xcoms={**task.xcoms, "run_ids": ["a", FOREIGN]})
    assert fetched(task, ["a", FOREIGN]) == (["a"], NOT_RECORDED)
    assert own_keys(task) == {"a", "7"}


def test_the_runs_of_earlier_rounds_are_the_tasks_own():
    """Runs that passed in an earlier round still belong to the task."""
    task = replace(stored(None), record=recorded("b", carried=("a",)))
    assert own_keys(task) == {"a", "b"}


def test_a_task_without_its_summary_in_xcom(tmp_path):
    """With `do_xcom_push=False` the report has the verdict."""
    task = reported(tmp_path)
    summary = task.summary
    task = replace(task, xcoms={key: value for key, value in task.xcoms.items() if key != "return_value"})
    page = overview(task)
    assert (page["source"], page["summary"]["verdict"]) == ("report", summary["verdict"])
    (tmp_path / "night.json").unlink()
    page = overview(task)
    assert (page["summary"], page["total"]) == (None, len(NIGHT))


def test_what_was_tested(monkeypatch):
    """Commit, environment and address of the note. Only a hash becomes a link, and only with a repository."""
    monkeypatch.setattr(tested.configuration, "usable", lambda name: "https://git.example/shop")
    note = {"commit": "4f2d1c9aa", "environment": "staging", "address": "https://new.example"}
    assert overview(stored({}, note=note))["tested"] == {
        **note,
        "commit_url": "https://git.example/shop/commit/4f2d1c9aa",
    }
    assert entry_of(stored({}, note=note))["commit_url"] == "https://git.example/shop/commit/4f2d1c9aa"
    for commit in ("main", "javascript:alert(1)", 7, None, ["4f2d1c9aa"]):
        assert overview(stored({}, note={"commit": commit}))["tested"]["commit_url"] == ""
    monkeypatch.setattr(tested.configuration, "usable", lambda name: None)
    assert overview(stored({}, note=note))["tested"]["commit_url"] == ""
